"""Long texts, emphasis, batches and books."""

from __future__ import annotations

import csv
import zipfile

import numpy as np
import pytest
import soundfile

from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.speaking.books import plain_text, read_epub
from tts_meta.speaking.spoken_batch import MANIFEST, Line, read_lines, run_batch
from tts_meta.speaking.synthesize import PARAGRAPH_SECONDS, PAUSE_SECONDS, Synthesizer
from tts_meta.text.sentences import split_paragraphs
from tts_meta.voices.library import import_voice
from tts_meta.voices.voice_file import load_voice


@pytest.fixture(scope="module")
def synthesizer(starter, cloned):
    return Synthesizer.of(starter, load_voice(cloned.path, starter))


def test_streamed_parts_are_the_speech(synthesizer):
    text = "First of all, good morning. How are you?\n\nThis is the second paragraph."
    parts = list(synthesizer.stream(text))
    whole = synthesizer.speak(text)
    assert [p.sentences[0] for p in parts] == ["First of all, good morning.", "How are you?", "This is the second paragraph."]
    assert np.array_equal(np.concatenate([p.samples for p in parts]), whole.samples)
    for part, pause in zip(parts, (0.0, PAUSE_SECONDS, PARAGRAPH_SECONDS), strict=True):
        silent = int(pause * SAMPLE_RATE)
        assert not part.samples[:silent].any() and len(part.samples) - silent >= (len(part.mel) - 4) * HOP
        # No click at a joint: it begins and ends at zero.
        assert part.samples[silent] == 0 and part.samples[-1] == 0
    assert np.abs(whole.samples).max() <= 0.95 and not whole.suspect


def test_emphasis_lengthens_that_word_alone(synthesizer):
    plain, strong = "We really need the red one.", "We really need the *red* one."
    (a,), (b,) = synthesizer.speak(plain).durations[:1], synthesizer.speak(strong).durations[:1]
    assert len(a) == len(b)
    changed = np.flatnonzero(a != b)
    assert len(changed) >= 2 and changed.max() - changed.min() <= 3 and (b[changed] > a[changed]).all()
    # Arithmetic and lists are no emphasis.
    assert len(synthesizer.speak("Two * three * four.").sentences) == 1


def test_settings_and_texts_out_of_range_are_refused(synthesizer):
    for kwargs, word in (({"speed": 9}, "speed"), ({"pitch": 99}, "pitch"), ({"energy": -99}, "energy")):
        with pytest.raises(InputError, match=word):
            next(synthesizer.stream("Hello.", **kwargs))
    with pytest.raises(InputError, match="500,001 characters"):
        next(synthesizer.stream("a" * 500_001))


def test_paragraphs():
    assert split_paragraphs("One. Two.\n\n* * *\n\nThree.") == [["One.", "Two."], ["Three."]]


def book(path, chapters, extra=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("META-INF/container.xml", '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                   '<rootfile full-path="OEBPS/content.opf"/></rootfiles></container>')
        items = "".join(f'<item id="c{i}" href="text/c%20{i}.xhtml"/>' for i in range(len(chapters)))
        spine = "".join(f'<itemref idref="c{i}"/>' for i in reversed(range(len(chapters))))
        z.writestr("OEBPS/content.opf", f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
                   f'<spine>{spine}</spine></package>')
        for i, text in enumerate(chapters):
            z.writestr(f"OEBPS/text/c {i}.xhtml", text)
        for name, data in (extra or {}).items():
            z.writestr(name, data)
    return path


def test_books_in_reading_order(tmp_path):
    chapters = ["<html><head><title>no</title></head><body><h1>Two</h1><p>The end &amp; more.</p></body></html>",
                "<body><script>x()</script><p>Once upon\n a time.</p><p>There was.</p></body>"]
    assert read_epub(book(tmp_path / "b.epub", chapters)) == [
        ("c 1", "Once upon a time.\n\nThere was."), ("c 0", "Two\n\nThe end & more."),
    ]
    assert plain_text("a<br>b") == "a\n\nb"
    assert plain_text("<svg><style>a</style>b</svg>c") == "c"  # silent inside silent


def test_hostile_books_are_refused(tmp_path):
    bomb = book(tmp_path / "bomb.epub", ["<p>" + "a" * (33 * 2**20) + "</p>"])
    assert bomb.stat().st_size < 2**20
    with pytest.raises(InputError, match="larger than"):
        read_epub(bomb)
    with pytest.raises(InputError, match="no text"):
        read_epub(book(tmp_path / "e.epub", ["<p></p>"]))
    (tmp_path / "n.epub").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="could not be read as an epub"):
        read_epub(tmp_path / "n.epub")
    with zipfile.ZipFile(tmp_path / "x.epub", "w") as z:
        z.writestr("META-INF/container.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(InputError, match="entities"):
        read_epub(tmp_path / "x.epub")
    # Reads stay inside the archive: a path out of it is only a name that is not there.
    with zipfile.ZipFile(tmp_path / "p.epub", "w") as z:
        z.writestr("META-INF/container.xml", '<c xmlns="u"><rootfile full-path="../../../etc/passwd"/></c>')
    with pytest.raises(InputError):
        read_epub(tmp_path / "p.epub")


def test_a_batch_goes_on_where_it_was_and_makes_again_what_changed(tmp_path, starter, cloned):
    voice = str(cloned.path)
    lines = [Line("a/b ../c", "Hello there.", voice), Line("2", "...", voice), Line("3", "Good night.", voice, 1.2)]
    first = next(run_batch(starter, lines, tmp_path))  # and then it is stopped
    assert first["status"] == "made" and first["file"] == "1-a-b-c.wav" and not (tmp_path / "3.wav").exists()
    before = (tmp_path / "1-a-b-c.wav").stat().st_mtime_ns
    rows = list(run_batch(starter, lines, tmp_path))
    assert [r["status"] for r in rows] == ["made", "failed", "made"] and "nothing to speak" in rows[1]["reason"]
    assert (tmp_path / "1-a-b-c.wav").stat().st_mtime_ns == before
    with open(tmp_path / MANIFEST, newline="") as f:
        assert [r["file"] for r in csv.DictReader(f)] == [r["file"] for r in rows]
    assert soundfile.info(str(tmp_path / "3.wav")).duration == pytest.approx(rows[2]["seconds"], abs=0.01)
    list(run_batch(starter, [Line("a/b ../c", "Hello, you there.", voice)], tmp_path))
    assert (tmp_path / "1-a-b-c.wav").stat().st_mtime_ns != before


def test_batch_files(tmp_path, starter, cloned, library):
    import_voice(cloned.path, starter)
    (tmp_path / "a.txt").write_text("One.\n\n Two. \n")
    assert [x.text for x in read_lines(tmp_path / "a.txt", "p225")] == ["One.", "Two."]
    (tmp_path / "b.csv").write_text("id,text,voice,speed\nx,Hello.,p225,1.5\n,World.,,\n")
    assert read_lines(tmp_path / "b.csv", "me") == [Line("x", "Hello.", "p225", 1.5), Line("2", "World.", "me", 1.0)]
    for name, content, word in (
        ("c.csv", "id,words\n1,a\n", "id,text,voice,speed"), ("d.csv", "", "the columns text"),
        ("n.csv", "a,One.\nb,Two.\n", "names of its columns"),
        ("e.txt", "", "no text"), ("f.pdf", "x", "txt, csv, tsv, jsonl or epub"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=word):
            read_lines(tmp_path / name, "p225")
    with pytest.raises(InputError, match="--voice"):
        read_lines(tmp_path / "a.txt", None)
    with pytest.raises(InputError, match="is a folder"):
        read_lines(tmp_path, "p225")
    (tmp_path / "s.csv").write_text("text,speed\nOne.,1\nTwo.,fast\nThree.,9\n")
    rows = list(run_batch(starter, read_lines(tmp_path / "s.csv", "p225"), tmp_path / "out"))
    assert [r["status"] for r in rows] == ["made", "failed", "failed"]
    assert "line 3 is 'fast'" in rows[1]["reason"] and "speed is 9" in rows[2]["reason"]


def test_who_waits_hears_the_first_clause_and_the_rest_is_not_read_before(starter, cloned, monkeypatch):
    from tts_meta.text import reading

    text = "When the rain had stopped, we all walked down to the old harbour. " + "Nobody said a word about it. " * 40
    asked = []
    monkeypatch.setattr(reading, "said", lambda s, english=True, own=reading.said: asked.append(s) or own(s, english))
    parts = Synthesizer.of(starter, load_voice(cloned.path, starter)).stream(text, at_once=True)
    first = next(parts)
    assert first.sentences == ["When the rain had stopped,"] and first.seconds < 3
    assert len(set(asked)) <= 3  # the sentence, and what phonemes are made of
    second = next(parts)
    assert second.sentences == ["we all walked down to the old harbour."]
    assert np.abs(second.samples[: int(0.02 * SAMPLE_RATE)]).max() > 0  # no pause is put inside a sentence
    whole = next(Synthesizer.of(starter, load_voice(cloned.path, starter)).stream(text))
    assert whole.sentences == ["When the rain had stopped, we all walked down to the old harbour."]

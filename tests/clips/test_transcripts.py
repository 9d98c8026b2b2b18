"""Tables of texts as programs, corpora and people write them: the right text, or a sentence that names the line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tts_meta.clips.transcripts import TEXT_FILES, complete_transcripts, find_clips, find_transcripts, texts_in
from tts_meta.errors import InputError

A, B, C = "Hello, world.", "It is late; go home.", "Third text here."


@pytest.fixture
def clips(tmp_path):
    """Three clips in a folder `wavs`."""
    (tmp_path / "wavs").mkdir()
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / "wavs" / f"{name}.wav", np.zeros(1600), 16000)
    return find_clips([tmp_path / "wavs"])


def texts_of(clips, said=None, table=None):
    found = find_transcripts(clips, table, (said if said is not None else []).append)
    return [found.get(c) for c in clips]


def write(path: Path, text: str, encoding="utf-8") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


LAYOUTS = {
    "metadata.csv": f'file,text\na.wav,"{A}"\nb.wav,{B}\nc.wav,{C}\n',
    "space.csv": f'file, text\na.wav, "{A}"\nb.wav, {B}\nc.wav, {C}\n',
    "semicolons.csv": f'file;text\na.wav;{A}\nb.wav;"{B}"\nc.wav;{C}\n',
    "excel.csv": f'sep=;\nFile;Text\na.wav;{A}\nb.wav;"{B}"\nc.wav;{C}\n',
    "tabs.tsv": f"path\tsentence\na.wav\t{A}\nb.wav\t{B}\nc.wav\t{C}\n",
    "quoted.tsv": f'path\tsentence\na.wav\t"{A}"\nb.wav\t{B}\nc.wav\t{C}\n',
    "commonvoice.tsv": f"client_id\tpath\tsentence\tup_votes\nx\ta.mp3\t{A}\t2\nx\tb.mp3\t{B}\t2\nx\tc.mp3\t{C}\t2\n",
    "lj.csv": f"a|Mr. X: {A}|{A}\nb|{B}|{B}\nc|{C}|{C}\n",
    "coqui.csv": f"audio_file|text|speaker_name\nwavs/a.wav|{A}|anna\nwavs/b.wav|{B}|anna\nwavs/c.wav|{C}|anna\n",
    "speaker.csv": f"a|{A}|anna\nb|{B}|bob\nc|{C}|anna\n",
    "vits.list": f"wavs/a.wav|anna|en|{A}\nwavs/b.wav|anna|en|{B}\nwavs/c.wav|anna|en|{C}\n",
    "hf.csv": f'file_name,transcription\nwavs/a.wav,"{A}"\nwavs/b.wav,{B}\nwavs/c.wav,{C}\n',
    "headless.csv": f'a.wav,"{A}"\nb.wav,{B}\nc.wav,{C}\n',
    "unnamed.csv": f'sound,what she says\na,"{A}"\nb,{B}\nc,{C}\n',
    "comments.csv": f'# made by hand\nfile,text\na.wav,"{A}"\n# later\nb.wav,{B}\n\nc.wav,{C}\n',
    "case.csv": f'FILE,TEXT\nA.WAV,"{A}"\nB.wav,{B}\nc.wav,{C}\n',
    "windows.csv": f'file,text\r\nC:\\clips\\a.wav,"{A}"\r\nb.wav,{B}\r\nc.wav,{C}\r\n',
    "broken.csv": f'file,text\na.wav,"Hello,\nworld."\nb.wav,{B}\nc.wav,{C}\n',
    "a.trans.txt": f"a {A}\nb {B}\nc {C}\n",
    "hf.jsonl": "\n".join(json.dumps({"file_name": f"{n}.wav", "transcription": t}) for n, t in zip("abc", (A, B, C),
        strict=True)),
    "nemo.jsonl": "\n".join(json.dumps({"audio_filepath": f"/x/{n}.wav", "duration": 1.5, "text": t}) for n, t in zip("abc",
        (A, B, C), strict=True)),
    "metadata.json": json.dumps({"a.wav": A, "b.wav": B, "c.wav": C}),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("place", ["beside", "above", "given"])
def test_a_layout(clips, tmp_path, name, place):
    folder = tmp_path if place == "above" else tmp_path / "wavs"
    if place == "given":
        (tmp_path / "elsewhere").mkdir()
        folder = tmp_path / "elsewhere"
    path = write(folder / name, LAYOUTS[name])
    assert texts_of(clips, table=path if place == "given" else None) == [A, B, C]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8-sig", ""), ("utf-16", ""), ("utf-16-le", ""), ("utf-16-be", "\ufeff"),
    ("utf-32", "")])
def test_encodings_with_a_mark(clips, tmp_path, encoding, mark):
    write(tmp_path / "wavs" / "metadata.csv", mark + f'file,text\na.wav,"{A} Zoë"\nb.wav,{B}\nc.wav,{C}\n', encoding)
    assert texts_of(clips) == [f"{A} Zoë", B, C]
    write(tmp_path / "wavs" / "a.txt", mark + "Zoë, naïve.", encoding)
    assert texts_of(clips)[0] == "Zoë, naïve."


def test_western_text_without_a_mark_is_found_out_and_said(clips, tmp_path):
    said: list[str] = []
    text = "Zoë said: “the café is closed”, naïve as she is – that’s fine."
    write(tmp_path / "wavs" / "a.txt", text, "cp1252")
    assert texts_of(clips, said)[0] == text
    assert any("a.txt is read as" in s for s in said)


@pytest.mark.parametrize("name", ["a.txt", "a.TXT", "a.lab", "a.wav.txt", "a.normalized.txt", "A.txt"])
def test_a_text_beside_its_clip(clips, tmp_path, name):
    write(tmp_path / "wavs" / name, f"{A}\n")
    assert texts_of(clips) == [A, None, None]


@pytest.mark.parametrize(("content", "word"), [
    (f"file,text\na.wav,{A}\nb.wav,{B}\n", "Line 2 .* 3 cells where the others have 2"),
    (f"file,text\na.wav,Hi\nb.wav\nc.wav,{C}\n", "Line 3 .* 1 cells where the others have 2"),
    ('file,text\na.wav,"Hi, there\nb.wav,Two\nc.wav,Three\n', "Line 2 .* quote that is not closed"),
    ("file,text\na.wav,One.\na.wav,Two.\nb.wav,B\n", "a.wav different texts .line 2 and line 3."),
    ("file\na.wav\nb.wav\n", "one column"),
    ("", "empty"), ("a|same thing|anna\nb|same thing|anna\n", "same in every row"),
    ("kolor,shape\nred,round\nblue,square\n", "columns kolor, shape"),
])
def test_what_could_be_read_in_two_ways_is_refused(clips, tmp_path, content, word):
    table = write(tmp_path / "t.csv", content)
    with pytest.raises(InputError, match=word):
        texts_of(clips, table=table)


@pytest.mark.parametrize("name", ["excel.csv", "metadata.csv", "commonvoice.tsv", "comments.csv"])
def test_where_nothing_was_guessed_nothing_is_said(clips, tmp_path, name):
    said: list[str] = []
    assert texts_of(clips, said, write(tmp_path / name, LAYOUTS[name])) == [A, B, C]
    assert not [line for line in said if "read as" in line], said


def test_a_stray_quote_swallows_no_rows(clips, tmp_path):
    said: list[str] = []
    table = write(tmp_path / "t.csv", f'file,text\na.wav,"Hello world\nb.wav,{B}\nc.wav,{C}\n')
    assert texts_of(clips, said, table) == ['"Hello world', B, C]
    assert any("Line 2 of t.csv has a quote that is not closed" in s for s in said)


def test_what_was_left_out_is_said(clips, tmp_path):
    said: list[str] = []
    table = write(tmp_path / "metadata.csv", f'file,text\na.wav,"{A}"\nb.wav,{B}\nx.wav,no clip\ny.wav,none\n')
    assert texts_of(clips, said, table) == [A, B, None]
    assert "2 of 3 clips have a text in metadata.csv; 2 rows name no clip." in said
    assert "1 of 3 clips has no text: c.wav." in said


def test_names_with_points_and_folders_are_kept_apart(tmp_path):
    for name in ("s1/utt.01", "s1/utt.02", "s2/utt.01"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.zeros(1600), 16000)
    clips = find_clips([tmp_path])
    write(tmp_path / "t.csv", "file,text\ns1/utt.01.wav,One one.\ns1/utt.02,One two.\ns2/utt.01.wav,Two one.\n")
    assert texts_of(clips, table=tmp_path / "t.csv") == ["One one.", "One two.", "Two one."]
    pair = [tmp_path / "spk1.utt01.wav", tmp_path / "spk1.utt02.wav"]
    table = write(tmp_path / "u.csv", "file,text\nspk1.utt01,One.\nspk1.utt02,Two.\n")
    assert texts_in([table], pair) == dict(zip(pair, ("One.", "Two."), strict=True))


def test_names_that_differ_in_case_alone_are_kept_apart_where_the_table_does(tmp_path):
    both = [tmp_path / "a.wav", tmp_path / "A.wav"]
    table = write(tmp_path / "t.csv", "file,text\na.wav,Small.\nA.wav,Large.\n")
    assert texts_in([table], both) == dict(zip(both, ("Small.", "Large."), strict=True))
    one = write(tmp_path / "u.csv", "file,text\nA.WAV,Large.\n")
    assert texts_in([one], both[:1]) == {both[0]: "Large."}


@pytest.mark.parametrize(("name", "content"), [
    ("a.txt", "Hello there."), ("a.lab", "Hello there."), ("A.text", "Hello there."), ("a.wav.txt", "Hello there."),
    ("a.normalized.txt", "Hello there."), ("t.csv", "file,text\na.wav,Hello there.\n"), ("t.tsv", "a.wav\tHello there.\n"),
    ("t.psv", "a|Hello there.\n"), ("x.list", "/home/me/a.wav|anna|EN|Hello there.\n"),
    ("metadata.jsonl", '{"file_name": "a.wav", "transcription": "Hello there."}\n'), ("84-1.trans.txt", "a Hello there.\n"),
    ("metadata.txt", "a|Hello there.\n"), ("metadata.json", '[{"file": "a.wav", "text": "Hello there."}]'),
])
def test_texts_that_lie_apart_from_their_clips(tmp_path, name, content):
    """As uploads do: every kind that is found beside clips is read."""
    clip = tmp_path / "elsewhere" / "a.wav"
    said: list[str] = []
    assert texts_in([write(tmp_path / "given" / name, content)], [clip], said.append) == {clip: "Hello there."}
    assert name.lower().endswith(TEXT_FILES)
    other = tmp_path / "b.wav"
    assert texts_in([tmp_path / "given" / name], [other], said.append) == {}
    assert said and ("no clip" in said[-1] or "none of the clips" in said[-1])


def test_an_unreadable_file_without_a_text_is_left_out_with_a_sentence(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("tts_meta.measures.intelligibility.load_recogniser", lambda: None)
    for name in "abc":
        write(tmp_path / "wavs" / f"{name}.txt", A)
    (tmp_path / "wavs" / "notes.wav").write_bytes(b"this is no sound" * 20)
    said: list[str] = []
    everything = find_clips([tmp_path / "wavs"])
    assert set(complete_transcripts(everything, None, said.append)) == set(clips)
    assert any("left out" in s and "notes.wav" in s for s in said)
    with pytest.raises(InputError, match="could not be read as audio"):
        complete_transcripts([tmp_path / "wavs" / "notes.wav"], None)


def test_two_files_that_disagree_are_said(clips, tmp_path):
    write(tmp_path / "wavs" / "metadata.csv", f"file|text\na|{A}\nb|{B}\nc|{C}\n")
    write(tmp_path / "wavs" / "a.txt", "Something else.")
    write(tmp_path / "wavs" / "b.txt", B.upper())  # the same words
    said: list[str] = []
    assert texts_of(clips, said) == ["Something else.", B.upper(), C]
    assert [s for s in said if "another text" in s] == [
        "1 clip has another text in metadata.csv than in the file beside, which is used: a.wav."]
    for name in ("a.txt", "b.txt"):
        (tmp_path / "wavs" / name).unlink()
    write(tmp_path / "wavs" / "transcripts.csv", f"file|text\na|Other.\nb|Other.\nc|{C}\n")
    said.clear()
    assert texts_of(clips, said) == [A, B, C]
    assert said == ["2 clips have another text in transcripts.csv than in metadata.csv, which is used: a.wav, b.wav."]


def test_a_table_that_names_no_clip_is_said(clips, tmp_path):
    write(tmp_path / "wavs" / "metadata.csv", f"file|text\nx|{A}\ny|{B}\n")
    said: list[str] = []
    assert texts_of(clips, said) == [None] * 3 and said == ["metadata.csv names none of the clips and is not used."]


STAMPS = {
    "a.srt": "1\n00:00:00,000 --> 00:00:02,000\nHello, world.\n\n2\n00:00:02,000 --> 00:00:03,000\nAgain 5\n",
    "a.vtt": "WEBVTT - made by hand\nKind: captions\n\n00:00.000 --> 00:02.000 align:start\nHello, world.\n\n"
             "00:02.000 --> 00:03.000\nAgain 5\n",
    "a.txt": "[00:00:00.000 --> 00:00:02.000]  Hello, world.\n[00:00:02.000 --> 00:00:03.000]  Again 5\n",
}


@pytest.mark.parametrize("name", STAMPS)
def test_times_of_subtitles_are_not_learned(clips, tmp_path, name):
    write(tmp_path / "wavs" / name, STAMPS[name])
    assert texts_of(clips) == ["Hello, world. Again 5", None, None]


def test_labels_and_word_processors_are_no_text(clips, tmp_path):
    said: list[str] = []
    write(tmp_path / "wavs" / "a.lab", "0 1000000 sil\n1000000 2000000 hh\n")
    assert texts_of(clips, said) == [None, None, None] and "times of labels" in said[0]
    write(tmp_path / "wavs" / "a.txt", "{\\rtf1\\ansi Hello}")
    with pytest.raises(InputError, match="RTF"):
        texts_of(clips)


@pytest.mark.parametrize("cell", ["NaN", "N/A", "null"])
def test_what_programs_write_in_an_empty_cell_is_no_text(clips, tmp_path, cell):
    write(tmp_path / "wavs" / "metadata.csv", f"file,text\na.wav,{A.replace(',', '')}\nb.wav,{cell}\n")
    with pytest.raises(InputError, match="b.wav is empty"):
        texts_of(clips)


def test_marks_of_what_is_no_speech_are_said(clips, tmp_path):
    said: list[str] = []
    write(tmp_path / "wavs" / "metadata.csv", "file,text\na.wav,[laughter] well\nb.wav,See [[hˈaɪ]] and [this](x)\n")
    texts_of(clips, said)
    assert any(s.startswith("1 text holds a mark in brackets ([laughter])") for s in said)


@pytest.mark.parametrize(("name", "form"), [("text", "{} {}"), ("text.txt", "{}\t{}"), ("transcript.txt", "{}.wav: {}"),
                                            ("transcript.txt", "{}.wav - {}"), ("train_filelist.txt", "wavs/{}.wav|{}")])
def test_lines_that_begin_with_a_name(clips, tmp_path, name, form):
    write(tmp_path / "wavs" / name, "\n".join(form.format(n, t) for n, t in zip("abc", (A, B, C), strict=True)))
    assert texts_of(clips) == [A, B, C]


def test_a_clip_that_is_called_as_tables_are(tmp_path):
    soundfile.write(tmp_path / "test.wav", np.zeros(1600), 16000)
    write(tmp_path / "test.txt", "one, two")
    said: list[str] = []
    clips = find_clips([tmp_path])
    assert texts_of(clips, said) == ["one, two"] and not said
    assert texts_in([tmp_path / "test.txt"], clips) == {clips[0]: "one, two"}


def test_names_whose_accents_are_written_apart(tmp_path):
    apart, composed = "cafe\u0301", "caf\u00e9"
    soundfile.write(tmp_path / f"{apart}.wav", np.zeros(1600), 16000)
    clips = find_clips([tmp_path])
    write(tmp_path / "metadata.csv", f"file,text\n{composed}.wav,one two\n")
    assert texts_of(clips) == ["one two"]
    write(tmp_path / f"{composed}.txt", "three four")
    assert texts_of(clips) == ["three four"]


def test_phones_are_no_text_and_a_spreadsheet_is_said(clips, tmp_path):
    write(tmp_path / "wavs" / "metadata.csv", "a|Hello there|hɛloʊ ðɛɹ\nb|Good bye|ɡʊd baɪ\n")
    assert texts_of(clips)[:2] == ["Hello there", "Good bye"]
    with pytest.raises(InputError, match="spreadsheet"):
        find_transcripts(clips, write(tmp_path / "texts.xlsx", "PK"))

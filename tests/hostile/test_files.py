"""Every other file and name that people give: each has one clear outcome."""

from __future__ import annotations

import io
import shutil
import sys
import unicodedata

import pytest
import soundfile

from tests.hostile.test_bad_input import refused, run  # noqa: F401
from tts_meta.errors import InputError
from tts_meta.speaking.spoken_batch import read_lines, run_batch
from tts_meta.voices.library import copy_voice, export_voice, find_voice, import_voice, rename_voice, voice_names


@pytest.fixture
def mine(library, starter, cloned):
    """The cloned voice p225 in an empty library."""
    import_voice(cloned.path, starter)
    return library


@pytest.mark.parametrize(("name", "form"), [("a.mp3", "MP3"), ("b.FLAC", "FLAC"), ("c.ogg", "OGG"), ("d.opus", "OGG"),
    ("e.wav", "WAV"), ("f", "WAV")])
def test_say_writes_what_the_name_says(run, cloned, tmp_path, name, form):  # noqa: F811
    answer = run("say", "-5 degrees.", "--voice", cloned.path, "--out", tmp_path / name)
    assert answer[0] == 0, answer[2]
    path = tmp_path / (name if "." in name else f"{name}.wav")
    assert soundfile.info(str(path)).format == form and str(path) in answer[1]


def test_say_refuses_a_folder_an_ending_and_an_option_it_does_not_know(run, cloned, tmp_path):  # noqa: F811
    refused(run("say", "hi", "--voice", cloned.path, "--out", tmp_path), "is a folder")
    refused(run("say", "hi", "--voice", cloned.path, "--out", f"{tmp_path}/new/"), "is a folder")
    assert not list(tmp_path.iterdir())
    refused(run("say", "hi", "--voice", cloned.path, "--out", tmp_path / "a.doc"), "ends in .doc", ".wav")
    refused(run("say", "--loud", "--voice", cloned.path, "--out", tmp_path / "a.wav"), "no option --loud")


def test_stdin_in_any_encoding(monkeypatch):
    from tts_meta.cli.speaking import _text

    for data in ("One.\r\nTwo ë.\r\n".encode(), "One.\r\nTwo ë.\r\n".encode("utf-16"), "\ufeffOne.\r\nTwo ë.\r\n".encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert _text("-") == "One.\nTwo ë.\n"


@pytest.mark.parametrize(("name", "content", "encoding"), [
    ("a.csv", "id,text,voice,speed\na,One.,v,1\nb,Two.,v,1.5\n", "utf-8-sig"), ("b.csv",
        "ID;Text;Voice;Speed\na;One.;v;1\nb;Two.;v;1,5\n", "utf-16"),
    ("c.csv", 'text,id,voice,speed\n"One.",a,v,\n"Two.",b,v,1.5\n', "cp1252"), ("d.tsv",
        'TEXT\tid\tvoice\tspeed\n"One."\ta\tv\t1\n"Two."\tb\tv\t1.5\n', "utf-8"),
])
def test_batch_reads_tables_of_every_dialect(tmp_path, name, content, encoding):
    (tmp_path / name).write_bytes(content.encode(encoding))
    lines = read_lines(tmp_path / name, None)
    assert [(x.id, x.text, x.voice, x.speed) for x in lines] == [("a", "One.", "v", 1.0), ("b", "Two.", "v", 1.5)]


def test_batch_of_one_column_and_of_unquoted_commas(tmp_path):
    (tmp_path / "a.csv").write_text("text\nOne.\nTwo.\n")
    assert [x.text for x in read_lines(tmp_path / "a.csv", "v")] == ["One.", "Two."]
    (tmp_path / "b.csv").write_text("id,text\n1,Hello, world.\n")
    with pytest.raises(InputError, match="Line 2 .* 3 cells"):
        read_lines(tmp_path / "b.csv", "v")


def test_one_unknown_voice_among_twenty_rows(mine, starter, tmp_path):
    rows = "".join(f"{i},Hello.,{'nobody' if i == 7 else 'p225'}\n" for i in range(1, 21))
    (tmp_path / "t.csv").write_text("id,text,voice\n" + rows)
    made = list(run_batch(starter, read_lines(tmp_path / "t.csv", None), tmp_path / "out"))
    assert [r["status"] == "failed" for r in made] == [i == 7 for i in range(1, 21)] and "nobody" in made[6]["reason"]
    assert len(list((tmp_path / "out").glob("*.wav"))) == 19


def test_names_of_voices(mine, starter, tmp_path):
    copied = copy_voice("p225", unicodedata.normalize("NFD", "Zoë"))
    assert copied.name == "Zoë.voice" and "Zoë" in voice_names() and find_voice("zoë") == copied
    with pytest.raises(InputError, match="exists already"):
        copy_voice("p225", "ZOË")
    assert copy_voice("p225", "mine.voice").name == "mine.voice" and "mine" in voice_names()
    assert rename_voice("Zoë", "ZOË").stem == "ZOË" and voice_names().count("ZOË") == 1 and "Zoë" not in voice_names()
    for bad in ("a/b", "..", "CON", "nul.voice", "lpt1", "", " x", "a\0b", ".hidden", "x" * 65):
        with pytest.raises(InputError, match="cannot be used"):
            copy_voice("p225", bad)
    exported = export_voice("ZOË", tmp_path / "sent")
    assert exported == tmp_path / "sent.voice"
    assert export_voice("ZOË", tmp_path / "hello.wav") == tmp_path / "hello.wav.voice"
    for path in (tmp_path, tmp_path / "none" / "x", tmp_path / "x.voice"):
        with pytest.raises(InputError, match="no voice file"):
            find_voice(str(path))
    shutil.move(exported, tmp_path / "no-ending")
    assert import_voice(tmp_path / "no-ending", starter, force=True).stem == "ZOË"
    assert find_voice(str(tmp_path / "no-ending")) == tmp_path / "no-ending"

"""Sixty hostile recordings: the clip doctor names what is wrong with each, and none crashes, hangs or eats the memory."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct

import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLES
from tests.hostile.test_bad_input import CLIPS, run  # noqa: F401
from tts_meta.audio.files import MAX_SAMPLES, read_audio
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.transcripts import find_clips
from tts_meta.errors import InputError

GOOD = EXAMPLES / "clips" / "p225_003.flac"


def encoded(samples, rate, form, subtype=None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype)
    return buffer.getvalue()


def wav_head(rate=24000, channels=1, bits=16, size=2**31 - 100, kind=1) -> bytes:
    """The header of a wav that claims `size` bytes."""
    block = channels * bits // 8
    return (
        b"RIFF"
        + struct.pack("<I", min(size + 36, 2**32 - 1))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, kind, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
        + b"data"
        + struct.pack("<I", min(size, 2**32 - 1))
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """{name: path}: at least 50 files."""
    folder = tmp_path_factory.mktemp("hostile")
    samples, rate = soundfile.read(GOOD, dtype="float32")
    rng = np.random.default_rng(0)
    files: dict[str, bytes] = {
        "zero.wav": b"",
        "header.wav": wav_head(size=0),
        "cut.wav": wav_head()[:20],
        "lies.wav": wav_head() + b"\0" * 4000,
        "onehertz.wav": wav_head(1, size=4000) + b"\0" * 4000,
        "zerohertz.wav": wav_head(0, size=4000) + b"\0" * 4000,
        "768k.wav": wav_head(768_000, size=8000) + b"\1\0" * 4000,
        "manychannels.wav": wav_head(channels=1000, size=8000) + b"\0" * 8000,
        "nochannels.wav": wav_head(channels=0, size=8000) + b"\0" * 8000,
        "bits.wav": wav_head(bits=13, size=8000) + b"\0" * 8000,
        "nan.wav": encoded(np.where(np.arange(len(samples)) == 9000, np.nan, samples), rate, "WAV", "FLOAT"),
        "inf.wav": encoded(np.where(np.arange(len(samples)) == 9000, np.inf, samples), rate, "WAV", "FLOAT"),
        "huge.wav": encoded(samples * 1e30, rate, "WAV", "FLOAT"),
        "dc.wav": encoded(np.full(rate * 3, 0.5), rate, "WAV"),
        "silence.wav": encoded(np.zeros(rate * 3), rate, "WAV"),
        "noise.wav": encoded(rng.normal(size=rate * 3) * 0.1, rate, "WAV"),
        "square.wav": encoded(np.sign(np.sin(np.arange(rate * 3) * 0.1)), rate, "WAV"),
        "onesample.wav": encoded(samples[:1], rate, "WAV"),
        "32channels.wav": encoded(np.tile(samples[:, None], (1, 32)), rate, "WAV"),
        "text.wav": b"This is a text, not a sound. " * 50,
        "pickle.wav": pickle.dumps({"a": 1}),
        "zip.flac": b"PK\x03\x04" + b"\0" * 100,
        "png.mp3": b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
        "html.ogg": b"<html></html>",
        "wav.flac": encoded(samples, rate, "WAV"),
        "flac.wav": GOOD.read_bytes(),
        "text.m4a": b"not a film " * 50,
        "flac.m4a": GOOD.read_bytes(),
        "zero.webm": b"",
        "random.mp4": bytes(rng.integers(256, size=5000, dtype=np.uint8)),
    }
    for name, form, subtype in (
        ("w.wav", "WAV", "PCM_16"),
        ("f.flac", "FLAC", "PCM_16"),
        ("o.ogg", "OGG", "VORBIS"),
        ("m.mp3", "MP3", None),
    ):
        good = encoded(samples, 24000, form, subtype)
        for number in range(8):
            data = bytearray(good)
            if number < 5:  # the header
                for i in rng.integers(min(200, len(good)), size=4 * (number + 1)):
                    data[i] = int(rng.integers(256))
            elif number == 5:
                data = data[: len(data) // 3]
            else:
                for i in rng.integers(len(good), size=200):
                    data[i] = int(rng.integers(256))
            files[f"{number}{name}"] = bytes(data)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with open(folder / "tenhours.wav", "wb") as f:  # 10 hours, sparse
        f.write(wav_head(size=36000 * 48000))
        f.truncate(44 + 36000 * 48000)
    return {p.name: p for p in sorted(folder.iterdir())}


def test_none_harms(hostile, starter):
    import resource

    assert len(hostile) >= 60
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe a snack for her brother Bob."
    checkup = check_clips([*hostile.values(), GOOD], {p: text for p in [*hostile.values(), GOOD]}, starter)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 1500, f"{grown:.0f} MB"
    found = {c.path.name: c for c in checkup.clips}
    assert set(hostile) <= set(found)
    for name in (
        "zero.wav",
        "header.wav",
        "cut.wav",
        "onehertz.wav",
        "zerohertz.wav",
        "768k.wav",
        "manychannels.wav",
        "nan.wav",
        "inf.wav",
        "silence.wav",
        "noise.wav",
        "square.wav",
        "onesample.wav",
        "text.wav",
        "pickle.wav",
        "zip.flac",
        "png.mp3",
        "html.ogg",
        "text.m4a",
        "random.mp4",
        "zero.webm",
        "tenhours.wav",
        "dc.wav",
        "huge.wav",
    ):
        assert found[name].used is None and found[name].level == "red" and found[name].to_dict()["reason"], name
    for c in checkup.clips:
        assert (c.used is None) == (c.level == "red")
        assert all("Traceback" not in f.sentence and len(f.sentence) < 400 for f in c.findings)
        if c.used:
            assert np.isfinite(c.used.item.mel).all()


def test_the_sentences_say_what_was_found(hostile):
    for name, word in (
        ("tenhours.wav", "longer than 600 s"),
        ("768k.wav", "768,000 Hz"),
        ("onehertz.wav", "1 Hz"),
        ("nan.wav", "NaN"),
        ("zero.wav", "0 bytes"),
        ("text.wav", "could not be read as audio"),
        ("manychannels.wav", "channels"),
    ):
        with pytest.raises(InputError, match=word):
            read_audio(hostile[name])


def test_wrong_names_of_good_sounds_are_read(hostile):
    samples, rate = soundfile.read(GOOD, dtype="float32")
    for name in ("flac.wav", "wav.flac", "32channels.wav"):
        read, found = read_audio(hostile[name])
        assert found == rate and np.abs(read - samples).max() < 1e-4
    assert MAX_SAMPLES * 4 < 2**28


def test_what_phones_and_browsers_record(tmp_path):
    av = pytest.importorskip("av")
    samples, rate = soundfile.read(GOOD, dtype="float32")
    for name, codec in (("a.m4a", "aac"), ("b.webm", "libopus")):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=48000 if codec == "libopus" else rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = rate
            resampler = av.AudioResampler(
                format=stream.format.name, layout="mono", rate=stream.rate, frame_size=stream.codec_context.frame_size or None
            )
            for out in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(out))
            container.mux(stream.encode(None))
        read, found = read_audio(path)
        assert abs(len(read) / found - len(samples) / rate) < 0.2 and np.abs(read).max() > 0.1
        assert find_clips([tmp_path])


def test_without_the_extra_it_says_so(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.m4a").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="extra 'formats'"):
        read_audio(tmp_path / "a.m4a")


def test_json_has_what_was_passed_over_and_guessed(run, tmp_path):  # noqa: F811
    shutil.copy(CLIPS / "p225_003.flac", tmp_path / "a.flac")
    (tmp_path / "._a.flac").write_bytes(b"x")
    (tmp_path / "cover.jpg").write_bytes(b"x")
    (tmp_path / "metadata.csv").write_text("file,text\na.flac,Six spoons of fresh snow peas.\nb.flac,Nothing.\n")
    code, out, err = run("check", tmp_path, "--json")
    notes = json.loads(out)["notes"]
    for words in ("no audio by name and passed over: cover.jpg", "hidden", "1 row names no clip"):
        assert sum(words in n for n in notes) == 1 and words in err, (words, notes)

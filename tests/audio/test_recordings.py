"""Recordings as devices and programs make them: read rightly whatever they are called, or named with what to do."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLES
from tts_meta.audio.files import read_audio, read_recording
from tts_meta.clips.recordings import find_clips
from tts_meta.errors import InputError

GOOD = EXAMPLES / "clips" / "p225_003.flac"


@pytest.fixture(scope="module")
def good():
    return soundfile.read(GOOD, dtype="float32")


def likeness(a, b) -> float:
    length = min(len(a), len(b))
    return float(np.corrcoef(a[:length], b[:length])[0, 1])


@pytest.mark.parametrize(("name", "form", "subtype"), [
    ("a.wav", "WAV", "PCM_24"), ("b.wav", "WAV", "FLOAT"), ("c.wav", "WAVEX", "PCM_16"), ("d.wav", "WAV", "ULAW"), ("e.wav",
        "WAV", "IMA_ADPCM"), ("f.au", "AU", "PCM_16"),
    ("g.caf", "CAF", "PCM_16"), ("h.aiff", "AIFF", "PCM_16"), ("mp3 called.wav", "MP3", None), ("ogg called.flac", "OGG",
        "VORBIS"), ("it's “quoted” 🙂.wav", "WAV", "PCM_16"),
    (f"{'x' * 200}.wav", "WAV", "PCM_16"), ("i.w64", "W64", "PCM_16"), ("j.wav", "RF64", "PCM_16"),
])
def test_formats_and_names(tmp_path, good, name, form, subtype):
    samples, rate = good
    soundfile.write(tmp_path / name, samples, rate, format=form, subtype=subtype)
    read, found = read_audio(tmp_path / name)
    assert found == rate and abs(len(read) - len(samples)) < 0.1 * rate
    if form != "MP3":  # which begins with a delay
        assert likeness(read, samples) > 0.98
    assert find_clips([tmp_path]) == [tmp_path / name]


@pytest.mark.parametrize(("codec", "kind", "name"), [
    ("aac", "ipod", "a.wav"), ("aac", "adts", "b.aac"), ("libopus", "webm", "c.webm"), ("libopus", "ogg", "d.opus"), ("wmav2",
        "asf", "e.wma"), ("aac", "mp4", "f.mp4"),
])
def test_packed_sound_by_its_content(tmp_path, good, codec, kind, name):
    av = pytest.importorskip("av")
    samples, rate = good
    with av.open(str(tmp_path / name), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=48000 if codec == "libopus" else 44100, layout="mono")
        stream.bit_rate = 128_000
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=stream.rate,
                                      frame_size=stream.codec_context.frame_size or None)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))
    read, found = read_audio(tmp_path / name)
    assert abs(len(read) / found - len(samples) / rate) < 0.2 and np.abs(read).max() > 0.1


def test_channels_do_not_cancel_or_halve(tmp_path, good):
    samples, rate = good
    zero = np.zeros_like(samples)
    for name, columns in {
        "inverted": (samples, -samples), "left": (samples, zero), "right": (zero, samples), "both": (samples,
            samples), "faint": (samples, 0.01 * np.roll(samples, 500)),
        "surround": (zero, zero, samples, zero, zero, zero), "offset": (samples, zero + 0.3),
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", np.stack(columns, 1), rate, subtype="FLOAT")
        read, _ = read_audio(tmp_path / f"{name}.wav")
        assert abs(likeness(read, samples)) > 0.999, name
        assert 0.95 < np.abs(read).max() / np.abs(samples).max() < 1.05, name


def test_offset_and_level(tmp_path, good):
    samples, rate = good
    soundfile.write(tmp_path / "dc.wav", samples * 0.5 + 0.3, rate, subtype="FLOAT")
    read, _ = read_audio(tmp_path / "dc.wav")
    assert abs(read.mean()) < 1e-4 and likeness(read, samples) > 0.9999
    soundfile.write(tmp_path / "over.wav", samples / np.abs(samples).max() * 3, rate, subtype="FLOAT")
    read, _ = read_audio(tmp_path / "over.wav")
    assert 0.95 < np.abs(read).max() <= 1 and likeness(read, samples) > 0.9999
    soundfile.write(tmp_path / "faint.wav", samples / np.abs(samples).max() * 0.002, rate, subtype="FLOAT")
    assert likeness(read_audio(tmp_path / "faint.wav")[0], samples) > 0.999


@pytest.mark.parametrize(("name", "form"), [("a.wav", "WAV"), ("b.flac", "FLAC"), ("c.ogg", "OGG"), ("d.aiff", "AIFF"),
    ("e.mp3", "MP3"), ("f.au", "AU"), ("g.w64", "W64"), ("h.wav", "RF64"), ("i.caf", "CAF")])
def test_a_file_that_was_cut_off_says_so(tmp_path, good, name, form):
    samples, rate = good
    soundfile.write(tmp_path / name, samples, rate, format=form)
    assert not read_recording(tmp_path / name).problems
    if form == "CAF":  # which libsndfile reads whole or not at all
        pytest.importorskip("av")
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    recording = read_recording(tmp_path / name)
    assert len(recording.samples) > rate and len(recording.samples) < 0.8 * len(samples)
    if form != "MP3":  # a stream without an end of its own
        assert "cut off" in recording.problems[0][0]


def test_what_is_passed_over_is_said(tmp_path, good):
    samples, rate = good
    for name in ("a.wav", "sub/b.WAV", "._a.wav", ".hidden/c.wav", "__MACOSX/d.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples[:rate], rate, format="WAV")
    for name in ("cover.jpg", "notes.txt", "table.csv"):
        (tmp_path / name).write_text("x")
    os.symlink(tmp_path / "nowhere.wav", tmp_path / "dead.wav")
    said: list[str] = []
    assert [p.name for p in find_clips([tmp_path], said.append)] == ["a.wav", "b.WAV"]
    text = " ".join(said)
    assert "dead.wav" in text and "cover.jpg" in text and "._a.wav" in text and ".hidden" in text and len(said) == 3
    assert "notes.txt" not in text and "table.csv" not in text
    (tmp_path / "texts.xlsx").write_text("x")
    said.clear()
    find_clips([tmp_path], said.append)
    assert any("save texts.xlsx as one (columns file, text)" in s for s in said), said
    with pytest.raises(InputError, match="link to"):
        find_clips([tmp_path / "dead.wav"])


def test_a_long_recording_is_cut(tmp_path, good, monkeypatch):
    from tts_meta.clips.long_recordings import cut_long_recordings
    from tts_meta.clips.transcripts import complete_transcripts, find_transcripts

    samples, rate = good
    pause = np.zeros(rate // 2, np.float32)
    count = int(300 / ((len(samples) + len(pause)) / rate)) + 1
    soundfile.write(tmp_path / "long.flac", np.tile(np.concatenate([samples, pause]), count), rate)
    (tmp_path / "long.txt").write_text("Six spoons of fresh snow peas. " * 50)
    said: list[str] = []
    given = [GOOD, tmp_path / "long.flac"]
    clips = cut_long_recordings(given, find_transcripts(given, None), said.append)
    assert clips[0] == GOOD and len(clips) > 15 and "5 minutes" in said[0] and "Its text is not used" in said[0]
    lengths = [len(read_audio(c)[0]) / rate for c in clips[1:]]
    assert max(lengths) <= 16 and sum(lengths) > 0.8 * count * len(samples) / rate
    # Who has no recogniser is told of the recording, not of a temporary clip.
    monkeypatch.setattr("tts_meta.measures.intelligibility.load_recogniser", lambda: None)
    with pytest.raises(InputError, match=r"long\.flac is a long recording.*tts-meta\[asr\]"):
        complete_transcripts(clips[1:3], None)

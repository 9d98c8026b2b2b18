"""The clip doctor: good clips are green, every fault that is made on purpose is found, long recordings are cut in pauses."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, sosfilt

from tests.conftest import EXAMPLES, ROOT
from tts_meta.audio.activity import speech_spans
from tts_meta.audio.files import read_audio
from tts_meta.audio.measures import bandwidth, signal_to_noise
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.cutting import LONGEST, choose, cut
from tts_meta.clips.findings import Finding, worst
from tts_meta.clips.sound_coverage import SOUNDS, count_sounds, missing_sounds, prompts
from tts_meta.clips.speech_meter import Meter, expected, measured_speakers
from tts_meta.clips.transcripts import find_clips, find_transcripts
from tts_meta.text.phonemes import phonemize

PATHS = find_clips([EXAMPLES / "clips"])
TEXTS = find_transcripts(PATHS, None)


def about(check) -> set[tuple[str, str]]:
    return {(f.level, f.about) for f in check.findings}


@pytest.fixture(scope="module")
def healthy(starter):
    return check_clips(PATHS, TEXTS, starter)


def test_good_clips_are_green(healthy):
    assert healthy.level == "green" and not healthy.findings
    assert len(healthy.used) == 10 and 30 < healthy.meter.speech_seconds < 50
    assert not healthy.meter.missing and "10 clips, 39 s" in healthy.meter.sentence
    for c in healthy.clips:
        assert 5 < c.measures["phones_per_second"] < 22 and c.measures["text_margin"] > 0.85
        assert c.used.item.durations.sum() == len(c.used.item.mel)


def test_faults_made_on_purpose_are_found(tmp_path, starter):
    """One set with one fault a clip; the rest of the set stays usable."""
    audio = {p.stem: read_audio(p) for p in PATHS[2:8]}
    rng = np.random.default_rng(0)
    texts, paths = {}, []

    def put(name, samples, rate, text):
        paths.append(tmp_path / name)
        soundfile.write(paths[-1], np.clip(samples, -1, 1), rate)
        texts[paths[-1]] = text

    stems = list(audio)
    text_of = {p.stem: t for p, t in TEXTS.items()}
    for stem in stems[:4]:
        put(f"{stem}.wav", *audio[stem], text_of[stem])
    x, rate = audio[stems[4]]
    words = text_of[stems[4]]
    put("clipped.wav", np.clip(x * 30, -0.9, 0.9), rate, words)
    put("noisy.wav", x + rng.normal(size=len(x)) * np.sqrt((x**2).mean()) * 0.2, rate, words)
    y, _ = audio[stems[5]]
    put("muffled.wav", sosfilt(butter(10, 3300, fs=rate, output="sos"), y), rate, text_of[stems[5]])
    put("othertext.wav", y, rate, "The quick brown foxes never jumped over those lazy old dogs in the garden, did they?")
    put("same.flac", audio[stems[0]][0] * 0.5, rate, text_of[stems[0]])
    # Another voice: the same one faster and higher, as a tape would play it.
    put("highvoice.wav", np.interp(np.arange(0, len(y), 1.45), np.arange(len(y)), y), rate, text_of[stems[5]])
    put("silent.wav", np.zeros(rate), rate, "Nothing.")
    put("tooshort.wav", y[: rate // 4], rate, "No.")
    found = {c.path.name: c for c in check_clips(paths, texts, starter).clips}
    for stem in stems[:4]:
        assert found[f"{stem}.wav"].used, found[f"{stem}.wav"].findings
    assert ("red", "clipping") in about(found["clipped.wav"])
    assert "noise" in {f.about for f in found["noisy.wav"].findings}, found["noisy.wav"].measures
    assert ("amber", "bandwidth") in about(found["muffled.wav"]) and found["muffled.wav"].used
    assert ("red", "text") in about(found["othertext.wav"])
    assert ("red", "duplicate") in about(found["same.flac"])
    assert {f.about for f in found["highvoice.wav"].findings} & {"speaker"}, found["highvoice.wav"].measures
    assert ("red", "silence") in about(found["silent.wav"])
    assert ("red", "file") in about(found["tooshort.wav"]) and "0.25 s" in found["tooshort.wav"].findings[0].sentence
    for name in ("clipped.wav", "othertext.wav", "same.flac", "silent.wav", "tooshort.wav"):
        assert found[name].used is None and found[name].to_dict()["reason"]
    for c in found.values():
        assert all(f.sentence and (f.fix or f.about == "file") for f in c.findings)


def test_long_recordings_are_cut_in_pauses_with_their_words(starter):
    """Clips joined with pauses: no cut inside one's speech but in a pause of its own, and all words in order."""
    rate = 24000
    parts, spans, at = [], [], 0
    chosen = PATHS[1:7]
    for p in chosen:
        x, rate = read_audio(p)
        speech = speech_spans(x, rate)
        x = x[int(speech[0][0] * rate) : int(speech[-1][1] * rate)]
        spans.append((at / rate, (at + len(x)) / rate))
        parts += [x, np.zeros(int(0.5 * rate), np.float32)]
        at += len(x) + int(0.5 * rate)
    whole = np.concatenate([np.zeros(int(0.4 * rate), np.float32), *parts]).astype(np.float32)
    spans = [(a + 0.4, b + 0.4) for a, b in spans]
    text = " ".join(TEXTS[p] for p in chosen)
    pieces = cut(whole, rate, text, starter)
    assert len(pieces) > 2 and all(1.0 <= p.end - p.start <= LONGEST + 0.5 for p in pieces)
    assert " ".join(p.text for p in pieces) == text
    real = speech_spans(whole, rate)
    for piece in pieces:
        for edge in (piece.start, piece.end):
            assert not any(a + 0.02 < edge < b - 0.02 for a, b in real), (edge, real)
    # A piece that holds whole clips holds exactly their words.
    exact = 0
    for piece in pieces:
        inside = [p for p, (a, b) in zip(chosen, spans, strict=True) if a > piece.start - 0.1 and b < piece.end + 0.1]
        touched = [p for p, (a, b) in zip(chosen, spans, strict=True) if b > piece.start + 0.1 and a < piece.end - 0.1]
        if inside and inside == touched:
            assert piece.text == " ".join(TEXTS[p] for p in inside)
            exact += 1
    assert exact >= 2
    without = cut(whole, rate, None, starter)
    assert all(p.text is None and p.end - p.start <= LONGEST + 0.5 for p in without)


def test_the_cheapest_pauses_are_chosen():
    gaps = [(float(t), t + 0.3) for t in range(2, 40, 2)]
    chosen = choose(gaps, 0.0, 40.0)
    at = [0.0, *(sum(g) / 2 for g in chosen), 40.0]
    lengths = np.diff(at)
    assert (lengths <= 12).all() and (lengths >= 3).all()
    assert choose([], 0.0, 5.0) == []


def test_measures_against_known_sounds():
    rate = 22050
    t = np.arange(3 * rate) / rate
    rng = np.random.default_rng(0)
    tone = np.where((t > 1) & (t < 2), np.sin(2 * np.pi * 300 * t), 0.0)
    noise = rng.normal(size=len(t)) * np.sqrt(0.5) * 10 ** (-25 / 20)
    assert abs(signal_to_noise((tone + noise).astype(np.float32), rate, [(1.0, 2.0)]) - 25) < 0.5
    assert signal_to_noise(tone.astype(np.float32), rate, [(0.0, 3.0)]) is None
    low = sosfilt(butter(20, 3400, fs=rate, output="sos"), rng.normal(size=len(t)))
    assert 3300 < bandwidth(low.astype(np.float32), rate) < 4600
    assert bandwidth(rng.normal(size=len(t)).astype(np.float32), rate) > 10_500


def test_prompts_hold_every_sound_at_least_twice():
    texts = prompts()
    assert len(texts) == 20 and all(len(t.split()) <= 14 for t in texts)
    per = [count_sounds(p.symbol for p in phonemize(t)) for t in texts]
    assert all(sum(c[s] > 0 for c in per) >= 2 for s in SOUNDS)
    assert missing_sounds(["n"]) == [s for s in SOUNDS if s != "n"]


@pytest.mark.parametrize("kind", ["kokoro", "small"])
def test_the_meter_says_what_was_measured(kind):
    """At the measured points their numbers, between them between, nothing far below; the guide has the same table."""
    curve = json.loads((ROOT / "tts_meta" / "assets" / "expected_similarity.json").read_text())[kind]
    points = curve["points"]
    guide = (ROOT / "docs" / "how-many-clips.md").read_text()
    assert len(points) >= 4 and [p["seconds"] for p in points] == sorted(p["seconds"] for p in points)
    assert all(f"| {p['seconds']} | {p['low']:.2f} | {p['middle']:.2f} | {p['high']:.2f} |" in guide for p in points)
    for p, q in pairwise(points):
        assert expected(p["seconds"], kind) == (p["low"], p["middle"], p["high"])
        between = expected((p["seconds"] + q["seconds"]) / 2, kind)
        assert all(min(p[k], q[k]) <= v <= max(p[k], q[k]) for k, v in zip(("low", "middle", "high"), between, strict=True))
    assert expected(points[0]["seconds"] / 2, kind) is None
    said = Meter(1, 4.0, None, expected(points[0]["seconds"], kind), measured_speakers(kind)).sentence
    assert f"{100 * points[0]['middle']:.0f} % of the way" in said and f"{curve['speakers']} measured speakers" in said


def test_the_meter_is_the_networks(starter):
    found = [check_clips(sorted((EXAMPLES / "clips").glob("*.flac"))[:3], {}, n).meter for n in (starter, Other(starter))]
    assert found[0].expected != found[1].expected and found[0].speakers != found[1].speakers


class Other:
    """Kokoro, as the clip doctor sees it: its checker is the small network."""

    kind = "kokoro"

    def __init__(self, checker):
        self.checker = checker


def test_worst():
    assert worst([]) == "green"
    assert worst([Finding("amber", "a", "b"), Finding("red", "a", "b"), Finding("green", "a", "b")]) == "red"


@pytest.mark.parametrize(("text", "said"), [
    ("Yes.", "Its transcript is too short for that much speech."),
    ("Please call Stella. " * 20, "Its transcript is too long to be said in that time."),
])
def test_a_text_of_another_length_is_told(starter, text, said):
    clip = sorted((EXAMPLES / "clips").glob("*.flac"), key=lambda p: soundfile.info(p).duration)[-1]
    (found,) = check_clips([clip], {clip: text}, starter).clips
    assert found.level == "red" and said in [f.sentence for f in found.findings] and found.used is None

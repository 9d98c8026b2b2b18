"""Measure a voice against real clips of its speaker: similarity, WER, MCD, F0, speed; metrics.json and report.html.

Reference clips that were cloned from (their digests are in the voice file) are left out. Half of the rest make the
speaker's centroid; the texts of the other half are spoken by the clone and compared with the real recordings.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tts_meta.audio.features import ClipFeatures
from tts_meta.audio.files import replace_file, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.audio.vocoder import default_vocoder
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import check_clip
from tts_meta.errors import InputError
from tts_meta.evaluation.judge import Judge, Said, Sentence, realtime_factor, versions
from tts_meta.evaluation.kept import Kept, Measured
from tts_meta.evaluation.report import Story, write_report
from tts_meta.evaluation.spread import pitch_ratios, spread_ratios
from tts_meta.jobs.voice_origin import Making
from tts_meta.measures import quality, second_encoder
from tts_meta.measures.intelligibility import WHY_MISSING, load_recogniser, word_error_rate
from tts_meta.measures.similarity import ENCODER, centroid, embed, other_speakers, similarity
from tts_meta.processor import side_by_side
from tts_meta.side_by_side import each
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import Voice

STEP_SENTENCES = 3
"""Sentences that the kept steps say."""
SCORES = {"dnsmos": "ovrl", "p808": "p808", "distillmos": "distillmos"}
"""Predicted quality by our name of it, and the predictors'."""
APART = 0.1
"""Points by which two predictors have to differ, one over the recordings and one under, before a reader is told."""


@dataclass(frozen=True)
class Reference:
    """A recording of the speaker that a voice is judged by, with its text."""

    path: Path
    text: str
    features: ClipFeatures

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def sentence(self) -> Sentence:
        return Sentence(self.text, self.features)


def load_reference(
    folder: Path, transcripts: Path | None, exclude: set[str], say: Callable[[str], None]
) -> list[Reference]:
    """Usable real clips of the speaker that are not in `exclude` (SHA-256 digests)."""
    clips = [p for p in find_clips([folder]) if hashlib.sha256(p.read_bytes()).hexdigest() not in exclude]
    if len(clips) < 2:
        raise InputError(
            f"{folder} holds {len(clips)} clip(s) that the voice was not made from; at least 2 are expected to evaluate."
        )
    texts = complete_transcripts(clips, transcripts, say)
    found = []
    for path in (c for c in clips if c in texts):  # what cannot be read has no text and is said already
        try:
            found.append(Reference(path, texts[path], check_clip(path)))
        except InputError as e:
            say(f"left out: {e}")
    if len(found) < 2:
        raise InputError(f"{folder} holds fewer than 2 usable clips; add some of the same speaker.")
    return found


def evaluate_voice(
    starter: Network,
    voice: Voice,
    references: list[Reference],
    out: Path | None = None,
    limit: int = 10,
    say: Callable[[str], None] = lambda message: None,
    making: Making | None = None,
    command: str = "",
    kept: Kept | None = None,
    on_sentence: Callable[[int, int], None] = lambda done, of: None,
) -> dict:
    """The numbers of `metrics.json`; with `out` also report.html, utterances.csv and samples/*.wav.

    `kept` has what earlier evaluations measured of these recordings (default: nothing, and nothing is kept).
    `on_sentence` is told how many sentences are done, and of how many.
    `making` (what is known of the voice's job) adds its kept steps, the clips it was made from and its cost.
    """
    # Even and odd positions, so that both halves cover the same recording sessions.
    centre, judged = references[1::2], references[0::2][:limit]
    synth, recogniser = Synthesizer.of(starter, voice), load_recogniser()
    judge = Judge([r.sentence for r in judged], recogniser, lambda mel: default_vocoder()(mel), kept)
    rows: list[dict] = []
    sounded: dict[str, list[Measured]] = {"clone": [], "vocoded": [], "real": []}
    heard: dict[str, list[str]] = {"clone": [], "vocoded": [], "real": []}
    centres = list(each(lambda r: judge.recording(r.sentence, "centre"), centre, side_by_side()))
    centre_embeddings = [m.embedding for m in centres]
    middle = centroid(centre_embeddings)
    spoken: list[Said] = []

    def measured(r: Reference) -> tuple[Said, dict[str, Measured]]:
        said = judge.says(synth, r.sentence, predict=True)
        return said, {"clone": said.measured, **{kind: judge.recording(r.sentence, kind) for kind in ("vocoded", "real")}}

    at_once = side_by_side() if starter.threads else 1
    found_of = each(measured, judged, at_once)
    for number, (r, (said, sounds)) in enumerate(zip(judged, found_of, strict=True)):
        spoken.append(said)
        row: dict = {"file": r.path.name, "text": r.text}
        for kind, m in sounds.items():
            sounded[kind].append(m)
            row[f"similarity_{kind}"] = round(float(m.embedding @ middle), 4)
            if m.heard is not None:
                heard[kind].append(m.heard)
                row[f"heard_{kind}"] = m.heard
                row[f"wer_{kind}"] = round(word_error_rate([r.text], [m.heard]), 4)
            for name, score in SCORES.items():
                row[f"{name}_{kind}"] = round(m.dnsmos[score], 3) if m.dnsmos and score in m.dnsmos else None
            if kind == "clone":
                found = said.beside
                row["mcd_db"] = round(found["mcd_db"], 3)
                row["f0_rmse_cents"] = None if found["f0_cents"] is None else round(found["f0_cents"], 1)
                row["voicing_error"], row["length_error"] = (round(found[k], 4) for k in ("voicing_error", "length_error"))
            if out is not None:
                write_wav(out / "samples" / f"{number:02d}_{kind}.wav", m.samples, SAMPLE_RATE)
        rows.append(row)
        say(f"{number + 1}/{len(judged)} evaluated")
        on_sentence(number + 1, len(judged))
    mels = [(s.sound.mel, r.features.mel) for s, r in zip(spoken, judged, strict=True)]
    embeddings = {kind: [m.embedding for m in found] for kind, found in sounded.items()}
    bounds = similarity(centre_embeddings, embeddings["clone"], embeddings["vocoded"], embeddings["real"])
    texts = [r.text for r in judged]
    pitch = pitch_ratios([s.sound.f0 for s in spoken], [r.features.f0 for r in judged])
    second = second_opinion(centres, sounded)
    closer = float((other_speakers() @ middle < bounds.clone).mean())
    metrics: dict = {
        "voice": voice.name,
        "similarity": bounds.to_dict(), "second_encoder": second,
        "closer_than_other_speakers": round(closer, 4),
        "wer": {
            k: (round(word_error_rate(texts, heard[k]), 4) if recogniser else None) for k in ("clone", "vocoded", "real")
        },
        "mcd_db": round(float(np.mean([row["mcd_db"] for row in rows])), 3),
        "f0_rmse_cents": mean_or_none([row["f0_rmse_cents"] for row in rows]),
        **{k: round(float(np.mean([row[k] for row in rows])), 4) for k in ("voicing_error", "length_error")},
        **{name: {k: mean_or_none([row[f"{name}_{k}"] for row in rows]) for k in embeddings} for name in SCORES},
        "spread": {k: round(v, 3) for k, v in spread_ratios([a for a, _ in mels], [b for _, b in mels]).items()},
        "pitch": None if pitch is None else {"mean": round(pitch[0], 3), "spread": round(pitch[1], 3)},
        "realtime_factor": round(realtime_factor(spoken), 4),
        "utterances": len(judged),
        "encoder": ENCODER,
        "recogniser": recogniser.name if recogniser else None,
        "starter": starter.digest,
    }
    metrics["verdict"] = verdict(metrics)
    metrics |= {
        "command": command, "versions": versions(),
        "reference_digests": [r.digest for r in references],
    }
    making = making or Making()
    texts_of_steps = [r.text for r in judged[:STEP_SENTENCES]]

    def step_similarity(kept_step: tuple[int, Voice]) -> tuple[int, float]:
        """(a kept step, its mean cosine saying the first sentences); its sounds are written beside the others."""
        step, then = kept_step
        if _same(then, voice):  # it has said them
            sounds, embeddings = ([getattr(s.measured, k) for s in spoken[:STEP_SENTENCES]] for k in ("samples", "embedding"))
        else:
            synthesizer = Synthesizer.of(starter, then)
            sounds = [synthesizer.speak(t).samples for t in texts_of_steps]
            embeddings = [embed(y, SAMPLE_RATE) for y in sounds]
        if out is not None:
            for number, samples in enumerate(sounds):
                write_wav(out / "samples" / f"{number:02d}_step{step:06d}.wav", samples, SAMPLE_RATE)
        return step, float(np.mean([e @ middle for e in embeddings]))

    steps = list(each(step_similarity, making.steps, at_once))
    metrics["steps"] = [[step, round(value, 4)] for step, value in steps]
    if recogniser is None:
        metrics["wer"]["reason"] = WHY_MISSING
    for name, missing in (("dnsmos", quality.WHY_MISSING), ("p808", quality.WHY_MISSING), ("distillmos", quality.NO_SECOND)):
        if metrics[name]["clone"] is None:
            metrics[name]["reason"] = missing
    if out is not None:
        replace_file(out / "metrics.json", (json.dumps(metrics, indent=1) + "\n").encode())
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        replace_file(out / "utterances.csv", table.getvalue().encode())
        story = Story(steps, making.checkup, {"seconds": making.seconds, "bytes": making.bytes})
        write_report(out / "report.html", metrics, rows, voice.header, starter, mels[:2], out / "samples", story)
    return metrics


def _same(one: Voice, other: Voice) -> bool:
    """Whether two voices say everything alike."""
    return one.deltas.keys() == other.deltas.keys() and one.gains.pitch == other.gains.pitch and bool(
        np.array_equal(one.gains.cepstra, other.gains.cepstra)
    ) and all(v.equal(other.deltas[n]) for n, v in one.deltas.items())


def verdict(m: dict) -> str:
    """The result in two sentences."""
    s, w = m["similarity"], m["wer"]
    heard = "" if w["clone"] is None else (
        f" A recogniser misses {100 * w['clone']:.0f} of 100 of its words, and {100 * w['vocoded']:.0f} of the recordings' "
        "through the same vocoder."
    )
    return (
        f"{m['voice']} is closer to the speaker than {100 * m['closer_than_other_speakers']:.0f} % of other speakers "
        f"(similarity: others {s['floor']:.2f}, clone {s['clone']:.2f}, the speaker's recordings through the vocoder "
        f"{s['ceiling_vocoded']:.2f}; {100 * s['position']:.0f} % of the way{by_second(m)}).{heard}{disagreement(m)}"
    )


def by_second(m: dict) -> str:
    """How far the voice came by the second encoder, where it was asked."""
    found = m.get("second_encoder") or {}
    return "" if "position" not in found else f", {100 * found['position']:.0f} % by a second encoder, {found['name']}"


def second_opinion(centre: list[Measured], sounds: dict[str, list[Measured]]) -> dict:
    """The similarity by an encoder that nothing was chosen by, or the reason why there is none."""
    found = {k: [m.second for m in v if m.second is not None] for k, v in {"centre": centre, **sounds}.items()}
    if not second_encoder.is_there() or not all(found.values()):
        return {"reason": quality.NO_SECOND}
    bounds = similarity(found["centre"], found["clone"], found["vocoded"], found["real"], second_encoder.second_other_speakers())
    return {**second_encoder.encoder(), **bounds.to_dict()}


def disagreement(m: dict) -> str:
    """A sentence where one predictor of quality puts the clone over the recordings through the vocoder, and the other under."""
    first, second = (m.get(k) or {} for k in ("p808", "distillmos"))
    if None in (first.get("clone"), first.get("vocoded"), second.get("clone"), second.get("vocoded")):
        return ""
    a, b = first["clone"] - first["vocoded"], second["clone"] - second["vocoded"]
    if min(a, b) > -APART or max(a, b) < APART:
        return ""
    return f" Two predictors of quality disagree: beside those recordings P.808 gives it {a:+.2f}, distillmos {b:+.2f}; listen."


def mean_or_none(values: list[float | None]) -> float | None:
    """Mean of what was measured, to three digits; None when nothing was."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 3) if known else None

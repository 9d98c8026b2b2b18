"""The header of a voice file, key by key: what it is, and what it must be (docs/voice-file.md is made from this)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tts_meta.errors import InputError
from tts_meta.places import check_name
from tts_meta.starters.gains import GAINS, HIGHEST, LOWEST
from tts_meta.text.accents import ACCENTS

FORMAT = 4
LONGEST_TEXT = 2000  # characters of a statement or a note
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """`shape` says in words what is expected; `fits` tells whether a value is that."""

    name: str
    about: str
    shape: str
    fits: Callable[[Any], bool]
    needed: bool = True


def _whole(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 10**9


def _number(v: Any) -> bool:
    return isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) and abs(v) < 1e9


def _text(v: Any) -> bool:
    return isinstance(v, str) and len(v) <= LONGEST_TEXT


def _digest(v: Any) -> bool:
    return isinstance(v, str) and bool(_DIGEST.fullmatch(v))


def _gain(v: Any) -> bool:
    return _number(v) and LOWEST <= v <= HIGHEST


def _points(v: Any) -> bool:
    return isinstance(v, list) and len(v) <= 100_000 and all(
        isinstance(p, list) and len(p) == 2 and _whole(p[0]) and _number(p[1]) for p in v
    )


def _names(v: Any) -> bool:
    return isinstance(v, list) and 1 <= len(v) <= 1000 and all(isinstance(m, str) and len(m) <= 200 for m in v)


def _own_name(v: Any) -> bool:
    try:
        return isinstance(v, str) and check_name(v) == v
    except InputError:
        return False


KEYS = (
    Key("format", "version of this schema", str(FORMAT), lambda v: v == FORMAT),
    Key("name", "of the voice; what it is called in a library", "1 to 64 letters, digits, spaces, . - _", _own_name),
    Key("starter", "SHA-256 of the starter's weights that the deltas belong to", "64 hexadecimal digits", _digest),
    Key("modules", "that were adapted: the file holds all of their parameters, and no others", "a list of names", _names),
    Key("sample_rate", "of the speech (Hz)", "22050", lambda v: v == 22050),
    Key("clips", "learned from", "a whole number", _whole),
    Key("seconds", "of the clips", "a number", _number),
    Key("steps", "that were run", "a whole number", _whole),
    Key("best_step", "the step that the file holds", "a whole number", _whole),
    Key("method", "sigma, learned, embedding or all", "one of these",
        lambda v: v in ("sigma", "learned", "embedding", "all")),
    Key("accent", "in which texts are read; the starter's where it is not said", f"one of {', '.join(ACCENTS)}",
        lambda v: isinstance(v, str) and v in ACCENTS, False),
    Key("heldout_loss", "nats per mel frame of clips that were held out", "a list of [step, loss]", _points),
    Key("likeness",
        "cosine between a held-out sentence in the voice and the speaker's clips", "a list of [step, cosine]", _points, False),
    Key("variance_gains", "of the cepstral coefficients (docs/experiments.md)", f"{GAINS} numbers of {LOWEST} to {HIGHEST}",
        lambda v: isinstance(v, list) and len(v) == GAINS and all(map(_gain, v))),
    Key("pitch_gain", "of a sentence's log F0", f"a number of {LOWEST} to {HIGHEST}", _gain),
    Key("distance", "|theta - phi| / sqrt(D) of each module", "an object of numbers",
        lambda v: isinstance(v, dict) and len(v) <= 1000 and all(map(_number, v.values())), False),
    Key("consent", "who allowed the voice to be made", f"at most {LONGEST_TEXT:,} characters", _text),
    Key("purpose", "what it may be used for", f"at most {LONGEST_TEXT:,} characters", _text, False),
    Key("note", "the owner's own", f"at most {LONGEST_TEXT:,} characters", _text, False),
    Key("created", "time of the clone (UTC, ISO 8601)", "text", lambda v: _text(v) and len(v) < 64),
    Key("made_by", "program and version", "text", lambda v: _text(v) and len(v) < 100, False),
    Key("clip_digests", "SHA-256 of the clips, so that an evaluation can leave them out", "a list of digests",
        lambda v: isinstance(v, list) and len(v) <= 100_000 and all(map(_digest, v))),
)


def check_header(where: str, header: Any) -> dict:
    """The header itself. Raises InputError that says what was found in `where` and what was expected."""
    if not isinstance(header, dict):
        raise InputError(f"{where} has a header that is {type(header).__name__}; an object is expected, clone the voice again.")
    for key in KEYS:
        if key.name not in header:
            if key.needed:
                raise InputError(f"{where} has no {key.name} in its header; {key.shape} expected, clone the voice again.")
        elif not key.fits(header[key.name]):
            raise InputError(
                f"{where} holds {str(header[key.name])[:40]!r} as {key.name}; {key.shape} expected, clone the voice again."
            )
    return header


def describe() -> str:
    """The table of docs/voice-file.md."""
    rows = [f"| `{k.name}` | {k.shape} | {k.about} | {'yes' if k.needed else ''} |" for k in KEYS]
    return "\n".join(["| key | value | meaning | needed |", "|---|---|---|---|", *rows])

"""Ask people: a page that opens offline and saves a JSON, and what the JSONs of many listeners say.

abx: X is the same voice as A or B (one is real, one the clone): 50 % right means that nobody can tell.
mos: naturalness of each sound, 1 to 5. similarity: likeness of each voice to a recording of the speaker, 1 to 5.
The page does not hold the key in words; it is in KEY.json beside it, which the analysis needs.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
from jinja2 import Environment, select_autoescape
from scipy.stats import binomtest

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError

KINDS = ("abx", "mos", "similarity")
DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Heard:
    """One sound of a test: who or what speaks (`real` or a voice's name), which sentence, samples `[N]` at 22.05 kHz."""

    system: str
    sentence: int
    samples: np.ndarray


def make_page(path: Path, kind: str, sounds: Sequence[Heard], seed: int = 0, title: str = "Listening test") -> int:
    """Write the page to `path` and its key beside it; returns the number of trials.

    Raises InputError for an unknown kind and when there is too little to compare.
    """
    if kind not in KINDS:
        raise InputError(f"The kind of test is {kind!r}; one of {', '.join(KINDS)} is expected.")
    by_system: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for s in sounds:
        by_system[s.system][s.sentence] = s.samples
    if "real" not in by_system or len(by_system) < 2 or min(map(len, by_system.values())) < 2:
        raise InputError("A listening test needs recordings and at least one voice, each with two sentences or more.")
    rng = random.Random(seed)
    embedded: list[str] = []
    trials: list[dict] = []
    key: dict[str, dict] = {}
    for system in sorted(by_system):
        if system == "real" and kind != "mos":
            continue
        for sentence, samples in sorted(by_system[system].items()):
            name = hashlib.sha256(f"{seed} {system} {sentence} {len(trials)}".encode()).hexdigest()[:12]
            others = [k for k in by_system["real"] if k != sentence]
            row = {"system": system, "sentence": sentence}
            if kind == "mos":
                heard = [("", samples)]
            elif kind == "similarity":
                # Of another sentence: the same words would be compared instead of the voices.
                heard = [("The person", by_system["real"][rng.choice(others)]), ("Is this the same person?", samples)]
            else:
                both = [by_system["real"][sentence], samples] if sentence in by_system["real"] else None
                pool = [k for k in others if k in by_system[system]]
                if both is None or not pool:
                    continue
                swapped, of_clone = rng.random() < 0.5, rng.random() < 0.5
                x = by_system[system if of_clone else "real"][rng.choice(pool)]
                first, second = reversed(both) if swapped else both
                heard = [("A", first), ("B", second), ("X", x)]
                row["right"] = "A" if of_clone == swapped else "B"
            trials.append({"id": name, "sounds": [[n, _embed(s, embedded)] for n, s in heard]})
            key[name] = row
    test = hashlib.sha256(json.dumps([kind, sorted(key)]).encode()).hexdigest()[:16]
    rng.shuffle(trials)
    data = {"id": test, "kind": kind, "trials": trials, "sounds": embedded}
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    template = (files("tts_meta") / "assets" / "listening.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(title=title, kind=kind, data=data)
    replace_file(path, page.encode())
    replace_file(key_path(path), json.dumps({"test": test, "kind": kind, "trials": key}, indent=1).encode())
    return len(trials)


def key_path(page: Path) -> Path:
    """Where the key of a page is kept."""
    return page.with_name(page.stem + "-KEY.json")


def _embed(samples: np.ndarray, embedded: list[str]) -> int:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    url = "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
    if url not in embedded:
        embedded.append(url)
    return embedded.index(url)


def analyse(key: Path, answers: Sequence[Path]) -> dict:
    """What the listeners' files say: rows by system, with 95 % intervals.

    abx: share right, exact binomial interval and p-value against guessing. mos, similarity: mean, bootstrap over
    listeners and sentences. Raises InputError for files that are not answers to this test, and for one listener twice.
    """
    known = _json(key)
    if not {"test", "kind", "trials"} <= known.keys():
        raise InputError(f"{key} is not the key of a listening test; give PAGE-KEY.json.")
    given: dict[str, list[tuple[str, int, object]]] = defaultdict(list)
    listeners: dict[str, Path] = {}
    for path in answers:
        found = _json(path)
        if found.get("test") != known["test"]:
            raise InputError(f"{path} answers the test {found.get('test')!r}; answers to {known['test']!r} are expected.")
        who = str(found.get("listener", "")).strip()
        if who in listeners:
            raise InputError(f"{path} and {listeners[who]} are both of the listener {who!r}; give one of them.")
        listeners[who] = path
        for a in found.get("answers", []):
            row = known["trials"].get(a.get("id"))
            if row is None:
                raise InputError(f"{path} answers a trial {a.get('id')!r} that the test does not have.")
            value: object = a.get("answer") == row["right"] if known["kind"] == "abx" else _score(path, a.get("answer"))
            given[row["system"]].append((who, row["sentence"], value))
    if not given:
        raise InputError("There are no answers yet; give the JSON files that the page saved.")
    rows = [_row(known["kind"], system, given[system]) for system in sorted(given)]
    return {"kind": known["kind"], "listeners": len(listeners), "systems": rows}


def _score(path: Path, value: object) -> int:
    if str(value) not in ("1", "2", "3", "4", "5"):
        raise InputError(f"{path} has the answer {value!r}; 1 to 5 is expected.")
    return int(str(value))


def _row(kind: str, system: str, answers: list[tuple[str, int, object]]) -> dict:
    values = np.array([float(v) for _, _, v in answers])  # type: ignore[arg-type]
    row = {"system": system, "answers": len(values), "mean": round(float(values.mean()), 4)}
    if kind == "abx":
        test = binomtest(int(values.sum()), len(values), 0.5)
        low, high = test.proportion_ci(0.95)
        return {**row, "low": round(float(low), 4), "high": round(float(high), 4), "p_guessing": round(float(test.pvalue), 4)}
    people = sorted({a[0] for a in answers})
    sentences = sorted({a[1] for a in answers})
    table = np.full((len(people), len(sentences)), np.nan)
    for who, sentence, value in answers:
        table[people.index(who), sentences.index(sentence)] = value  # type: ignore[call-overload]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(DRAWS):
        drawn = table[np.ix_(rng.integers(len(people), size=len(people)), rng.integers(len(sentences), size=len(sentences)))]
        if np.isfinite(drawn).any():
            means.append(np.nanmean(drawn))
    low, high = np.percentile(means, [2.5, 97.5])
    return {**row, "low": round(float(low), 4), "high": round(float(high), 4)}


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"{path} could not be read as JSON ({e}); give the files that the page saved.") from e
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a list; an object is expected.")
    return found

"""Several voices of one speaker beside each other: the same references for all, none that any of them learned from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, select_autoescape

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.evaluation.evaluate import Reference, evaluate_voice
from tts_meta.evaluation.kept import Kept
from tts_meta.evaluation.report import embedded_sounds
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import Voice

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Voices compared</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.3rem .7rem;text-align:left}
.wrap{overflow-x:auto}.text{min-width:16rem}audio{width:12rem;height:2rem}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}</style></head><body><h1>Voices compared</h1>
<p>{{ count }} sentences, the same for all; no voice was made from their recordings.</p>
<div class="wrap"><table><tr><th>measure</th>{% for v in voices %}<th class="n">{{ v.voice }}</th>{% endfor %}</tr>
{% for name, cells in table %}<tr><td>{{ name }}</td>{% for c in cells %}<td class="n">{{ c }}</td>{% endfor %}</tr>{% endfor %}
</table></div>
<h2>Listen</h2>
<div class="wrap"><table><tr><th>sentence</th>{% for name, _ in heard %}<th>{{ name }}</th>{% endfor %}</tr>
{% for text in texts %}{% set number = loop.index0 %}<tr><td class="text">{{ text }}</td>
{% for name, sounds in heard %}<td>
<audio controls preload="none" src="{{ sounds[number] }}" aria-label="{{ name }}: {{ text }}"></audio></td>{% endfor %}</tr>
{% endfor %}</table></div>
<p>Each voice's own report: {% for v in voices %}
<a href="{{ folders[loop.index0] }}/report.html">{{ v.voice }}</a>{% endfor %}</p></body></html>"""


def compare_voices(
    starter: Network, voices: list[tuple[str, Voice]], references: list[Reference], out: Path,
    say: Callable[[str], None] = lambda message: None, kept: Kept | None = None,
) -> list[dict]:
    """Evaluate every (label, voice) into OUT/LABEL, and write compare.json and compare.html. Returns the metrics."""
    labels = [label for label, _ in voices]
    if len(set(labels)) < len(labels):
        raise InputError(f"The voices are called {', '.join(labels)}; names that differ are expected (rename one).")
    found, kept = [], kept or Kept()
    for label, voice in voices:
        say(label)
        found.append({**evaluate_voice(starter, voice, references, out / label, kept=kept), "voice": label})
    heard = [(name, {n: sound for (n, kind), sound in embedded_sounds(out / label / "samples").items() if kind == wanted})
             for name, label, wanted in [("real", labels[0], "real"), *((label, label, "clone") for label in labels)]]
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    page = environment.from_string(_PAGE).render(
        count=found[0]["utterances"], voices=found, table=table(found), folders=labels, heard=heard,
        texts=[r["text"] for r in csv.DictReader(io.StringIO((out / labels[0] / "utterances.csv").read_text(encoding="utf-8")))],
    )
    replace_file(out / "compare.json", json.dumps(found, indent=1).encode())
    replace_file(out / "compare.html", page.encode())
    return found


def table(metrics: list[dict]) -> list[tuple[str, list[str]]]:
    """(measure, a cell for each voice); what was not measured says so."""
    def row(name: str, read: Callable[[dict], float | None], form: str) -> tuple[str, list[str]]:
        values = [read(m) for m in metrics]
        return name, ["not measured" if v is None else form.format(v) for v in values]

    return [
        row("similarity to the speaker", lambda m: m["similarity"]["clone"], "{:.3f}"),
        row("position (0 others, 1 own recordings vocoded)", lambda m: m["similarity"]["position"], "{:.2f}"),
        row("closer than other speakers", lambda m: m["closer_than_other_speakers"], "{:.0%}"),
        row("word error rate", lambda m: m["wer"]["clone"], "{:.1%}"),
        row("DNSMOS overall", lambda m: m["dnsmos"]["clone"], "{:.2f}"),
        row("mel cepstral distortion (dB)", lambda m: m["mcd_db"], "{:.2f}"),
        row("F0 error (cents)", lambda m: m["f0_rmse_cents"], "{:.0f}"),
        row("length error", lambda m: m["length_error"], "{:.0%}"),
    ]

"""One self-contained HTML page of an evaluation: verdict, listening table, curves, module table, numbers; opens offline."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, select_autoescape

from tts_meta.audio.files import replace_file

if TYPE_CHECKING:
    from tts_meta.voices.starter import Starter

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ m.voice }}: evaluation</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0;font-size:.9rem}td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;
text-align:left;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}audio{width:11rem;height:2rem}
img{max-width:100%}.verdict{font-size:1.25rem;border-left:4px solid #2563eb;padding-left:1rem}.wrap{overflow-x:auto}
</style></head><body>
<h1>{{ m.voice }}</h1>
<p class="verdict">The clone is closer to the speaker than {{ (100 * m.closer_than_other_speakers) | round | int }} % of
other speakers' real clips. Similarity: other speakers {{ f2(s.floor) }}, clone {{ f2(s.clone) }}, real speech through the
vocoder {{ f2(s.ceiling_vocoded) }}; the clone is {{ (100 * s.position) | round | int }} % of the way.</p>
<h2>Numbers</h2>
<table><tr><th>measure</th><th class="n">clone</th><th class="n">vocoded real</th><th class="n">real</th></tr>
<tr><td>speaker similarity (cosine to the centroid, {{ m.encoder.name }} {{ m.encoder.version }})</td>
<td class="n">{{ f3(s.clone) }}</td><td class="n">{{ f3(s.ceiling_vocoded) }}</td><td class="n">{{ f3(s.ceiling_real) }}</td></tr>
<tr><td>word error rate ({{ m.recogniser or m.wer.reason }})</td><td class="n">{{ pc(m.wer.clone) }}</td>
<td class="n">{{ pc(m.wer.vocoded) }}</td><td class="n">{{ pc(m.wer.real) }}</td></tr>
<tr><td>predicted quality (DNSMOS overall, 1 to 5{% if m.dnsmos.reason %}; {{ m.dnsmos.reason }}{% endif %})</td>
<td class="n">{{ nm(m.dnsmos.clone) }}</td><td class="n">{{ nm(m.dnsmos.vocoded) }}</td>
<td class="n">{{ nm(m.dnsmos.real) }}</td></tr>
<tr><td>mel cepstral distortion (dB)</td><td class="n">{{ m.mcd_db }}</td><td></td><td></td></tr>
<tr><td>F0 error (cents, root mean square)</td><td class="n">{{ nm(m.f0_rmse_cents) }}</td><td></td><td></td></tr>
<tr><td>voicing error (frames voiced on one side only)</td><td class="n">{{ pc(m.voicing_error) }}</td><td></td><td></td></tr>
<tr><td>length error (share of the recording's)</td><td class="n">{{ pc(m.length_error) }}</td><td></td><td></td></tr>
<tr><td>real-time factor of synthesis</td><td class="n">{{ m.realtime_factor }}</td><td></td><td></td></tr></table>
<p>Floor: {{ f3(s.floor) }} (the speaker's centroid against fixed clips of other speakers). {{ m.utterances }} sentences.</p>
<h2>Listen</h2><div class="wrap"><table><tr><th>sentence</th><th>real</th><th>real, vocoded</th><th>clone</th></tr>
{% for r in rows %}<tr><td>{{ r.text }}</td>{% for kind in ("real", "vocoded", "clone") %}<td>
<audio controls preload="none" src="{{ sounds[r.number, kind] }}" aria-label="{{ kind }}"></audio><br>
{{ f2(r["similarity_" + kind]) }}{% if "wer_" + kind in r %}, WER {{ pc(r["wer_" + kind]) }}{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></div>
<h2>Mel spectrograms</h2><img alt="Log-mel spectrograms of the clone and of the real speaker" src="{{ mels }}">
<h2>Held-out loss while cloning</h2>{% if curve %}<img alt="Held-out loss against steps" src="{{ curve }}">
{% else %}<p>Not measured: no clip could be held out.</p>{% endif %}
<h2>Modules</h2><p>How far a module may go from phi is its sigma (relative to the size of its weights), learned over many
speakers. Those move whose way under their sigma was worth something to new speakers; the others stay at phi, the text
encoder always, so that its output is computed once. {{ moved }} of {{ total }} parameters moved.</p>
<div class="wrap"><table><tr><th>module</th><th class="n">parameters</th><th class="n">sigma / RMS</th><th></th>
<th class="n">distance from phi</th></tr>
{% for r in modules %}<tr><td>{{ r.name }}</td><td class="n">{{ "{:,}".format(r.parameters) }}</td>
<td class="n">{{ "%.4f" | format(r.sigma_relative) }}</td><td>{{ "moved" if r.moved else "frozen" }}</td>
<td class="n">{{ "%.5f" | format(header.distance[r.name]) if header.distance and r.name in header.distance else "" }}</td></tr>
{% endfor %}</table></div>
<h2>How it was made</h2><table>{% for k in ("clips", "seconds", "steps", "best_step", "method", "created", "consent") %}
<tr><td>{{ k }}</td><td>{{ header[k] }}</td></tr>{% endfor %}<tr><td>starter</td><td>{{ header.starter }}</td></tr></table>
</body></html>
"""


def _png(figure) -> str:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def plot_mels(pairs: list[tuple[np.ndarray, np.ndarray]]):
    """Clone above real for each pair of log-mels `[L, 80]`; returns the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(pairs), figsize=(5.5 * len(pairs), 5), squeeze=False, layout="constrained")
    for column, pair in enumerate(pairs):
        for row, (mel, title) in enumerate(zip(pair, ("clone", "real"), strict=True)):
            axes[row][column].imshow(mel.T, origin="lower", aspect="auto", vmin=-11, vmax=1, cmap="magma")
            axes[row][column].set_title(title)
            axes[row][column].set_ylabel("mel band")
        axes[1][column].set_xlabel("frame")
    return figure


def plot_curve(curve: list[list]):
    """Held-out loss against steps; returns the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3))
    axis.plot([c[0] for c in curve], [c[1] for c in curve])
    axis.set_xlabel("inner step")
    axis.set_ylabel("held-out loss (nats per frame)")
    axis.grid(alpha=0.3)
    return figure


def write_report(
    path: Path, metrics: dict, rows: list[dict], header: dict, starter: Starter,
    mels: list[tuple[np.ndarray, np.ndarray]], samples: Path,
) -> None:
    """Render the page to `path`; sounds in `samples` are embedded as FLAC."""
    import soundfile

    sounds: dict[tuple[int, str], str] = {}
    for number in range(len(rows)):
        for kind in ("real", "vocoded", "clone"):
            data, rate = soundfile.read(samples / f"{number:02d}_{kind}.wav")
            buffer = io.BytesIO()
            soundfile.write(buffer, data, rate, format="FLAC", subtype="PCM_16")
            sounds[number, kind] = "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
    modules = starter.module_table(header["modules"])
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    template = environment.from_string(_PAGE)
    curve = header.get("heldout_loss") or []
    page = template.render(
        m=metrics, s=metrics["similarity"], rows=[{**r, "number": i} for i, r in enumerate(rows)], header=header,
        sounds=sounds, modules=modules, mels=_png(plot_mels(mels)),
        curve=_png(plot_curve(curve)) if curve else "",
        moved=f"{sum(r['parameters'] for r in modules if r['moved']):,}",
        total=f"{sum(r['parameters'] for r in modules):,}",
        f2=lambda v: f"{v:.2f}", f3=lambda v: f"{v:.3f}",
        pc=lambda v: "not measured" if v is None else f"{100 * v:.1f} %",
        nm=lambda v: "not measured" if v is None else v,
    )
    replace_file(path, page.encode())

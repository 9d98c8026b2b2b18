"""The comparison as one page without other files, with pairs to listen to."""

from __future__ import annotations

import base64
from collections import defaultdict
from pathlib import Path

from evidence_cells import Grid
from jinja2 import Environment, select_autoescape

from tts_meta.audio.files import replace_file

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Which way of adapting a voice?</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem}table{border-collapse:collapse;font-size:.85rem;margin:1rem 0}td,th{border-bottom:1px solid #ddd;
padding:.25rem .5rem;text-align:left}img{max-width:100%}.verdict{border-left:4px solid #2563eb;
padding-left:1rem}.wrap{overflow-x:auto}audio{width:11rem;height:2rem}</style></head><body><h1>Which way of adapting a voice?</h1>
<div class="verdict">{% for p in verdict %}<p>{{ p }}</p>{% endfor %}</div>
{% for p in pictures %}<img alt="{{ p.name }}" src="{{ p.data }}">{% endfor %}
{% for t in tables %}<h2>{{ t.title }}</h2><div class="wrap"><table>
<tr>{% for c in t.head %}<th>{{ c }}</th>{% endfor %}</tr>
{% for r in t.rows %}<tr>{% for c in r %}<td>{{ c }}</td>{% endfor %}</tr>{% endfor %}</table></div>{% endfor %}
<h2>Listen</h2><div class="wrap"><table><tr><th>speaker</th>{% for m in methods %}<th>{{ m }}</th>{% endfor %}</tr>
{% for s, sounds in listen %}<tr><td>{{ s }}</td>{% for m in methods %}<td>{% if m in sounds %}
<audio controls preload="none" src="{{ sounds[m] }}" aria-label="{{ m }} as {{ s }}"></audio>{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></div></body></html>"""


def encoded(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def write_page(page: Path, text: str, folder: Path, names: list[str], verdict: list[str], root: Path, grid: Grid) -> None:
    tables = []
    for part in text.split("\n## ")[1:]:
        lines = [x for x in part.splitlines() if x.startswith("|")]
        split = [[c.strip() for c in x.strip("|").split("|")] for x in lines]
        tables.append({"title": part.splitlines()[0], "head": split[0], "rows": split[2:]})
    sounds: dict[str, dict[str, str]] = defaultdict(dict)
    for file in sorted((root / "sounds").glob("*-best-0.ogg")):
        method, speaker = file.name.split("-")[:2]
        sounds[speaker][method] = encoded(file, "audio/ogg")
    html = Environment(autoescape=select_autoescape(default=True, default_for_string=True)).from_string(PAGE).render(
        verdict=verdict, pictures=[{"name": n, "data": encoded(folder / n, "image/png")} for n in names], tables=tables,
        methods=["real", *grid.methods], listen=sorted(sounds.items()),
    )
    replace_file(page, html.encode())

"""Tables, pictures and the page of the comparison (recipes/compare.py): docs/evidence_tables.md, docs/evidence/*.png and
one self-contained HTML page with the listening pairs and the verdict of docs/evidence.md.

    python recipes/evidence.py [--cells runs/evidence] [--docs docs] [--page out/evidence.html]
    python recipes/evidence.py --cells docs/evidence/cells.tar.xz   # the same, of the published cells, without a run
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from evidence_pictures import pictures
from jinja2 import Environment, select_autoescape

from tts_meta.audio.files import replace_file
from tts_meta.evaluation.grid import (
    Interval,
    bootstrap,
    bootstrap_pooled,
    mean_of,
    pooled_eer,
    pooled_wer,
    similarity_of,
    verification,
    words_of,
)
from tts_meta.measures.verification import TRIALS

NATIVE = ("vctk", "librispeech-test-other")


class Grid:
    """All finished cells, by (method, shots, seed, speaker)."""

    def __init__(self, root: Path) -> None:
        self.speakers = {p.stem: json.loads(p.read_text()) for p in sorted((root / "speakers").glob("*.json"))}
        self.cells: dict[tuple, dict] = {}
        for p in sorted((root / "cells").glob("*.json")):
            c = json.loads(p.read_text())
            self.cells[c["method"], c["shots"], c["seed"], c["speaker"]] = c
        methods = list(dict.fromkeys(k[0] for k in self.cells))
        full = max((len(self.main(m)) for m in methods), default=0)
        # A mean over two speakers beside a mean over thirteen would only mislead.
        self.methods = [m for m in methods if len(self.main(m)) == full]
        self.unfinished = [m for m in methods if m not in self.methods]

    def main(self, method: str) -> dict[str, dict]:
        """{speaker: cell} of draw 0 with the most clips a speaker has."""
        found: dict[str, dict] = {}
        for (m, shots, seed, speaker), cell in self.cells.items():
            if m == method and seed == 0 and shots >= found.get(speaker, {"shots": 0})["shots"]:
                found[speaker] = cell
        return found

    def steps(self, method: str, key: str = "judged") -> list[int]:
        """The steps that every speaker of the method has."""
        sets = [{int(s) for s in c[key] if s != "best"} for c in self.main(method).values()]
        return sorted(set.intersection(*sets)) if sets else []

    def similarity(self, cells: dict[str, dict], step: str, key: str = "position") -> Interval:
        return bootstrap(similarity_of(c["judged"][step], self.speakers[s])[key] for s, c in cells.items())


def publish(root: Path, archive: Path) -> None:
    """Pack every cell, and what the speakers' own recordings measure; the same cells give the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=9) as tar:
        for path in sorted([*(root / "speakers").glob("*.json"), *(root / "cells").glob("*.json")]):
            content = path.read_bytes()
            entry = tarfile.TarInfo(str(path.relative_to(root)))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    replace_file(archive, packed.getvalue())


@contextlib.contextmanager
def opened(cells: Path) -> Iterator[Path]:
    """The folder of a comparison, or a published archive of it, unpacked for as long as it is looked at."""
    if cells.is_dir():
        yield cells
        return
    with tempfile.TemporaryDirectory() as folder, tarfile.open(cells) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder)


def row(values: list) -> str:
    return "| " + " | ".join(map(str, values)) + " |"


def table(head: list[str], rows: list[list]) -> str:
    return "\n".join([row(head), "|---" * len(head) + "|", *(row(r) for r in rows)])


def known(cell: dict, step: str, key: str) -> bool:
    """Whether the cell has the step ("best" among them): `curve` is the loss, `judged` what the clone was heard to say."""
    return step in cell[key] or (step == "best" and key == "curve")


def per_step(grid: Grid, title: str, value, key: str = "judged", native: bool = False) -> str:
    """A table of methods against steps; `value(method, cells, step)` is the text of a place."""
    corpora = NATIVE if native else {v["corpus"] for v in grid.speakers.values()}
    steps = [*map(str, sorted({s for m in grid.methods for s in grid.steps(m)})), "best"]
    rows = []
    for m in grid.methods:
        cells = {s: c for s, c in grid.main(m).items() if grid.speakers[s]["corpus"] in corpora}
        if not cells:
            continue  # no native speaker is done
        rows.append([m, len(cells), *(
            value(m, cells, s) if all(known(c, s, key) for c in cells.values()) else "–" for s in steps
        )])
    head = ["method", "speakers", *(f"step {s}" if s != "best" else "best step" for s in steps)]
    return f"## {title}\n\n" + table(head, rows) + "\n"


def eer_text(grid: Grid, cells: dict[str, dict], step: str) -> str:
    if len(grid.speakers) <= TRIALS:
        return "–"  # too few speakers are done to draw impostors from
    eer, pairs, groups = verification({s: c["judged"][step] for s, c in cells.items()}, grid.speakers)
    interval = bootstrap_pooled(groups, pooled_eer)
    return f"{interval.show(1, 100)} %, {100 * pairs:.1f} %"


def wer_interval(grid: Grid, cells: dict[str, dict], step: str) -> Interval:
    return bootstrap_pooled([words_of(c["judged"][step], grid.speakers[s]) for s, c in cells.items()], pooled_wer)


def lost_by_going_on(curve: dict[int, float], horizon: int) -> tuple[float, float]:
    """(lost, gained) in nats per frame: the loss above the lowest one up to `horizon`, and how much lower that is than step 0.

    A negative log-density has no zero, so that its ratio to the lowest loss would depend on the unit of the mel; differences
    do not, nor does the share of the gain that was lost.
    """
    best = min(v for step, v in curve.items() if step <= horizon)
    return curve[horizon] - best, curve[0] - best


def share_lost(groups: list[tuple[float, float]]) -> float:
    """What all speakers lost over what they had gained."""
    return sum(lost for lost, _ in groups) / sum(gained for _, gained in groups)


def last_against_best(grid: Grid) -> str:
    """How much of its own best each method loses by going on."""
    rows = []
    for m in grid.methods:
        cells = grid.main(m)
        out = [m, len(cells)]
        for horizon in (300, 1000, 3000):
            have = [c for c in cells.values() if c["steps"] >= horizon]
            if not have:
                out.append("–")
                continue
            found = [lost_by_going_on({int(k): v["total"] for k, v in c["curve"].items()}, horizon) for c in have]
            share = bootstrap_pooled(found, share_lost)
            out.append(f"{bootstrap(f[0] for f in found).show(2)}; {share.show(1, 100)} % ({len(have)})")
        rows.append(out)
    head = ["method", "speakers", "at 300", "at 1,000", "at 3,000 (speakers)"]
    told = "Nats per frame above the method's own lowest loss; the same as a share of what the adaptation had gained there."
    return f"## Loss above the method's own best, by going on\n\n{told}\n\n" + table(head, rows) + "\n"


def loss_at(cell: dict, step: str) -> float:
    """nats per frame at a step, or at the cell's own best one."""
    return cell["best"]["loss"] if step == "best" else cell["curve"][step]["total"]


def against(grid: Grid, other: str = "sigma_reptile") -> str:
    """Each method minus `other` on the same speakers: what an interval of each alone cannot tell."""
    parts = []
    measures = (
        ("Loss", "nats per frame; above 0: {} is better", "curve", lambda c, s, step: loss_at(c, step), 1),
        ("Position", "below 0: {} is better", "judged",
         lambda c, s, step: similarity_of(c["judged"][step], grid.speakers[s])["position"], -1),
    )
    for title, meaning, key, value, sign in measures:
        steps, rows = ["100", "300", "1000", "3000", "best"], []
        mine = grid.main(other)
        for m in grid.methods:
            if m == other:
                continue
            cells, out = grid.main(m), [m]
            for step in steps:
                both = [s for s in cells if s in mine and all(known(c[s], step, key) for c in (cells, mine))]
                if not both:
                    out.append("–")
                    continue
                found = bootstrap(value(cells[s], s, step) - value(mine[s], s, step) for s in both)
                worse, better = found.low > 0, found.high < 0
                word = ("worse" if worse == (sign > 0) else "better") if worse or better else "tied"
                out.append(f"{found.show(2)} {word if len(both) > TRIALS else ''} ({len(both)})")  # a few say nothing
            rows.append(out)
        head = ["method", *(f"step {s}" if s != "best" else "best step of each" for s in steps)]
        title += f": each method minus {other}, speaker by speaker ({meaning.format(other)})"
        parts.append(f"## {title}\n\n" + table(head, rows))
    return "\n\n".join(parts) + "\n"


def other_measures(grid: Grid, step: str) -> str:
    rows = []
    for m in grid.methods:
        cells = {s: c for s, c in grid.main(m).items() if step in c["judged"]}
        if not cells:
            continue
        mean = {k: bootstrap(mean_of(c["judged"][step], k) for c in cells.values()) for k in
                ("mcd_db", "f0_cents", "voicing_error", "length_error")}
        try:
            mos = bootstrap(mean_of(c["judged"][step], "dnsmos") for c in cells.values()).show(2)
        except ValueError:
            mos = "not measured"
        rows.append([
            m, wer_interval(grid, cells, step).show(1, 100), mean["mcd_db"].show(2), mean["f0_cents"].show(0),
            mean["voicing_error"].show(1, 100), mean["length_error"].show(1, 100), mos,
        ])
    for kind in ("vocoded", "real"):
        words = [words_of(s[kind], s) for s in grid.speakers.values()]
        try:
            mos = bootstrap(mean_of(s[kind], "dnsmos") for s in grid.speakers.values()).show(2)
        except ValueError:
            mos = "not measured"
        rows.append([f"({kind} recordings)", bootstrap_pooled(words, pooled_wer).show(1, 100), "", "", "", "", mos])
    head = ["method", "WER %", "MCD dB", "F0 cents", "voicing error %", "length error %", "DNSMOS"]
    return f"## What the clones say, at step {step}\n\n" + table(head, rows) + "\n"


def cost(grid: Grid) -> str:
    rows = []
    for m in grid.methods:
        cells = list(grid.main(m).values())
        seconds = np.median([c["seconds"] / c["steps"] for c in cells])
        moved = cells[0]["parameters"]
        rows.append([m, f"{moved:,}", f"{moved / 1e6:.2f}", f"{seconds:.3f}"])
    head = ["method", "parameters moved", "MB as a voice file (8 bits each)", "s a step (median, two cells at a time)"]
    return "## Cost\n\n" + table(head, rows) + "\n"


def per_speaker(grid: Grid, method: str, step: str) -> str:
    rows = []
    for s, c in grid.main(method).items():
        if step not in c["judged"]:
            continue
        found = similarity_of(c["judged"][step], grid.speakers[s])
        clone, ceiling = (pooled_wer([words_of(x, grid.speakers[s])]) for x in (c["judged"][step], grid.speakers[s]["vocoded"]))
        rows.append([
            f"{s} ({grid.speakers[s]['corpus']})", c["shots"], f"{c['seconds_of_speech']:.0f}",
            *(f"{found[k]:.3f}" for k in ("floor", "clone", "ceiling_vocoded", "ceiling_real")), f"{found['position']:.2f}",
            f"{100 * clone:.1f} %", f"{100 * ceiling:.1f} %",
        ])
    head = ["speaker", "clips", "s", "floor", "clone", "vocoded", "real", "position", "WER", "WER vocoded"]
    return f"## {method}, speaker by speaker, at step {step}\n\n" + table(head, rows) + "\n"


def by_shots(grid: Grid, step: str) -> str:
    """Methods that were also cloned from fewer clips; a speaker's draws of as many are averaged first."""
    found: dict[tuple, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for (m, shots, _, speaker), cell in grid.cells.items():
        if step in cell["judged"] and shots <= 5:
            found[m, shots][speaker].append(cell)
    several = {m for m, shots in found if shots < 5}
    for m in several:
        found[m, 10] = {s: [c] for s, c in grid.main(m).items()}
    rows = []
    for (m, shots), cells in sorted((k, v) for k, v in found.items() if k[0] in several):
        position = bootstrap(
            np.mean([similarity_of(c["judged"][step], grid.speakers[s])["position"] for c in group])
            for s, group in cells.items()
        )
        seconds = np.mean([c["seconds_of_speech"] for group in cells.values() for c in group])
        draws = sum(map(len, cells.values()))
        wer = wer_interval(grid, {s: group[0] for s, group in cells.items()}, step)
        rows.append([m, "10 (LibriSpeech 5)" if shots == 10 else shots, f"{seconds:.0f}", len(cells), draws, position.show(2),
                     wer.show(1, 100)])
    if not rows:
        return ""  # every cell has all its speaker's clips
    head = ["method", "clips", "mean seconds", "speakers", "cells", "position", "WER, % (first draw)"]
    return f"## Clips against similarity, at step {step}\n\n" + table(head, rows) + "\n"


def by_draws(grid: Grid, step: str) -> str:
    """How much it matters which clips a speaker gives: the spread of one speaker's draws beside that of the speakers."""
    drawn: dict[tuple, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for (m, shots, _, speaker), cell in sorted(grid.cells.items()):
        if step in cell["judged"]:
            drawn[m, shots][speaker].append(cell)
    rows = []
    for (m, shots), speakers in drawn.items():
        # A mean over the draws of a speaker who has only one would hide what is asked for.
        several = {s: cells for s, cells in speakers.items() if len(cells) > 1}
        if not several:
            continue
        out = [m, shots, len(several), sum(map(len, several.values()))]
        for digits, value in (
            (2, lambda c, s: similarity_of(c["judged"][step], grid.speakers[s])["position"]),
            (1, lambda c, s: loss_at(c, step)),
            (1, lambda c, s: 100 * pooled_wer([words_of(c["judged"][step], grid.speakers[s])])),
        ):
            found = [[value(c, s) for c in cells] for s, cells in several.items()]
            within = np.sqrt(np.mean([np.var(draws, ddof=1) for draws in found]))
            between = f"{np.std([np.mean(draws) for draws in found], ddof=1):.{digits}f}" if len(found) > 1 else "–"
            out += [bootstrap(np.mean(draws) for draws in found).show(digits), f"{within:.{digits}f}", between]
        rows.append(out)
    if not rows:
        return ""
    head = ["method", "clips", "speakers", "cells"]
    for name in ("position", "loss", "WER, %"):
        head += [name, "sd of a speaker's draws", "sd of speakers"]
    return f"## Other draws of the clips, at step {step}\n\n" + table(head, rows) + "\n"


def expectation(grid: Grid, method: str = "sigma_reptile", step: str = "300") -> dict:
    """What the clip doctor's meter tells people to expect: quartiles over speakers of the position, by seconds of clips.

    Every number of clips that at least half of the speakers were cloned from (draw 0) is a point.
    """
    by_count: dict[int, list[dict]] = {}
    for (m, shots, seed, _), cell in grid.cells.items():
        if m == method and seed == 0 and step in cell["judged"]:
            by_count.setdefault(10 if shots > 5 or cell is grid.main(method)[cell["speaker"]] else shots, []).append(cell)
    points = []
    for _, cells in sorted(by_count.items()):
        if len(cells) * 2 < len(grid.speakers):
            continue
        found = [similarity_of(c["judged"][step], grid.speakers[c["speaker"]])["position"] for c in cells]
        low, middle, high = (round(float(v), 3) for v in np.percentile(found, [25, 50, 75]))
        seconds = round(float(np.mean([c["seconds_of_speech"] for c in cells])), 1)
        points.append({"seconds": seconds, "low": low, "middle": middle, "high": high, "speakers": len(cells)})
    points.sort(key=lambda p: p["seconds"])
    return {"method": method, "step": int(step), "speakers": len(grid.speakers), "points": points}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--page", type=Path, default=Path("out/evidence.html"))
    parser.add_argument("--step", default="300", help="step of the tables of one step")
    parser.add_argument("--expect", type=Path, help="also write what the clip doctor's meter tells (the package's asset)")
    parser.add_argument("--publish", type=Path, help="also pack the cells into this file (.tar.xz)")
    args = parser.parse_args()
    if not args.cells.exists():
        raise SystemExit(f"{args.cells} does not exist; run recipes/compare.py first, or give a published archive.")
    with opened(args.cells) as root:
        write_all(args, root)


def write_all(args: argparse.Namespace, root: Path) -> None:
    """Everything that `args` asks for, of the cells in `root`."""
    grid = Grid(root)
    if not grid.cells:
        raise SystemExit(f"{args.cells} holds no finished cell; run recipes/compare.py first.")
    if args.publish:
        publish(root, args.publish)
    text = "\n".join([
        "<!-- Written by recipes/evidence.py; do not edit. -->\n",
        "Means over speakers; 95 % intervals by resampling the speakers. 10 clips a speaker (LibriSpeech: 5).\n",
        *([f"Not finished and left out: {', '.join(f'{m} ({len(grid.main(m))})' for m in grid.unfinished)} (speakers).\n"]
          if grid.unfinished else []),
        per_step(grid, "Loss of clips no method sees, nats per frame",
                 lambda m, cells, s: bootstrap(loss_at(c, s) for c in cells.values()).show(2), "curve"),
        against(grid),
        per_step(grid, "Position (0 other speakers, 1 the speaker's recordings through the vocoder)",
                 lambda m, cells, s: grid.similarity(cells, s).show(2)),
        per_step(grid, "Position, native speakers alone (VCTK, LibriSpeech)",
                 lambda m, cells, s: grid.similarity(cells, s).show(2), native=True),
        per_step(grid, "Verification: equal error rate, pair accuracy", lambda m, cells, s: eer_text(grid, cells, s)),
        last_against_best(grid), other_measures(grid, args.step), cost(grid),
        by_shots(grid, args.step), by_draws(grid, args.step), per_speaker(grid, "sigma_reptile", args.step),
    ])
    args.docs.mkdir(parents=True, exist_ok=True)
    replace_file(args.docs / "evidence_tables.md", text.encode())
    if args.expect:
        replace_file(args.expect, (json.dumps(expectation(grid), indent=1) + "\n").encode())
    names = pictures(grid, args.docs / "evidence")
    story = args.docs / "evidence.md"
    verdict = []
    if story.exists():
        part = story.read_text().split("## Verdict", 1)
        verdict = [p.replace("\n", " ") for p in part[-1].split("\n## ")[0].strip().split("\n\n")] if len(part) > 1 else []
    write_page(args.page, text, args.docs / "evidence", names, verdict, root, grid)
    print(f"{len(grid.cells)} cells: {args.docs / 'evidence_tables.md'}, {args.page}")


if __name__ == "__main__":
    main()

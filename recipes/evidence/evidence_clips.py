"""How many clips, and which: tables of the comparison, and what the clip doctor's meter tells people to expect."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from evidence_cells import Grid
from evidence_tables import loss_at, table, wer_interval

from tts_meta.evaluation.grid import bootstrap, pooled_wer, similarity_of, words_of


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

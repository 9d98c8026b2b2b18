"""Tables of the comparison: methods against steps, each against the shipped one, what going on loses, words, cost."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from evidence_cells import NATIVE, Grid

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

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.markdown import table  # noqa: E402


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

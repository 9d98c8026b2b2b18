"""Tables, pictures and the page of the comparison (recipes/evidence/compare.py): docs/small-network-tables.md,
docs/evidence/*.png and one self-contained HTML page with the listening pairs and the verdict of docs/small-network-evidence.md.

    python recipes/evidence/evidence.py [--cells runs/evidence] [--docs docs] [--page out/evidence.html]
    python recipes/evidence/evidence.py --cells docs/evidence/cells.tar.xz   # the same, of the published cells, without a run
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from evidence_cells import Grid, opened, publish
from evidence_clips import by_draws, by_shots, expectation
from evidence_page import write_page
from evidence_pictures import pictures
from evidence_tables import against, cost, eer_text, last_against_best, loss_at, other_measures, per_speaker, per_step

from tts_meta.audio.files import replace_file
from tts_meta.evaluation.grid import bootstrap


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
        raise SystemExit(f"{args.cells} does not exist; run recipes/evidence/compare.py first, or give a published archive.")
    with opened(args.cells) as root:
        write_all(args, root)


def write_all(args: argparse.Namespace, root: Path) -> None:
    """Everything that `args` asks for, of the cells in `root`."""
    grid = Grid(root)
    if not grid.cells:
        raise SystemExit(f"{args.cells} holds no finished cell; run recipes/evidence/compare.py first.")
    if args.publish:
        publish(root, args.publish)
    text = "\n".join([
        "<!-- Written by recipes/evidence/evidence.py; do not edit. -->\n",
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
    replace_file(args.docs / "small-network-tables.md", text.encode())
    if args.expect:
        known = json.loads(args.expect.read_text()) if args.expect.exists() else {}
        replace_file(args.expect, (json.dumps({**known, "small": expectation(grid)}, indent=1) + "\n").encode())
    names = pictures(grid, args.docs / "evidence")
    story = args.docs / "small-network-evidence.md"
    verdict = []
    if story.exists():
        part = story.read_text().split("## Verdict", 1)
        verdict = [p.replace("\n", " ") for p in part[-1].split("\n## ")[0].strip().split("\n\n")] if len(part) > 1 else []
    write_page(args.page, text, args.docs / "evidence", names, verdict, root, grid)
    print(f"{len(grid.cells)} cells: {args.docs / 'small-network-tables.md'}, {args.page}")


if __name__ == "__main__":
    main()

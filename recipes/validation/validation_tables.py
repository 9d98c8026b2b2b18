"""Tables and pictures of the validation runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share
from shared.validation_rows import by_seed, cell, spread  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.data.hierarchical_gaussian import EXPERIMENTS, linear_table, noise_floor  # noqa: E402
from tts_meta.training.fewshot.plots import plot_curve, plot_learning, plot_modules, plot_recovery  # noqa: E402


def measures_of(rows: list[dict[str, Any]]) -> list[str]:
    return list(rows[0]["result"])


def block_table(
    rows: list[dict[str, Any]], published: Mapping[str, float] | None = None, again: Mapping[str, list[float]] | None = None
) -> str:
    """One block's rows; with `published` end points (fractions) a column of them, with `again` one of several seeds."""
    names = measures_of(rows)
    best_at = {}
    for r in rows:
        sign = 1 if r["better"] == "lower" else -1
        best_at[r["algorithm"]] = min(r["curve"], key=lambda k, r=r, sign=sign: sign * r["curve"][k][r["measure"]]["mean"])
    head = ["algorithm", "at step", *names, f"best {names[0]} (step)", "last step", "train min"]
    head += ["mean ± sd over seeds"] if again else []
    head += ["tasks", "published"] if published else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        curve = r["curve"]
        best, last = best_at[r["algorithm"]], max(curve, key=int)
        lines.append("| " + " | ".join([
            r["algorithm"], str(r["report"]), *(cell(r["result"][m], m) for m in names),
            f"{cell(curve[best][names[0]], names[0])} ({best})", f"{cell(curve[last][names[0]], names[0])} ({last})",
            f"{r['train_seconds'] / 60:.1f}",
            *([spread(again[r["algorithm"]], names[0]) if r["algorithm"] in again else ""] if again else []),
            *seen_and_published(r, published),
        ]) + " |")
    return "\n".join(lines)


def seen_and_published(row: dict[str, Any], published: Mapping[str, float] | None) -> list[str]:
    """The last two cells of a row that stands beside published end points."""
    if not published:
        return []
    point = published.get(row["algorithm"])
    return [f"{row['meta_steps'] * row['tasks']:,}", "" if point is None else f"{100 * point:.1f}"]


def gaussian_lines(block: str) -> dict[str, float]:
    """Closed-form references of the linear experiment."""
    if block != "gaussian_linear":
        return {"noise floor": noise_floor("spiral")}
    exact = linear_table(4)
    return {"converged MLE": exact["mle"], "best single sigma": exact["single"], "true sigmas": exact["modular"]}


def sigma_table(rows: list[dict[str, Any]], true: Sequence[float]) -> str:
    """Learned against true sigma of the hierarchical Gaussian, a column an algorithm."""
    lines = ["| module | true sigma | " + " | ".join(r["algorithm"] for r in rows) + " |", "|---" * (len(rows) + 2) + "|"]
    for i, t in enumerate(true):
        learned = " | ".join(f"{r['modules'][i]['sigma']:.2f}" for r in rows)
        lines.append(f"| {rows[0]['modules'][i]['name']} | {t:g} | {learned} |")
    return "\n".join(lines)


def fill_expected(found: dict[str, list[dict[str, Any]]], page: Path) -> None:
    """Write the measured numbers into a page's <!--expect block/algorithm-->...<!--/--> marks."""
    by_name = {f"{block}/{r['algorithm']}": r for block, rows in found.items() for r in by_seed(rows)[0]}

    def fill(mark: re.Match) -> str:
        r = by_name.get(mark[1])
        if r is None:
            return mark[0]
        value = cell(r["result"][r["measure"]], r["measure"])
        value = f"{r['measure']} {value} at step {r['report']}, {r['train_seconds'] / 60:.1f} min to train"
        return f"<!--expect {mark[1]}-->{value}<!--/-->"

    if page.is_file():
        page.write_text(re.sub(r"<!--expect (\S+)-->.*?<!--/-->", fill, page.read_text()))


def write_tables(found: dict[str, list[dict[str, Any]]], cfg: dict[str, Any], docs: Path) -> None:
    """docs/validation.json, docs/validation_tables.md and docs/validation/*.png."""
    pictures = docs / "validation"
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [
        "<!-- Written by recipes/validation/validate.py; do not edit. -->",
        f"Size {cfg['size']}, seed {cfg['seed']}; ± is half a 95 % interval over the test tasks, where it says so the standard "
        "deviation over training runs of other seeds, which draw other tasks and begin elsewhere.",
    ]
    for block, each in found.items():
        rows, again = by_seed(each)
        title = cfg["blocks"][block]["title"]
        measure = rows[0]["measure"]
        lines = gaussian_lines(block) if block.startswith("gaussian") else None
        curves = {r["algorithm"]: r["curve"] for r in rows if len(r["curve"]) > 1}
        plot_curve(curves, measure, pictures / f"{block}.png", title, lines)
        tasks = rows[0]["test_tasks"]
        published = {a: mean for a, (mean, _) in cfg["blocks"][block].get("published", {}).items()}
        of_block = block_table(rows, published, again)
        parts += [f"## {title}", f"{tasks} test tasks.", of_block, f"![{title}](validation/{block}.png)"]
        if learning := {r["algorithm"]: r["learning"] for r in rows if r.get("learning")}:
            plot_learning(learning, measure, pictures / f"{block}-learning.png", title, published)
            parts += [f"![accuracy against tasks seen](validation/{block}-learning.png)"]
        learned = [r for r in rows if r["modules"]]
        if block.startswith("gaussian") and learned:
            true = EXPERIMENTS[block.split("_")[1]].sigma
            learned = [r for r in learned if len(r["modules"]) == len(true)]  # one sigma for all is no recovery
            picture = f"validation/{block}-sigma.png"
            plot_recovery({r["algorithm"]: [m["sigma"] for m in r["modules"]] for r in learned}, true, docs / picture)
            parts += ["Learned sigma:", sigma_table(learned, true), f"![learned against true sigma]({picture})"]
            continue
        for r in learned:
            if r["algorithm"] in ("sigma_reptile", "sigma_imaml", "sigma_maml", "joint_map"):
                name = f"{block}-{r['algorithm']}-modules.png"
                plot_modules(r["modules"], pictures / name, f"{title}: {r['algorithm']}")
                parts += [f"![learned sigma](validation/{name})"]
    replace_file(docs / "validation_tables.md", ("\n\n".join(parts) + "\n").encode())
    replace_file(docs / "validation.json", json.dumps(found, indent=1).encode())
    fill_expected(found, docs / "algorithms.md")

"""Tables of docs/validation.md: the main rows of a domain beside what was published or is known exactly."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from shared.markdown import table

from tts_meta.data.hierarchical_gaussian import linear_table

EXACT = {"maml": "mle", "reptile_long": "mle", "imaml": "single", "shrinkage": "single", "sigma_imaml": "modular",
         "sigma_reptile": "modular", "sigma_reptile_implicit": "modular"}
"""Which closed form of the linear experiment a row goes to."""
FORMS = {"mle": "converged maximum", "single": "best single sigma", "modular": "true sigmas"}


def cell(value: dict[str, float], measure: str) -> str:
    """"mean ± ci", in per cent for accuracies."""
    scale, digits = (100, 2) if measure in ("accuracy", "inductive") else (1, 3)
    return f"{scale * value['mean']:.{digits}f} ± {scale * value['ci95']:.{digits}f}"


def by_seed(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """(the first row of every algorithm, {algorithm: its first measure with every seed} of those that were run with several)."""
    of: dict[str, list[dict[str, Any]]] = {}
    for r in rows:
        of.setdefault(r["algorithm"], []).append(r)
    again = {a: [r["result"][r["measure"]]["mean"] for r in each] for a, each in of.items() if len(each) > 1}
    return [each[0] for each in of.values()], again


def spread(values: list[float], measure: str) -> str:
    """"mean ± standard deviation (how many)" of seeds, in per cent for accuracies."""
    return f"{cell({'mean': statistics.mean(values), 'ci95': statistics.stdev(values)}, measure)} ({len(values)})"


def beside(block: str, spec: Mapping, row: dict) -> tuple[str, str]:
    """(value, source) of what a row stands beside."""
    algorithm = row["algorithm"]
    if block == "gaussian_linear" and algorithm in EXACT:
        return f"{linear_table(4)[EXACT[algorithm]]:.3f}", f"closed form, {FORMS[EXACT[algorithm]]}"
    if algorithm in spec.get("published", {}):
        value, half = spec["published"][algorithm]
        return cell({"mean": value, "ci95": half}, row["measure"]), spec["source"]
    return "", ""


def validation_rows(block: str, spec: Mapping, found: list[dict]) -> str:
    """The main rows of a block of configs/validation.yaml (`spec`), `found` those of docs/validation.json: of the first seed the
    mean over test tasks and half a 95 % interval, of several the mean and standard deviation."""
    first, again = by_seed(found)
    named = {r["algorithm"]: r for r in first}
    rows = []
    for r in (named[n] for n in spec.get("main", spec["algorithms"]) if n in named):  # the others are not measured
        measure, last = r["measure"], max(r["curve"], key=int)
        further = f"{cell(r['curve'][last][measure], measure)} ({last})" if int(last) > r["report"] else ""
        seeds = spread(again[r["algorithm"]], measure) if r["algorithm"] in again else ""
        ours = cell(r["result"][measure], measure)
        rows.append([r["algorithm"], str(r["report"]), ours, seeds, further, *beside(block, spec, r)])
    measure = found[0]["measure"] if found else ""
    head = ["algorithm", "inner steps", measure + (", %" if measure == "accuracy" else ""), "over seeds", "going on to (step)",
            "published or exact", "source"]
    # A column that says nothing is left out.
    kept = [i for i in range(len(head)) if any(r[i] for r in rows)]
    return table([head[i] for i in kept], [[r[i] for i in kept] for r in rows])

"""Tables of docs/validation.md: the main rows of a domain beside what was published or is known exactly."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from shared.markdown import table

from tts_meta.data.hierarchical_gaussian import linear_table

MAIN = {
    "gaussian_linear": "maml reptile_long imaml shrinkage sigma_maml sigma_imaml sigma_reptile sigma_reptile_implicit joint_map",
    "gaussian_spiral": "maml reptile_long shrinkage sigma_imaml sigma_reptile sigma_reptile_implicit joint_map",
    "sinusoid_10": "maml fomaml anil reptile leap imaml maml_hb_point bmaml platipus versa abml reptile_long sigma_maml "
                   "sigma_imaml sigma_reptile sigma_reptile_diagonal sigma_reptile_implicit sigma_reptile_gauss_newton joint_map",
    "few_tasks_100": "maml bmaml reptile_long sigma_reptile sigma_imaml",
    "few_tasks_1000": "maml bmaml reptile_long sigma_reptile sigma_imaml",
    "omniglot_5w1s_long": "maml fomaml anil reptile reptile_carried imaml imaml_gauss_newton sigma_maml sigma_reptile_implicit "
                          "sigma_imaml_gauss_newton",
    "omniglot_5w1s": "maml sigma_maml reptile reptile_long sigma_reptile sigma_reptile_gauss_newton imaml sigma_imaml "
                     "sigma_imaml_gauss_newton fomaml anil versa platipus bmaml abml bayesian_taml leap joint_map",
    "omniglot_5w5s": "maml reptile sigma_maml sigma_reptile",
    "omniglot_20w1s": "maml sigma_maml",
    "omniglot_20w5s": "maml sigma_maml",
    "alphabets_few": "reptile_long fomaml_long sigma_reptile sigma_reptile_implicit sigma_imaml sigma_imaml_gauss_newton",
    "alphabets": "reptile_long reptile fomaml leap sigma_reptile",
    "caltech_5w1s": "maml sigma_maml anil reptile_long sigma_reptile",
    "caltech_5w1s_long": "maml sigma_maml fomaml reptile reptile_long sigma_reptile",
}
"""Block of docs/validation.json: its rows, in the table's order. A row that is not measured is left out."""
IMAML = "Rajeswaran et al. 2019, table 2"
PUBLISHED = {
    "omniglot_5w1s": {
        "maml": ("98.7 ± 0.4", IMAML), "fomaml": ("98.3 ± 0.5", IMAML), "reptile": ("97.68 ± 0.04", IMAML),
        "reptile_carried": ("97.68 ± 0.04", IMAML), "imaml": ("99.16 ± 0.35", IMAML),
        "imaml_gauss_newton": ("99.16 ± 0.35", IMAML),
    },
    "omniglot_5w5s": {"maml": ("99.9 ± 0.1", IMAML), "reptile": ("99.48 ± 0.06", IMAML)},
    "omniglot_20w1s": {"maml": ("95.8 ± 0.3", IMAML)},
    "omniglot_20w5s": {"maml": ("98.9 ± 0.2", IMAML)},
    "caltech_5w1s": {"maml": ("48.70 ± 1.84, miniImageNet", "Finn et al. 2017, table 1"),
                     "reptile": ("49.97 ± 0.32, miniImageNet", "Nichol et al. 2018, table 1")},
}
EXACT = {"maml": "mle", "reptile_long": "mle", "imaml": "single", "shrinkage": "single", "sigma_imaml": "modular",
         "sigma_reptile": "modular", "sigma_reptile_implicit": "modular"}
"""Which closed form of the linear experiment a row goes to."""
FORMS = {"mle": "converged maximum", "single": "best single sigma", "modular": "true sigmas"}


def beside(block: str, algorithm: str) -> tuple[str, str]:
    """(value, source) of what a row stands beside."""
    if block == "gaussian_linear" and algorithm in EXACT:
        return f"{linear_table(4)[EXACT[algorithm]]:.3f}", f"closed form, {FORMS[EXACT[algorithm]]}"
    return PUBLISHED.get(block.removesuffix("_long"), {}).get(algorithm, ("", ""))


def shown(value: float, half: float, measure: str) -> str:
    scale, digits = (100, 1) if measure == "accuracy" else (1, 3)
    return f"{scale * value:.{digits}f} ± {scale * half:.{digits}f}"


def validation_rows(block: str, path: Path) -> str:
    """The main rows of a block of `path` (docs/validation.json): of the first seed the mean over test tasks and half a 95 %
    interval, of several the mean and standard deviation."""
    found: dict[str, list[dict]] = {}
    for r in json.loads(path.read_text()).get(block, []):
        found.setdefault(r["algorithm"], []).append(r)
    rows = []
    for name in MAIN[block].split():
        if name not in found:
            continue
        first, measure = found[name][0], found[name][0]["measure"]
        each = [r["result"][measure]["mean"] for r in found[name]]
        last = max(first["curve"], key=int)
        at = first["result"][measure]
        end = first["curve"][last][measure]
        seeds = f"{shown(statistics.mean(each), statistics.stdev(each), measure)} ({len(each)})" if len(each) > 1 else ""
        further = shown(end["mean"], end["ci95"], measure) + f" ({last})" if int(last) > first["report"] else ""
        rows.append([name, str(first["report"]), shown(at["mean"], at["ci95"], measure), seeds, further, *beside(block, name)])
    measure = next(iter(found.values()))[0]["measure"] if found else ""
    head = ["algorithm", "inner steps", measure + (", %" if measure == "accuracy" else ""), "over seeds", "going on to (step)",
            "published or exact", "source"]
    # A column that says nothing is left out.
    kept = [i for i in range(len(head)) if any(r[i] for r in rows)]
    return table([head[i] for i in kept], [[r[i] for i in kept] for r in rows])

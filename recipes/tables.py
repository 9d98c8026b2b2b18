"""Tables of README.md and docs/, made of their data: what stands between `<!-- table NAME -->` and `<!-- /table -->`.

    python recipes/tables.py           # write them anew
    python recipes/tables.py --check   # say which differ from their data, and end with 1
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared.markdown import table  # noqa: E402
from shared.pairs import paired, scores  # noqa: E402
from shared.validation_rows import validation_rows  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402

DOCS = ROOT / "docs"
BLOCKS = OmegaConf.load(ROOT / "configs" / "validation.yaml").blocks
PLACE = re.compile(r"<!-- table ([\w ]+) -->\n(.*?)<!-- /table -->", re.S)


def data(name: str):
    return json.loads((DOCS / f"{name}.json").read_text())


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def per_cent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def kokoro_heldout(found: dict[str, dict] | None = None) -> str:
    """Of docs/kokoro_heldout.json, or of other rows."""
    head = ["speaker", "clips", "phonemes", "position", "by CAM++", "beside whole recordings", "P.808 (vocoded)",
            "distillmos (vocoded)", "WER", "F0 mean (over the clips')", "F0 spread (over the clips')", "rate"]
    rows = [
        [name, str(r["clips"]), r.get("accent", "american").title(), f"{r['position']:.2f}", f"{r['position_second']:.2f}",
         f"{r['position_whole']:.2f}",
         f"{r['p808']:.2f} ({r['p808_vocoded']:.2f})", f"{r['distillmos']:.2f} ({r['distillmos_vocoded']:.2f})",
         per_cent(r["wer"]), f"{r['f0']:.2f} ({r['f0_clips']:.2f})", f"{r['f0_spread']:.2f} ({r['f0_spread_clips']:.2f})",
         f"{r['rate']:.2f}"]
        for name, r in sorted((found or data("kokoro_heldout")).items())
    ]
    return table(head, rows)


def kokoro_accents() -> str:
    """How much likelier people's clips are with British phonemes, and in how many British is heard."""
    rows = []
    for folder, people in data("kokoro_accents").items():
        for native in (True, False):
            found = [r for n, r in people.items() if n.startswith("speechocean") != native]
            gains = sorted(r["gain"] for r in found)
            heard = sum(r["heard"] == "british" for r in found)
            rows.append([f"{'held-out' if folder == 'heldout' else 'of training'}, {'native' if native else 'Mandarin first'}",
                         str(len(found)), f"{statistics.median(gains):+.2f}", f"{gains[0]:+.2f} to {gains[-1]:+.2f}", str(heard)])
    return table(["people", "how many", "median", "range", "heard as British"], rows)


def quality() -> str:
    """Means, medians and the worst speaker: both networks, people whose first language is English and the others."""
    head = ["network, people", "how many", "position: mean, median, worst", "by a second encoder",
            "P.808 (their recordings, vocoded)", "distillmos (vocoded)", "WER of new sentences"]
    rows = []
    networks = (("kokoro_heldout", "Kokoro-82M (default)"), ("kokoro_heldout_learned", "the same, `--method learned`"))
    for (file, network), (native, people) in product(networks, ((True, "native speakers"), (False, "Mandarin first"))):
        found = [r for n, r in data(file).items() if n.startswith("speechocean") != native]
        if not found:
            continue
        means = {k: mean([r[k] for r in found]) for k in ("p808", "p808_vocoded", "distillmos", "distillmos_vocoded", "wer")}
        rows.append([f"{network}, {people}", str(len(found)), spread([r["position"] for r in found], native and "def" in network),
                     spread([r["position_second"] for r in found]),
                     *(f"{means[k]:.2f} ({means[k + '_vocoded']:.2f})" for k in ("p808", "distillmos")), per_cent(means["wer"])])
    for native, people in ((True, "native speakers"), (False, "Mandarin first")):
        old = [r for r in data("heldout") if (r["corpus"] != "speechocean762") == native]
        rows.append([f"small, {people}", str(len(old)), spread([r["similarity"]["position"] for r in old]), "–", "–", "–",
                     per_cent(mean([r["wer"]["new"] for r in old]))])
    return table(head, rows)


def spread(values: list[float], bold: bool = False) -> str:
    """Mean, median, least."""
    first = f"{mean(values):.2f}"
    return f"{f'**{first}**' if bold else first}, {statistics.median(values):.2f}, {min(values):.2f}"


def small_heldout(found: list[dict] | None = None) -> str:
    """Of docs/heldout.json, or of other rows."""
    head = ["speaker", "clips", "floor", "clone", "vocoded", "real", "position", "WER clone", "WER vocoded", "WER new", "seconds",
            "bytes"]
    rows = []
    for r in found or data("heldout"):
        s, w = r["similarity"], r["wer"]
        rows.append([
            f"{r['speaker']} ({r['corpus']})", str(r["support"]), f"{s['floor']:.3f}", f"{s['clone']:.3f}",
            f"{s['ceiling_vocoded']:.3f}", f"{s['ceiling_real']:.3f}", f"{s['position']:.2f}",
            *(per_cent(w.get(k)) for k in ("clone", "vocoded", "new")), f"{r['seconds_total']:.0f}", f"{r['bytes']:,}",
        ])
    return table(head, rows)


def kokoro_head() -> str:
    """Blocks and head beside the head alone."""
    both, alone = data("kokoro_heldout_narrow"), data("kokoro_heldout_head")
    three = "position, P.808, distillmos"
    head = ["speaker", f"blocks and head: {three}", "head alone", "their recordings, vocoded: P.808, distillmos"]
    rows = [
        [n, *(f"{r['position']:.2f}, {r['p808']:.2f}, {r['distillmos']:.2f}" for r in (both[n], alone[n])),
         f"{both[n]['p808_vocoded']:.2f}, {both[n]['distillmos_vocoded']:.2f}"]
        for n in sorted(alone)
    ]
    return table(head, rows)


def both_judges(cells: list[dict]) -> list[str]:
    """Means of likeness by two encoders and of quality by two judges."""
    forms = {"position": ".2f", "position_second": ".2f", "p808": "+.2f", "distillmos": "+.2f"}
    return [f"{mean([c[k] for c in cells]):{form}}" for k, form in forms.items()]


def kokoro_swap(found: dict | None = None) -> str:
    """Prosody swapped between recording and prediction, of docs/kokoro_swap.json or of other rows: means over people."""
    people = list((found or data("kokoro_swap")).values())
    rows = [[mix, *both_judges([p[mix] for p in people])] for mix in people[0]]
    return table(["prosody", "position", "by CAM++", "P.808", "distillmos"], rows)


def kokoro_sigmas() -> str:
    """Held-out people's clones under the package's sigma of the head, and under the one that sigma-iMAML learned."""
    rows = []
    for native, people in ((True, "native speakers"), (False, "Mandarin first")):
        for file, sigma in (("kokoro_heldout", "the package's"), ("kokoro_heldout_learned", "sigma-iMAML's, 200 meta-steps")):
            found = [r for n, r in data(file).items() if n.startswith("speechocean") != native]
            over = {k: [r[k] - r[f"{k}_vocoded"] for r in found] for k in ("p808", "distillmos")}
            positions = [r["position"] for r in found]
            rows.append([
                people, str(len(found)), sigma, f"{mean(positions):.2f}", f"{min(positions):.2f}",
                f"{mean([r['position_second'] for r in found]):.2f}", *(f"{mean(v):+.2f}" for v in over.values()),
                per_cent(mean([r["wer"] for r in found])),
            ])
    return table(["people", "how many", "the head's sigma", "position", "worst", "by CAM++", "P.808", "distillmos", "WER"], rows)


def kokoro_arms() -> str:
    """Every way of adapting that was tried on development people."""
    rows = []
    for key, arm in data("kokoro_arms").items():
        name, speaker = key.split("|")
        rows += [
            [name, arm.get("what", ""), speaker.split("/")[1], steps, f"{r['position']:.2f}", f"{r['p808']:+.2f}",
             f"{r['distillmos']:+.2f}", per_cent(r["wer"])]
            for steps, r in arm["at"].items()
            if arm.get("position") != "beside whole recordings"
        ]
    return table(["what moves", "how", "speaker", "steps", "position", "P.808", "distillmos", "WER"], rows)


def bench() -> str:
    rows = [
        [c["case"], c["against"], *(f"{c[k]['median']:.3f} s" for k in ("ours_s", "other_s")), f"{c['ratio']['median']:.2f}",
         str(c["goal"])]
        for c in data("bench")["cases"]
    ]
    return table(["meta-step", "against", "ours", "theirs", "ratio", "goal"], rows)


def roofline() -> str:
    """What a meta-step of the bench cannot be faster than."""
    rows = [
        [c["case"], f"{c['gflop']:.1f}", *(f"{c[k]:.3f} s" for k in ("as_convolutions_s", "also_moved_s", "ours_s", "theirs_s")),
         f"{c['ratio']:.2f}", f"{c['most_as_convolutions']:.2f}", str(c["goal"])]
        for c in data("roofline")["cases"]
    ]
    head = ["meta-step", "GFLOP", "its arithmetic alone", "and its traffic", "ours", "theirs", "ratio", "at most", "goal"]
    return table(head, rows)


SETTLING = {
    "chosen": "all modules", "settled": "all for 20 steps, then the head",
    "audible": "so, and no pitch is drawn in quiet frames (as a clone speaks)",
    "audible imaml 200": "as the third, the head's sigma by sigma-iMAML, 200 meta-steps",
    "imaml 30": "as the second, the head's sigma by sigma-iMAML, 30 meta-steps", "imaml 70": "so, 70 meta-steps",
    "imaml 200": "so, 200 meta-steps", "imaml 200 x1.5": "so, all of the head's 1.5 times as wide",
    "imaml 200 x2.5": "so, 2.5 times as wide",
}


def kokoro_settling() -> str:
    """All modules to the end, or the head alone after twenty steps, on development people."""
    found, rows = data("kokoro_settling"), []
    for name, said in SETTLING.items():
        cells = [v["at"] for k, v in found.items() if k.split("|")[0] == name]
        for step in cells[0] if cells else ():
            mean_of = {k: mean([c[step][k] for c in cells]) for k in ("position", "p808", "distillmos", "wer")}
            rows.append([said, step, str(len(cells)), f"{mean_of['position']:.2f}", f"{mean_of['p808']:+.2f}",
                         f"{mean_of['distillmos']:+.2f}", per_cent(mean_of["wer"])])
    return table(["what moves", "steps", "people", "position", "P.808", "distillmos", "WER"], rows)


def fast_speech(found: dict[str, dict] | None = None) -> str:
    """Wrong words of fast speech, of docs/fast_speech.json or of other rows."""
    rows = [[what, str(r["1.0"]["words"]), *(per_cent(r[s]["wrong"] / r[s]["words"]) for s in ("1.0", "1.5", "2.0"))]
            for what, r in (found or data("fast_speech")).items()]
    return table(["what is heard", "words", "at its own speed", "1.5 times as fast", "twice as fast"], rows)


METHODS = {
    "sigma_reptile": "46 modules under the package's sigma, after 20 steps the head's",
    "sigma_together": "the same, all 46 to the end",
    "sigma_imaml": "the same modules, the head's sigma by sigma-iMAML of 200 meta-steps",
    "no_prior": "the same modules, no prior",
    "finetune_all": "every weight of blocks and head", "head_all": "every weight of the head",
    "handpicked": "every weight of prosody, blocks and head, and both styles (Meta-TTS)",
    "lora": "low-rank updates of blocks and head, rank 7 (LoRA)",
    "weight_change": "the weights of blocks and head that change most, as many as a clone moves (VoiceTailor)",
    "adain": "the style and every norm's shift", "sea_emb": "the style alone",
    "reptile": "every weight of blocks and head, meta-trained by Reptile",
    "fomaml": "every weight of blocks and head, meta-trained by FO-MAML (five inner steps, as Meta-TTS)",
}


def vocoders(found: dict | None = None) -> str:
    """The two vocoders side by side, of docs/vocoders.json or of other rows: means over people, and the bundled voice."""
    found = found or data("vocoders")
    rows = []
    for what, people in ((f"copies of {len(found['copies'])} people's recordings", list(found["copies"].values())),
                         ("the bundled voice, eight sentences", [found["the bundled voice"]])):
        for name in ("hifigan", "fast"):
            each = [r[name] for r in people]
            wrong = sum(r["wrong"] for r in each) / sum(r["words"] for r in each)
            means = {k: mean([r[k] for r in each]) for k in ("likeness", "p808", "distillmos", "seconds")}
            rows.append([what, name, f"{means['likeness']:.3f}", f"{means['p808']:.2f}", f"{means['distillmos']:.2f}",
                         per_cent(wrong), f"{means['seconds']:.3f}"])
    head = ["what", "vocoder", "likeness", "P.808", "distillmos", "WER", "processor seconds a second"]
    return table(head, rows)


def kokoro_verification(found: dict | None = None) -> str:
    """Equal error rates of docs/kokoro_verification.json, or of other rows: clones and recordings, by each encoder."""
    rows = []
    for encoder, r in (found or data("kokoro_verification")).items():
        for kind, what in (("clones", f"clones of {r['people']} people"), ("recordings", "recordings that were learned from")):
            k = r[kind]
            interval = f"{per_cent(k['eer'])} [{100 * k['low']:.1f}, {100 * k['high']:.1f}]"
            rows.append([encoder, what, interval, per_cent(k["pairs"])])
    return table(["encoder", "what is tried", "equal error rate [95 %]", "own person nearer than another"], rows)


def noisy_clips(found: dict | None = None) -> str:
    """Clones of noisy clips, of docs/noisy_clips.json or of other rows: means over people."""
    people = list((found or data("noisy_clips")).values())
    rows = []
    for arm in people[0]:
        cells = [p[arm] for p in people]
        rows.append([arm, *both_judges(cells), per_cent(mean([c["wer"] for c in cells]))])
    return table(["noise under the clips", "position", "by CAM++", "P.808", "distillmos", "WER"], rows)


def kokoro_contrast(found: dict | None = None) -> str:
    """Clones and recordings with more contrast, of docs/kokoro_contrast.json or of other rows: means over people."""
    people = list((found or data("kokoro_contrast")).values())
    rows = []
    for factor in people[0]["clone"]:
        kinds = [(what, k) for what in ("clone", "recordings") for k in ("p808", "distillmos")]
        cells = [f"{mean([p[what][factor][k] for p in people]):+.2f}" for what, k in kinds]
        rows.append([factor, f"{mean([p['clone'][factor]['position'] for p in people]):.2f}", *cells])
    head = ["factor", "clones: position", "P.808", "distillmos", "recordings: P.808", "distillmos"]
    return table(head, rows)


AVERAGE = "the starter's own voice"
"""Beside the speakers in docs/kokoro_fit.json."""


def kokoro_fit(found: dict | None = None) -> str:
    """The starter and clones beside recordings, of docs/kokoro_fit.json or of other rows: means over people."""
    people = [v for k, v in (found or data("kokoro_fit")).items() if k != AVERAGE]
    rows = []
    for what in people[0]:
        cells = {k: mean([p[what][k] for p in people]) for k in people[0][what]}
        who = what if " " in what else f"clones, `--method {what}`"
        voicing = f"{per_cent(cells.pop('voicing'))} ({per_cent(cells.pop('voicing_drawn'))})"
        rows.append([who, *(f"{v:.2f}" for v in cells.values()), voicing])
    head = ["what", "L1, nats", "spread ratio of cepstra 1-8", "9-20", "21-40", "F0 spread",
            "voicing error (with a pitch in quiet frames)"]
    return table(head, rows)


def engines(found: dict | None = None) -> str:
    """The product beside other engines, of docs/engines.json or of other rows."""
    found = found or data("engines")
    head = ["engine", "seconds of one core, a second of speech", "until the first sentence is made, s", "memory, GB", "P.808",
            "distillmos", "WER"]
    return table(head, [
        [name, f"{r['seconds']:.2f}", f"{r['load']:.1f}", f"{r['memory'] / 1024:.1f}", f"{r['p808']:.2f}",
         f"{r['distillmos']:.2f}", per_cent(r["wer"])] for name, r in found["engines"].items()
    ])


def everybody(found: dict[str, dict]) -> list[str]:
    """The speakers whom every method has cloned."""
    by: dict[str, set[str]] = {}
    for key in found:
        by.setdefault(key.split("|")[0], set()).add(key.split("|")[1])
    return sorted(set.intersection(*by.values()))


def moved_by(method: str, spec: dict) -> str:
    """What a method moves, and its rate."""
    rate = spec.get("rate")
    return METHODS[method] + (f" (Adam {rate:.0e})".replace("e-0", "e-") if rate else "")


def kokoro_methods(found: dict[str, dict] | None = None) -> str:
    """Ways of adapting Kokoro side by side, means over the speakers that all of them have cloned."""
    found = found or data("kokoro_evidence")
    people, rows = everybody(found), []
    for method in METHODS:
        cells = [found[f"{method}|{p}|300"] for p in people if f"{method}|{p}|300" in found]
        if not cells:
            continue
        what = moved_by(method, cells[0]["spec"])
        for step in ("60", "120", "300"):
            at = [c["sounds"][step] for c in cells]
            over = mean([c["losses"][step] - min(c["losses"].values()) for c in cells])
            rows.append([
                method, what, step, *(f"{mean([a[k] for a in at]):{form}}" for k, form in
                                      (("position", ".2f"), ("p808", "+.2f"), ("distillmos", "+.2f"))),
                per_cent(mean([a["wer"] for a in at])), f"{mean([c['losses'][step] for c in cells]):.1f}", f"{over:.1f}",
            ])
    head = ["method", "what moves", "steps", "position", "P.808", "distillmos", "WER", "loss of other recordings, nats a frame",
            "over its best"]
    return table(head, rows)


def kokoro_pairs(found: dict[str, dict] | None = None) -> str:
    """LoRA and the sigma that sigma-iMAML learned beside the package's sigma, person by person."""
    return paired(scores(data("kokoro_evidence"), data("kokoro_pairs") if found is None else found), ["sigma_imaml", "lora"])


def kokoro_long(found: dict[str, dict] | None = None) -> str:
    """Clones that go on to 3,000 steps, of docs/kokoro_long.json or of other rows, speaker by speaker."""
    order, rows = list(METHODS), []
    cells = [(*key.split("|"), cell) for key, cell in (found or data("kokoro_long")).items()]
    for method, speaker, _, cell in sorted(cells, key=lambda c: (c[1], order.index(c[0]))):
        for step, a in cell["sounds"].items():
            if step != "0":
                rows.append([
                    speaker, method, step, f"{a['position']:.2f}", f"{a['position_second']:.2f}", f"{a['p808']:+.2f}",
                    f"{a['distillmos']:+.2f}", per_cent(a["wer"]), f"{cell['losses'][step]:.1f}",
                ])
    head = ["speaker", "method", "steps", "position", "by CAM++", "P.808", "distillmos", "WER",
            "loss of other recordings, nats a frame"]
    return table(head, rows)


def by_amount(found: dict[str, dict]) -> list[tuple[str, list[dict]]]:
    """(how much was learned from, the cells) of docs/kokoro_amounts.json, the least first. Who has eighteen clips gave nine for
    ten."""
    amounts: dict[str, list[dict]] = {}
    for key, cell in found.items():
        amount = key.split("|")[3]
        amounts.setdefault("10" if amount == "9" else amount, []).append(cell)
    return sorted(amounts.items(), key=lambda a: mean([c["seconds"] for c in a[1]]))


def kokoro_amounts(found: dict[str, dict] | None = None) -> str:
    """What more clips bring: quartiles over speakers, as the clip doctor's meter reads them."""
    rows = []
    for amount, cells in by_amount(found or data("kokoro_amounts")):
        sounds = [c["sounds"]["120"] for c in cells]
        second = [c.get("position_second") for c in sounds]
        rows.append([
            amount.replace("240 s", "4 minutes"), str(len(cells)), f"{mean([c['seconds'] for c in cells]):.1f}",
            *(f"{q:.2f}" for q in quartiles([c["position"] for c in sounds])),
            "–" if None in second else f"{mean(second):.2f}",
            *(f"{mean([c[k] for c in sounds]):+.2f}" for k in ("p808", "distillmos")), per_cent(mean([c["wer"] for c in sounds])),
        ])
    return table(["clips", "speakers", "seconds of clips", "position: a quarter of the speakers is under", "half are under",
                  "three quarters are under", "by a second encoder, mean", "P.808", "distillmos", "WER"], rows)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def validation(block: str) -> str:
    """Rows of docs/validation.json as docs/validation.md has them."""
    return validation_rows(block, BLOCKS[block], data("validation").get(block, []))


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f for f in (
        kokoro_heldout, kokoro_sigmas, quality, small_heldout, kokoro_head, kokoro_swap, kokoro_arms, bench, fast_speech,
        vocoders, engines, kokoro_verification, noisy_clips, kokoro_contrast, kokoro_fit, kokoro_methods, kokoro_pairs,
        kokoro_long, kokoro_amounts, roofline, kokoro_settling, kokoro_accents,
    )
} | {f"validation_{block}": partial(validation, block) for block in BLOCKS}


def pages() -> Iterator[tuple[Path, str, str]]:
    """(page, what it is, what it should be) of every page that has a table."""
    for page in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]:
        text = page.read_text()
        made = PLACE.sub(lambda m: f"<!-- table {m[1]} -->\n{TABLES[m[1]]()}\n<!-- /table -->", text)
        if PLACE.search(text):
            yield page, text, made


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    args = p.parse_args()
    wrong = []
    for page, text, made in pages():
        if text != made and args.check:
            names = [m[1] for m in PLACE.finditer(text) if m[2].rstrip("\n") != TABLES[m[1]]()]
            wrong.append(f"{page.relative_to(ROOT)}: {', '.join(names)}")
        elif text != made:
            replace_file(page, made.encode())
    if wrong:
        sys.exit("These tables are not those of their data; `python recipes/tables.py` writes them: " + "; ".join(wrong))


if __name__ == "__main__":
    main()

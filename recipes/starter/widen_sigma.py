"""How wide should sigma be for the modules that a clone moves? Chosen on development speakers (never held-out ones).

    python recipes/starter/widen_sigma.py runs/starter --out runs/starter/widths.json

Phase 2 learns every sigma while all modules move together and by a first-order gradient; a clone moves few of them, and
its loss is not its likeness. Here the sigmas of two kinds of modules, the decoder's convolutions (`conv`) and the
projections after them (`out`), are multiplied by factors; each development speaker is adapted and speaks new sentences.
Kept are the factors with the highest mean position whose loss of query clips is not above that of the learned sigmas,
nor their word error rate. Resumable.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import shrinking
from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.audio.vocoder import default_vocoder
from tts_meta.data.batch import Item
from tts_meta.data.tasks import SpeakerTask
from tts_meta.measures.intelligibility import load_recogniser, word_error_rate
from tts_meta.measures.similarity import embed, similarity
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.small_starter import Starter
from tts_meta.starters.variance import measure_gains

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import load_trainer, make_starter, phase2_parts  # noqa: E402


def widths(moved: list[str], out: float, conv: float) -> dict[str, float]:
    """{module: factor} of the moved modules that have one."""
    kinds = {"out": out, "conv": conv}
    return {m: kinds[m.rpartition(".")[2]] for m in moved if kinds.get(m.rpartition(".")[2], 1.0) != 1.0}


def measure(starter: Starter, task: SpeakerTask, steps: int, texts: list[str]) -> dict:
    """{loss (query clips, nats per frame), position, heard} of one speaker's clone under `starter`'s sigmas."""
    support, query, vocoder = list(task.support_items), list(task.query_items), default_vocoder()

    def vocoded(items: list[Item]) -> list[np.ndarray]:
        return [embed(vocoder(starter.norm.mel_inverse(i.mel)), SAMPLE_RATE) for i in items]

    run = AdaptationRun(starter, shrinking(starter), support, query, steps, steps, starter.adaptation.clips)
    for _ in run:
        pass
    deltas = run.now()  # after all steps, as with a user who has no clip to spare for choosing the best
    synthesizer = Synthesizer(starter, deltas, vocoder, measure_gains(starter, deltas, support))
    sounds = [synthesizer.speak(t).samples for t in texts]
    ceiling = vocoded(query)
    # Recordings through the vocoder on all sides: what is compared is the acoustic model.
    found = similarity(vocoded(support), [embed(x, SAMPLE_RATE) for x in sounds], ceiling, ceiling)
    recogniser = load_recogniser()
    heard = [recogniser.transcribe(x, SAMPLE_RATE) for x in sounds] if recogniser else []
    return {"loss": run.history[-1][1], "position": found.position, "heard": heard}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="the prepared corpus, where it has moved since the training")
    parser.add_argument("--worth", type=Path, help="of recipes/starter/choose_modules.py; default: the run's worth.json")
    parser.add_argument("--out", type=Path, help="default: the run's widths.json")
    parser.add_argument(
        "--factors", nargs="+", default=["1,1", "2,2", "3,1", "3,2"], help="OUT,CONV; the first is the base"
    )
    parser.add_argument("--speakers", type=int, default=4, help="of each corpus, those with most clips first")
    parser.add_argument("--sentences", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="the horizon sigma was learned at")
    args = parser.parse_args()
    args.worth, args.out = args.worth or args.run / "worth.json", args.out or args.run / "widths.json"
    torch.set_num_threads(1)
    trainer, parts = load_trainer(args.run, args.data), phase2_parts(args.run)
    moved = json.loads(args.worth.read_text())["moved"]
    by_corpus: dict[str, list[str]] = {}
    for s in sorted(trainer.dev, key=lambda s: -len(trainer.groups[s])):
        by_corpus.setdefault(s.split("/")[0], []).append(s)
    names = [s for group in by_corpus.values() for s in group[: args.speakers]]
    texts = (Path(__file__).resolve().parents[1] / "sentences.txt").read_text().splitlines()[: args.sentences]
    table: list[tuple[str, float, float, float]] = []
    done = json.loads(args.out.read_text()).get("rows", {}) if args.out.exists() else {}
    for factors in args.factors:
        out, conv = map(float, factors.split(","))
        starter = make_starter(parts, args.run / "widened" / factors, moved=moved, widths=widths(moved, out, conv))
        made_of = f"{starter.identity[:12]} {factors} {args.steps} {args.sentences}"
        for name in names:
            key = f"{made_of} {name}"
            if key in done:
                continue
            done[key] = measure(starter, trainer.task(name, torch.Generator().manual_seed(0)), args.steps, texts)
            replace_file(args.out, json.dumps({"rows": done}, indent=1).encode())
            print(f"{key}: loss {done[key]['loss']:.2f}, position {done[key]['position']:.2f}", flush=True)
        rows = [r for k, r in done.items() if k in {f"{made_of} {name}" for name in names}]
        wer = word_error_rate(texts * len(rows), [h for r in rows for h in r["heard"]]) if rows[0]["heard"] else 0.0
        table.append((factors, *(float(np.mean([r[k] for r in rows])) for k in ("position", "loss")), wer))
    base = table[0]
    fine = [r for r in table if r[2] <= base[2] and r[3] <= base[3]]
    kept = max(fine, key=lambda r: r[1])
    print("\n| out, conv | position | loss (nats per frame) | WER |\n|---|---|---|---|")
    for r in table:
        print(f"| {r[0]}{' **kept**' if r is kept else ''} | {r[1]:.3f} | {r[2]:.2f} | {100 * r[3]:.1f} % |")
    found = widths(moved, *map(float, kept[0].split(",")))
    replace_file(args.out, json.dumps({"widths": found, "rows": done}, indent=1).encode())


if __name__ == "__main__":
    main()

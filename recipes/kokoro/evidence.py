"""Which way of adapting Kokoro? Held-out people, cloned by every method from the same clips, judged as they go.

    pip install -e '.[judges]'       # distillmos, a second judge of naturalness
    python recipes/kokoro/evidence.py ../shared/data/speech/heldout --out docs/kokoro_evidence.json

The first ten clips (six where there are no more) are learned from. After each of SOUNDS steps eight sentences that none of
them said are spoken and judged as recipes/kokoro/heldout.py does; after each of LOSSES the negative log-likelihood of
the person's other recordings is measured, with the prosody of the recordings, nats a frame. Rates were chosen on development
people (docs/kokoro_arms.md). A cell (method and speaker) that is in the file is not made again. Five minutes a cell on one core.

    python recipes/kokoro/evidence.py HELDOUT --out docs/kokoro_amounts.json --methods sigma_reptile --steps 120 \
        --amounts "5,10,20,240 s" --speakers 1188,6829,7176,8455

clones readers with minutes from so many clips, or from so many seconds of them (docs/how-many-clips.md); all are measured on
the last eight. With `--expect tts_meta/assets/expected_similarity.json` what the clip doctor's meter tells is written of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from arms import FOLKLORE, LEARNED, Judges, dense, plain_kokoro, with_sigmas  # noqa: E402
from heldout import LONGEST, SENTENCES, by_second, cut_alike, share, spoken  # noqa: E402
from tables import by_amount, quartiles  # noqa: E402

from tts_meta.adaptation.adaptation_run import AdaptationRun  # noqa: E402
from tts_meta.adaptation.methods import free, shrinking  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.clips.checkup import check_clips  # noqa: E402
from tts_meta.clips.prepared_clips import prepare  # noqa: E402
from tts_meta.evaluation.protocol import heldout_speakers  # noqa: E402
from tts_meta.measures.second_encoder import second_other_speakers  # noqa: E402
from tts_meta.measures.similarity import centroid, embed, other_speakers  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.kokoro_starter import KokoroItem, KokoroStarter, load_kokoro  # noqa: E402

SPEAKERS = "p225,0811,2609,p226,3331,2327"
REFERENCE = 8
SOUNDS = (60, 120, 300, 1000, 3000)
LOSSES = (0, 15, 30, 60, 90, 120, 180, 240, 300, 450, 600, 1000, 1500, 2000, 2500, 3000)
METHODS: dict[str, dict] = {
    "sigma_reptile": {},
    "sigma_together": {"together": True},
    "sigma_imaml": {"sigma": LEARNED},
    "finetune_all": {"dense": ["head.", "blocks."], "rate": 1e-4},
    "no_prior": {"free": ["timbre", "blocks.*", "head.*"], "rate": 3e-3},
    "adain": {"free": FOLKLORE, "rate": 3e-2},
    "head_all": {"dense": ["head."], "rate": 3e-4},
    "sea_emb": {"free": ["timbre"], "rate": 3e-2},
    "handpicked": {"dense": ["head.", "blocks.", "prosody."], "styles": True, "rate": 1e-4},
    "lora": {"dense": ["head.", "blocks."], "rank": 7, "rate": 3e-3},
    "weight_change": {"dense": "docs/kokoro_weight_change.json", "rate": 3e-4},
    "reptile": {"dense": ["head.", "blocks."], "rate": 1e-4, "weights": "runs/kokoro/reptile/weights.safetensors"},
    "fomaml": {"dense": ["head.", "blocks."], "rate": 1e-4, "weights": "runs/kokoro/fomaml/weights.safetensors"},
}
"""As arms of recipes/kokoro/arms.py; `dense` may be a file of recipes/kokoro/weight_change.py, which names the weights."""


class Walk:
    """A clone in progress: `after` yields (step, its loss of other recordings, its synthesizer, seconds of its steps)."""

    def __init__(self, starter: KokoroStarter, support: list[KokoroItem], others: list[KokoroItem], spec: dict) -> None:
        self.starter, self.support, self.spec = starter, support, spec
        self.register = starter.measured(support, [starter.encoded(i, ()) for i in support])
        loss = starter.task_loss(bf16_is_fast(), ["timbre"])
        batches = [{k: v.unsqueeze(0) for k, v in starter.collate([i], [starter.encoded(i, ())]).items()} for i in others]
        frames = sum(len(i.mel) for i in others)

        @torch.no_grad()
        def measured(starter: KokoroStarter, deltas: dict) -> float:
            loss.network = starter.net
            params = starter.start({n: starter.phi[n] + d for n, d in deltas.items()})
            return float(sum(loss(params, b) for b in batches)) / frames

        self.loss = measured

    def after(self, steps: list[int]) -> Iterator[tuple[int, float, Synthesizer, float]]:
        begin = time.monotonic()
        if "dense" in self.spec:
            parts = self.spec["dense"]
            parts = json.loads((ROOT / parts).read_text())["moved"] if isinstance(parts, str) else parts
            spec = {**self.spec, "dense": parts, "steps": [0, *steps]}
            for step, trained, deltas in dense(self.starter, self.support, spec, 0):
                yield step, self.loss(trained, deltas), Synthesizer(trained, deltas), time.monotonic() - begin
            return
        starter = with_sigmas(self.starter, ROOT / self.spec["sigma"]) if "sigma" in self.spec else self.starter
        method = free(starter, self.spec["free"], self.spec["rate"]) if "free" in self.spec else shrinking(starter)
        method = replace(method, together=None) if "together" in self.spec else method  # all modules to the end
        run = AdaptationRun(starter, method, self.support, (), max(steps), 1, self.starter.adaptation.clips, 0)
        for progress in run:
            if progress.step in steps or not progress.step:
                yield (progress.step, self.loss(self.starter, run.now()), Synthesizer(self.starter, run.now() | self.register),
                       time.monotonic() - begin)


def expectation(found: dict[str, dict]) -> dict:
    """What the clip doctor's meter tells people to expect: quartiles over speakers of the position, for every amount that all of
    them were cloned from (other people would be a step in the curve), by the mean of its seconds."""
    points, speakers = [], len({k.split("|")[1] for k in found})
    for _, cells in by_amount(found):
        if len(cells) == speakers:
            low, middle, high = (round(q, 3) for q in quartiles([c["sounds"]["120"]["position"] for c in cells]))
            seconds = round(float(np.mean([c["seconds"] for c in cells])), 1)
            points.append({"seconds": seconds, "low": low, "middle": middle, "high": high, "speakers": len(cells)})
    return {"method": "sigma_reptile", "step": 120, "speakers": speakers, "points": points}


def own_scores(starter: KokoroStarter, judges: Judges, mels: list[np.ndarray], middle: np.ndarray, second: np.ndarray) -> dict:
    """What a clone is measured against: a person's other recordings (log-mels `[L, 80]`) through the vocoder, by the centres of
    both encoders; likeness of those cut to the sentences' lengths."""
    lengths = [len(Synthesizer(starter, {}).sentence_mel(t)[0]) for t in SENTENCES]
    short = cut_alike(mels, lengths)
    return judges.sounds([spoken(m[:LONGEST]) for m in mels], middle) | {
        "like": float(np.mean([embed(y, SAMPLE_RATE) @ middle for y in short])),
        "floor": float((other_speakers() @ middle).mean()), "second": second,
        "like_second": float(np.mean([by_second(y, SAMPLE_RATE) @ second for y in short])),
        "floor_second": float((second_other_speakers() @ second).mean()),
    }


def enough(seconds: list[float], amount: str) -> int:
    """How many clips are "10" of them, or "240 s"; all without an amount."""
    if not amount.endswith("s"):
        return int(amount or len(seconds))
    return 1 + int(np.searchsorted(np.cumsum(seconds), float(amount[:-1])))


class People:
    """What the clones of a held-out speaker are made of and measured against, looked up once."""

    def __init__(self, root: Path, starter: KokoroStarter, judges: Judges) -> None:
        self.root, self.starter, self.judges = root, starter, judges

    @lru_cache(maxsize=1)  # noqa: B019
    def prepared(self, name: str, split: bool) -> tuple[list, list[KokoroItem], np.ndarray, dict]:
        """(clips to learn from, others, the centre of the former, scores of the others): the first clips and the rest, or all
        and the last REFERENCE. The centre is of all, so that amounts are measured by one rule."""
        speaker = heldout_speakers(self.root, [name])[0]
        paths = list(speaker.texts)
        first, last = (speaker.support, speaker.reference[:REFERENCE]) if split else (paths[:-REFERENCE], paths[-REFERENCE:])
        used = [check_clips(c, speaker.texts, self.starter).require() for c in (first, last)]
        second = centroid([by_second(c.features.samples, SAMPLE_RATE) for c in used[0]])
        support, others = (prepare(u, self.starter) for u in used)
        middle = centroid([c.embedding for c in support])
        mels = [c.item.mel for c in others]
        own = own_scores(self.starter, self.judges, mels, middle, second)
        return support, [c.item for c in others], middle, own

    def __call__(self, name: str, amount: str = "") -> tuple[list[KokoroItem], list[KokoroItem], np.ndarray, dict]:
        support, others, middle, own = self.prepared(name, not amount)
        support = support[: enough([c.seconds for c in support], amount)]
        return [c.item for c in support], others, middle, own


def scores(judges: Judges, voice: Synthesizer, middle: np.ndarray, own: dict) -> dict:
    """Of a clone's sentences; P.808 and distillmos less those of the person's recordings through the vocoder."""
    sounds = [spoken(voice.sentence_mel(t)[0]) for t in SENTENCES]
    found = judges.sounds(sounds, middle)
    second = float(np.mean([by_second(y, SAMPLE_RATE) @ own["second"] for y in sounds]))
    return {
        "position": share(found["like"], own["floor"], own["like"]),
        "position_second": share(second, own["floor_second"], own["like_second"]),
        "p808": round(found["p808"] - own["p808"], 3), "distillmos": round(found["distillmos"] - own["distillmos"], 3),
        "wer": round(judges.words(sounds), 4),
    }


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("root", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--speakers", default=SPEAKERS, help="apart by commas")
    p.add_argument("--methods", default=",".join(METHODS))
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--amounts", default="", help='how much is learned from, apart by commas: "10,240 s"; ten clips without it')
    p.add_argument("--everywhere", action="store_true",
                   help="speak with a pitch wherever the network draws one (a voice has none in quiet frames)")
    p.add_argument("--expect", type=Path, help="the meter's asset: only write its part on this network of --out")
    args = p.parse_args()
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.expect:
        curves = json.loads(args.expect.read_text()) | {"kokoro": expectation(found)}
        replace_file(args.expect, (json.dumps(curves, indent=1) + "\n").encode())
        return
    for method in args.methods.split(","):
        weights = METHODS[method].get("weights")
        if weights and not (ROOT / weights).exists():
            sys.exit(f"{weights} is not there, which clones by {method} begin with; recipes/kokoro/meta_weights.py makes it "
                     "(or leave the method out of --methods).")
    torch.set_num_threads(1)
    starter, judges = plain_kokoro() if args.everywhere else load_kokoro(), Judges()
    known = People(args.root, starter, judges)
    for name, amount in product(args.speakers.split(","), args.amounts.split(",")):
        person: tuple | None = None
        for method in args.methods.split(","):
            key = "|".join(filter(None, (method, name, str(args.steps), amount)))
            if key in found:
                continue
            person = person or known(name, amount)
            support, others, middle, own = person
            cell: dict = {"spec": METHODS[method], "losses": {}, "sounds": {}, "clips": len(support),
                          "seconds": round(sum(i.seconds for i in support))}
            at = [s for s in sorted({*LOSSES, *SOUNDS}) if 0 < s <= args.steps]
            for step, loss, voice, seconds in Walk(starter, support, others, METHODS[method]).after(at):
                cell["losses"][str(step)] = round(loss, 3)
                if step == args.steps or not amount and (step in SOUNDS or step == 0 and method == "sigma_reptile"):
                    cell["sounds"][str(step)] = scores(judges, voice, middle, own) | {"seconds": round(seconds, 1)}
                    print(key, step, round(loss, 2), cell["sounds"][str(step)], flush=True)
            found = json.loads(args.out.read_text()) if args.out.exists() else {}  # another process may have added some
            found[key] = cell
            replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

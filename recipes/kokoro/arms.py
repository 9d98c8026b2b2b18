"""What has to move: clones of development people by several ways of adapting, judged as recipes/kokoro/heldout.py judges.

    python recipes/kokoro/arms.py cache/kokoro --out docs/kokoro_arms.json --arms "chosen,folklore,every weight"
    python recipes/kokoro/arms.py ../shared/data/speech/train --out docs/kokoro_settling.json --arms "chosen,settled" \
        --speakers 2961,7127,slt,8230

The data are people packed by recipes/kokoro/pack.py, or a folder of recordings with manifest.tsv. Ten pieces of a person to learn
from, eight others to be compared with; position, P.808 and distillmos less those of the others through the vocoder, WER, after
each of the arm's steps. A result that is in the file already is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from heldout import LONGEST, SENTENCES, cut_alike, naturalness, sentence_case, share, spoken  # noqa: E402
from people import Person, people  # noqa: E402

from tts_meta.adaptation.adaptation_run import AdaptationRun  # noqa: E402
from tts_meta.adaptation.methods import free, shrinking  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.clips.whole_clips import check_clip  # noqa: E402
from tts_meta.data.layouts import read_manifest  # noqa: E402
from tts_meta.errors import InputError  # noqa: E402
from tts_meta.measures.intelligibility import load_recogniser, word_errors  # noqa: E402
from tts_meta.measures.quality import dnsmos  # noqa: E402
from tts_meta.measures.similarity import centroid, embed, other_speakers  # noqa: E402
from tts_meta.meta.prior import Shrinkage  # noqa: E402
from tts_meta.meta.tree import Tree  # noqa: E402
from tts_meta.nets.kokoro.network import QUIET  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.kokoro_starter import KokoroStarter, load_kokoro  # noqa: E402

SUPPORT, REFERENCE = 10, 8
SENTENCE = 290
"""Mel frames: the mean length of the sentences (3.4 s), to which the others are cut where likeness is asked."""
FOLKLORE = ["timbre", "blocks.*.affine.shift", "head.*.affine.shift"]
LEARNED = "recipes/baselines/kokoro_sigma_imaml_200.safetensors"
"""Sigma of the head by sigma-iMAML, 200 meta-steps."""
ARMS: dict[str, dict] = {
    "chosen": {"steps": [60, 120, 300]},
    "settled": {"together": 20, "long": ["head.*"], "steps": [60, 120, 300]},
    "audible": {"together": 20, "long": ["head.*"], "quiet": QUIET, "steps": [60, 120]},
    "audible imaml 200": {"together": 20, "long": ["head.*"], "quiet": QUIET, "sigma": LEARNED, "steps": [60, 120]},
    "imaml 200": {"together": 20, "long": ["head.*"], "sigma": LEARNED, "steps": [60, 120, 300, 1000]},
    "chosen without prior": {"free": ["timbre", "blocks.*", "head.*"], "rate": 3e-3, "steps": [60, 120]},
    "chosen and wide": {"wider": 3, "steps": [60, 120]},
    "head": {"moved": ["head."], "steps": [60, 120, 300]},
    "head twice as wide": {"moved": ["head."], "wider": 2, "steps": [60, 120, 300]},
    "head without prior": {"free": ["head.*"], "rate": 3e-3, "steps": [60, 120, 300]},
    "folklore": {"free": FOLKLORE, "rate": 3e-2, "steps": [60, 120]},
    "every weight of the head": {"dense": ["head."], "rate": 3e-4, "steps": [60, 120, 300]},
    "every weight": {"dense": ["head.", "blocks."], "rate": 1e-4, "steps": [60, 120]},
}
"""`chosen` are the starter's modules under its prior, all to the end; `settled` all for 20 steps, then the head; `audible` is
that with no pitch in quiet frames, as a voice speaks; `free` moves modules by Adam without a prior, `dense` the weights: by
low-rank updates where it has a `rank`, with both styles where it says so, from `weights` of recipes/kokoro/meta_weights.py."""


def plain_kokoro(folder: Path | None = None) -> KokoroStarter:
    """The starter with a pitch wherever the network draws one (a voice has none in quiet frames), as arms are measured here."""
    return replace(load_kokoro(folder), quiet=float("inf"))


class LowRankUpdate(nn.Module):
    """W + B A (LoRA, Hu et al. 2021) of a weight `[out, ...]`: A is noise of variance 1 / columns, B zero."""

    def __init__(self, weight: Tensor, rank: int, rng: torch.Generator) -> None:
        super().__init__()
        columns = weight[0].numel()
        self.a = nn.Parameter(torch.randn(rank, columns, generator=rng) / columns**0.5)
        self.b = nn.Parameter(torch.zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.b @ self.a).view_as(weight)


def low_rank(net: nn.Module, parts: tuple[str, ...], rank: int, seed: int) -> list[nn.Parameter]:
    """Give the matrices of these parts an update each, where it is smaller than the matrix; its parameters."""
    rng, found = torch.Generator().manual_seed(seed), []
    for name, layer in list(net.named_modules()):
        weight = getattr(layer, "weight", None)
        if not name.startswith(parts) or weight is None or weight.dim() < 2:
            continue
        if rank * (len(weight) + weight[0].numel()) < weight.numel():
            update = LowRankUpdate(weight, rank, rng)
            parametrize.register_parametrization(layer, "weight", update)
            found += [update.a, update.b]
    return found


def dense(starter: KokoroStarter, support: list, spec: dict, seed: int) -> Iterator[tuple[int, KokoroStarter, Tree]]:
    """Every weight of the parts named moves, by Adam without a prior; after each of the steps (0: none yet) a copy of the starter
    and the deltas of the voice: how far its styles have gone, and its register, unless what draws rhythm and melody has learned
    that."""
    starter, parts = replace(starter, net=copy.deepcopy(starter.net)), tuple(spec["dense"])
    if "weights" in spec:
        unknown = starter.net.load_state_dict(load_file(ROOT / spec["weights"]), strict=False).unexpected_keys
        assert not unknown, f"{spec['weights']} is of another network"
    prosody = any(part.startswith("prosody.") for part in parts)
    register = {} if prosody else starter.measured(support, [starter.encoded(i, ()) for i in support])
    moved = [p for n, p in starter.net.named_parameters() if n.startswith(parts)]
    if "rank" in spec:
        moved = low_rank(starter.net, parts, spec["rank"], seed)
    params = starter.start({})
    styles = {n: params[n].clone().requires_grad_() for n in (TIMBRE, MANNER) if spec.get("styles")}
    params |= styles
    for weight in moved:
        weight.requires_grad_(True)
    optimiser = torch.optim.Adam([*moved, *styles.values()], spec["rate"], betas=(0.9, 0.99))
    loss = starter.task_loss(bf16_is_fast(), [MANNER if prosody else TIMBRE])
    read = [starter.encoded(i, () if styles else parts) for i in support]
    rng = np.random.default_rng(seed)
    for step in count():
        if step in spec["steps"]:
            yield step, starter, register | {n: v[0].detach() - starter.phi[n] for n, v in styles.items()}
        if step == max(spec["steps"]):
            return
        rows = rng.choice(len(support), 2, replace=False)
        batch = {k: v.unsqueeze(0) for k, v in starter.collate([support[i] for i in rows], [read[i] for i in rows]).items()}
        value = loss(params, batch).mean() / (batch["frame_mask"].sum() * 80)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()


def clones(starter: KokoroStarter, support: list, spec: dict, seed: int) -> Iterator[tuple[str, Synthesizer, float]]:
    """(steps, a synthesizer of the clone, seconds) after each of the arm's steps."""
    begin = time.monotonic()
    if "dense" in spec:
        for step, trained, deltas in dense(starter, support, spec, seed):
            yield str(step), Synthesizer(trained, deltas), time.monotonic() - begin
        return
    register = starter.measured(support, [starter.encoded(i, ()) for i in support])
    if "free" in spec:
        method, arm = free(starter, spec["free"], spec["rate"]), starter
    else:
        arm = changed(starter, spec)
        method = shrinking(arm)
    run = AdaptationRun(arm, method, support, (), max(spec["steps"]), 1, arm.adaptation.clips, seed)
    for progress in run:
        if progress.step in spec["steps"]:
            yield f"{progress.step}", Synthesizer(arm, run.now() | register), time.monotonic() - begin


def clone(starter: KokoroStarter, support: list, arm: str = "settled") -> Synthesizer:
    """By one of ARMS, after as many steps as the package's clones take."""
    (_, voice, _), = clones(starter, support, {**ARMS[arm], "steps": [120]}, 0)
    return voice


def with_sigmas(starter: KokoroStarter, path: Path) -> KokoroStarter:
    """The starter with those sigmas that a file of recipes/kokoro/sigma.py has."""
    with safe_open(path, "pt") as f:
        modules, found = json.loads(f.metadata()["modules"]), f.get_tensor("log_sigma2")
    log_sigma2 = starter.clone_prior.log_sigma2.clone()
    log_sigma2[[starter.partition.index[m] for m in modules]] = found
    return replace(
        starter, prior=Shrinkage(starter.partition, log_sigma2), adaptation=replace(starter.adaptation, widths={}))


def changed(starter: KokoroStarter, spec: dict) -> KokoroStarter:
    """The starter with what an arm asks for: other modules, sigmas of a file, wider ones (of some), another rate, modules that
    settle."""
    starter = with_sigmas(starter, ROOT / spec["sigma"]) if "sigma" in spec else starter
    info = replace(starter.adaptation, together=spec.get("together"), long=tuple(spec.get("long", ())))
    if "moved" in spec:
        wanted = tuple(spec["moved"])
        info = replace(info, moved=tuple(m for m in starter.partition.modules if m.startswith(wanted)))
    info = replace(info, solver={**info.need("solver"), **spec.get("solver", {})})
    wider, of = spec.get("wider", 1.0), tuple(spec.get("of", [""]))
    wide = {m: (wider if m.startswith(of) else 1.0) * info.widths.get(m, 1.0) for m in starter.partition.modules}
    return replace(starter, adaptation=replace(info, widths=wide), quiet=spec.get("quiet", starter.quiet))


class Judges:
    def __init__(self) -> None:
        self.recogniser = load_recogniser()
        assert self.recogniser is not None, "the extra 'asr' is needed"

    def sounds(self, sounds: list[np.ndarray], middle: np.ndarray) -> dict[str, float]:
        scores = [dnsmos(y, SAMPLE_RATE) for y in sounds]
        return {
            "like": float(np.mean([embed(y, SAMPLE_RATE) @ middle for y in sounds])),
            "p808": float(np.mean([s["p808"] for s in scores if s])),
            "distillmos": float(np.mean([naturalness(y) for y in sounds])),
        }

    def words(self, sounds: list[np.ndarray]) -> float:
        assert self.recogniser is not None
        pairs = [word_errors([t], [self.recogniser.transcribe(y, SAMPLE_RATE)]) for t, y in zip(SENTENCES, sounds, strict=True)]
        return sum(e for e, _ in pairs) / sum(n for _, n in pairs)


def reference(judges: Judges, support: list, others: list) -> tuple[np.ndarray, dict[str, float]]:
    """The centre of the support's sound, and the scores of the others through the vocoder; `floor`: other people's likeness."""
    middle = centroid([embed(spoken(i.mel[:LONGEST]), SAMPLE_RATE) for i in support])
    scores = judges.sounds([spoken(i.mel[:LONGEST]) for i in others], middle)
    short = cut_alike([i.mel for i in others], [SENTENCE] * REFERENCE)
    like = float(np.mean([embed(y, SAMPLE_RATE) @ middle for y in short]))
    return middle, scores | {"like": like, "floor": float((other_speakers() @ middle).mean())}


def judged(judges: Judges, voice: Synthesizer, middle: np.ndarray | list, own: dict[str, float]) -> dict[str, float]:
    sounds = [spoken(voice.sentence_mel(t)[0]) for t in SENTENCES]
    found = judges.sounds(sounds, np.array(middle))
    return {
        "position": share(found["like"], own["floor"], own["like"]),
        "p808": round(found["p808"] - own["p808"], 3), "distillmos": round(found["distillmos"] - own["distillmos"], 3),
        "wer": round(judges.words(sounds), 4),
    }


LEAST, MOST = 2.5, 9.5
"""Seconds of a recording that is taken."""


def recorded(root: Path, starter: KokoroStarter, names: list[str]) -> dict[str, Person]:
    """People of a folder of recordings, a piece each recording: as many as `split` takes, drawn at random."""
    rows = read_manifest(root / "manifest.tsv")
    found = {}
    for name in names:
        own = [r for r in rows if r["speaker"] == name and LEAST < float(r["seconds"]) < MOST and r["text"]]
        person = found[name] = Person(name, "dev")
        for i in np.random.default_rng(0).permutation(len(own)):
            with contextlib.suppress(InputError):  # a clone would leave it out, too
                text = sentence_case(own[i]["text"].strip())
                text = text if text[-1] in ".!?;:," else f"{text}."
                clip = SimpleNamespace(text=text, features=check_clip(root / own[i]["path"]))
                person.pieces.append((own[i]["path"], starter.item(clip)))
            if len(person.pieces) == SUPPORT + REFERENCE:
                break
    return found


def split(person: Person) -> tuple[list, list]:
    return person.split(SUPPORT, REFERENCE, np.random.default_rng(0))


def table(found: dict[str, dict]) -> str:
    rows = ["| arm | steps | people | position | P.808 | distillmos | WER |", "|---|---|---|---|---|---|---|"]
    for arm in dict.fromkeys(k.split("|")[0] for k in found):
        mine = [v for k, v in found.items() if k.split("|")[0] == arm]
        for step in dict.fromkeys(s for v in mine for s in v["at"]):
            at = [v["at"][step] for v in mine if step in v["at"]]
            mean = {k: np.mean([a[k] for a in at]) for k in ("position", "p808", "distillmos", "wer")}
            rows.append(f"| {arm} | {step} | {len(at)} | {mean['position']:.2f} | {mean['p808']:+.2f} | "
                        f"{mean['distillmos']:+.2f} | {100 * mean['wer']:.1f} % |")
    return "\n".join(rows)


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--arms", default=",".join(ARMS))
    p.add_argument("--spec", default="{}", help="JSON: more arms by name")
    p.add_argument("--speakers", default="", help="apart by commas (of recordings: needed); without it those with minutes")
    p.add_argument("--starter", type=Path, help="folder of a starter, in place of the package's")
    args = p.parse_args()
    torch.set_num_threads(1)
    arms = {**ARMS, **json.loads(args.spec)}
    starter, judges = plain_kokoro(args.starter), Judges()
    names = args.speakers.split(",") if args.speakers else []
    if (args.data / "manifest.tsv").exists():
        everybody = recorded(args.data, starter, names)
    else:
        everybody = {q.name: q for q in people(args.data, ("dev", "phase1") if args.speakers else ("dev",))}
        names = names or [n for n, q in everybody.items() if q.seconds > 200]
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name in names:
        support, others = split(everybody[name])
        known: tuple | None = None
        for arm in args.arms.split(","):
            if f"{arm}|{name}" in found:
                continue
            known = known or reference(judges, support, others)
            at = {}
            for step, voice, seconds in clones(starter, support, arms[arm], 0):
                at[step] = judged(judges, voice, *known) | {"seconds": round(seconds, 1)}
                print(arm, name, step, at[step], flush=True)
            found[f"{arm}|{name}"] = {"spec": arms[arm], "at": at}
            replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(table(found))


if __name__ == "__main__":
    main()

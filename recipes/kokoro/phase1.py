"""Phase 1: the network to many people at once, each with styles and deltas of its own under a fixed prior."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from campaign_base import FRAMES_A_SECOND, MELS, save, save_tree  # noqa: E402
from crowd import Crowd  # noqa: E402
from own_speech import OwnSpeech  # noqa: E402

from tts_meta.nets.kokoro.layers import LowRankConv  # noqa: E402
from tts_meta.nets.kokoro.likelihood import KokoroScales  # noqa: E402
from tts_meta.nets.kokoro.network import Kokoro  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE, SpeakerLoss, parts, speaker_parameters  # noqa: E402


class Phase1(Crowd, OwnSpeech):
    def people(self) -> None:
        self.load_people(("phase1", "dev"))
        self.load_own()
        self.fit()

    def fit(self) -> None:
        a = self.args
        net = self.network()
        if not a.init:
            net.head.load_state_dict(self.load_tree("head"))
        pool = [i for i in self.items if i["fold"] == "phase1"]
        dev = [i for i in self.items if i["fold"] == "dev"]
        names = sorted({i["speaker"] for i in pool})
        number = {n: k for k, n in enumerate(names)}
        seconds_of = torch.zeros(len(names), device=self.device)
        for i in pool:
            seconds_of[number[i["speaker"]]] += len(i["f0"]) / 80
        own = [o for o in self.own if not o["held"]]
        for o in own:
            o.setdefault("speaker", "kokoro")
        styles = torch.stack([o["style"] for o in own])
        mean, deviation = styles.mean(0), styles.std(0).mean()
        # What moves for everybody: low-rank updates of the convolutions, everything small, and the head.
        for p in net.parameters():
            p.requires_grad_(False)
        # Right halves that were learned (subspace.py) stay, and with sound_only the prosody as it is.
        of_starter = bool(a.init) and Path(a.init).is_dir()
        fixed = ("head", "prosody") if a.sound_only else ("head",)
        base = []
        for name, layer in net.named_modules():
            if isinstance(layer, LowRankConv) and not name.startswith(fixed):
                rank = a.base_rank if name.startswith("blocks") else a.base_prosody_rank
                update = LowRankUpdate(layer.conv.weight, rank).to(self.device)
                parametrize.register_parametrization(layer.conv, "weight", update)
                base += list(update.parameters())
        small = [
            p for n, p in net.named_parameters()
            if (".affine.fc." in n or n.endswith("down") or n.startswith("prosody.duration") or ".out.conv." in n
                or n.startswith("blocks.pitch") or n.startswith("blocks.energy")) and not n.startswith(fixed)
            and "parametrizations" not in n and not (of_starter and n.endswith("down"))
        ]
        head = [p for n, p in net.head.named_parameters() if not (of_starter and n.endswith("down"))]
        for p in [*base, *small, *head]:
            p.requires_grad_(True)
        start = speaker_parameters(net, mean[:128], mean[128:])
        if a.styles_only:  # deltas of hundreds of people are too much for a computer without a GPU
            start = {k: start[k] for k in (TIMBRE, MANNER)}
        everybody: dict[str, Tensor] = {}
        table = {k: nn.Parameter(v.unsqueeze(0).repeat(len(names), *[1] * v.dim())) for k, v in start.items()}
        if a.init:
            everybody = self.take_up(net, table, names)

        def rows_of(params: dict[str, Tensor]) -> dict[str, Tensor]:
            """With the deltas that all people have."""
            n = len(params[TIMBRE])
            return {k: v.expand(n, *v.shape) for k, v in everybody.items() if k not in params} | params

        groups = [
            {"params": base, "lr": a.base_rate}, {"params": small, "lr": a.small_rate}, {"params": head, "lr": a.body_rate},
            {"params": [table[TIMBRE], table[MANNER]], "lr": a.style_rate},
            {"params": [v for k, v in table.items() if k not in (TIMBRE, MANNER)], "lr": a.delta_rate},
        ]
        groups = [g for g in groups if g["params"]]
        rates = [g["lr"] for g in groups]
        optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=self.cuda)
        shared = [*base, *small, *head]
        average = [p.detach().clone() for p in shared]
        prior = {k: deviation if k in (TIMBRE, MANNER) else 0.02 if k.endswith("factor") else 0.1 for k in table}
        scales = KokoroScales()
        loss_of = SpeakerLoss(net, scales)
        budget = a.people_seconds
        started, step, done, sums = time.time(), 0, 0.0, {}
        saved = started
        # With minutes of somebody many clips are met, yet not as many more as there are seconds.
        def share(s: float) -> float:
            return min(s, 400.0) ** 0.75

        while done < 1:
            done = min(1.0, (time.time() - started) / budget)
            fall = min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
            for g, r in zip(optimiser.param_groups, rates, strict=True):
                g["lr"] = r * fall
            rows = self.sampler(pool, a.batch_seconds, share)
            batch = self.heard(self.batch(rows))
            who = torch.tensor([number[r["speaker"]] for r in rows], device=self.device)
            params = rows_of({k: v.index_select(0, who) for k, v in table.items()})
            with self.autocast():
                found = parts(net, params, batch, not a.sound_only)
            nats = loss_of.nats(found)
            loss = nats.mean() * scales.mel
            # The prior, in the unit of the mean above: the whole of a speaker's data is 2 x 80 x frames of it.
            # (whole data of the speaker: seconds x frames x bands numbers of the mel)
            pull = sum((0.5 * ((params[k] - start[k]) / prior[k]) ** 2).flatten(1).sum(1) for k, v in table.items())
            loss = loss + (pull / (seconds_of[who] * FRAMES_A_SECOND * MELS)).mean() * scales.mel
            rows2 = [own[i] for i in self.rng.integers(len(own), size=max(1, int(a.own_seconds / 5)))]
            batch2 = self.heard(self.batch(rows2))
            s = torch.stack([r["style"] for r in rows2])
            with self.autocast():
                found2 = parts(net, rows_of({TIMBRE: s[:, :128], MANNER: s[:, 128:]}), batch2, not a.sound_only)
            loss = loss + 0.5 * loss_of.nats(found2).mean() * scales.mel
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(shared, 1.0)
            optimiser.step()
            step += 1
            decay = min(0.998, step / (step + 10))
            torch._foreach_lerp_(average, [p.detach() for p in shared], 1 - decay)
            values = {k: v.mean().detach() for k, v in found.items()}
            values |= {f"own {k}": found2[k].mean().detach() for k in ("mel", "spread")}
            for k, v in values.items():
                sums[k] = sums.get(k, 0) * 0.98 + 0.02 * v if k in sums else v
            if step % a.report == 0 or step == 1:
                self.log("people", step, *(f"{k} {float(v):.3f}" for k, v in sums.items()))
            if time.time() - saved > 240:
                saved = time.time()
                self.keep(net, "people_now", small, head, table, names, average, shared)
        self.log(f"people: {step} steps of {a.batch_seconds} s, {len(names)} people")
        for p, v in zip(shared, average, strict=True):
            p.data.copy_(v)
        with torch.no_grad():
            mean_style = {k: table[k].detach().mean(0) for k in (TIMBRE, MANNER)}
            rows = dev[:48] or pool[:8]
            zero = {k: v.unsqueeze(0).expand(len(rows), *v.shape) for k, v in start.items()} | {
                k: v.unsqueeze(0).expand(len(rows), -1) for k, v in mean_style.items()
            }
            found = parts(net, rows_of(zero), self.batch(rows), not a.sound_only)
            self.log("dev people at the mean style:", {k: round(float(v.mean()), 3) for k, v in found.items()})
        whole = {f"shared/{n}": p for n, p in enumerate(shared)} | {f"table/{k}": v for k, v in table.items()}
        save_tree(whole, self.work / "people.safetensors")
        self.keep(net, "people", small, head, table, names)
        spreads = {k: float((v.detach() - start[k]).pow(2).mean().sqrt()) for k, v in table.items()}
        facts = {"steps": step, "spread": spreads, "style_deviation": float(deviation)}
        (self.out / "people.json").write_text(json.dumps(facts, indent=1))
        big = [number[n] for n in names if float(seconds_of[number[n]]) > 200]
        spread_big = {k: float((v.detach()[big] - start[k]).pow(2).mean().sqrt()) for k, v in table.items()} if big else spreads
        tree = {f"net/{k}": v for k, v in plain_state(net).items()} | {f"mean/{k}": v for k, v in mean_style.items()}
        tree |= {f"spread/{k}": torch.tensor(v) for k, v in spread_big.items()}
        save_tree(tree, self.work / "people_net.safetensors")

    def keep(self, net, stage: str, small, head, table, names, average=None, shared=None) -> None:
        """Write what differs from the original, with the moving average of the weights in place of the last ones."""
        last = None
        if average is not None:
            last = [p.detach().clone() for p in shared]
            for p, v in zip(shared, average, strict=True):
                p.data.copy_(v)
        tensors = {}
        for name, layer in net.named_modules():
            if isinstance(layer, LowRankConv) and hasattr(layer.conv, "parametrizations"):
                update = layer.conv.parametrizations.weight[0]
                tensors[f"{name}.update.left"], tensors[f"{name}.update.right"] = update.left, update.right
        kept = {id(p) for p in [*small, *head]}
        tensors |= {n: p for n, p in net.named_parameters() if id(p) in kept}
        tensors |= {"styles.timbre": table[TIMBRE], "styles.manner": table[MANNER]}
        # Two files: none over 16 MB.
        of_head = {k: v for k, v in tensors.items() if k.startswith("head.")}
        rest = {k: v for k, v in tensors.items() if k not in of_head}
        save(of_head, self.out / f"{stage}_head.safetensors", half=True)
        save(rest, self.out / f"{stage}_rest.safetensors", half=True, metadata={"speakers": json.dumps(names)})
        if last is not None:
            for p, v in zip(shared, last, strict=True):
                p.data.copy_(v)

    def take_up(self, net, table, names: list[str]) -> dict[str, Tensor]:
        """Begin where an earlier run of phase 1 ended: --init is the path of its files without `_head.safetensors`, or
        the folder of a starter, whose people all begin at its mean styles and have its phi, which is returned."""
        from safetensors import safe_open

        own = dict(net.named_parameters())
        if Path(self.args.init).is_dir():
            from tts_meta.nets.eight_bits import unpack
            from tts_meta.starters.kokoro_files import read_files
            from tts_meta.starters.kokoro_starter import NAME

            files = read_files(Path(self.args.init), NAME)
            phi = {k: v.to(self.device) for k, v in unpack(files.prior, "phi/").items()}
            with torch.no_grad():
                right = unpack(files.weights, "right/")
                for key, left in unpack(files.weights, "left/").items():
                    update = key.removesuffix(".weight") + ".parametrizations.weight.0."
                    if update + "left" in own:
                        own[update + "left"].copy_(left), own[update + "right"].copy_(right[key])
                    else:  # of a part that stays
                        own[key].add_((left @ right[key]).view_as(own[key]).to(self.device))
                for key, value in unpack(files.weights, "net/").items():
                    own[key].copy_(value)
                for key, value in unpack(files.weights, "diff/").items():
                    own[key].add_(value.to(self.device))
                for key in (TIMBRE, MANNER):
                    table[key].data[:] = phi[key]
            return {k: v for k, v in phi.items() if k not in (TIMBRE, MANNER)}
        with torch.no_grad():
            for part in ("head", "rest"):
                with safe_open(f"{self.args.init}_{part}.safetensors", "pt") as f:
                    for key in list(f.keys()):  # noqa: SIM118
                        value = f.get_tensor(key).float().to(self.device)
                        if key.startswith("styles."):
                            old = json.loads(f.metadata()["speakers"])
                            for k, n in enumerate(old):
                                if n in names:
                                    table[key.split(".")[1]].data[names.index(n)] = value[k]
                        elif ".update." in key:
                            layer, side = key.split(".update.")
                            own[f"{layer}.conv.parametrizations.weight.0.{side}"].copy_(value)
                        else:
                            own[key].copy_(value)
        return {}


class LowRankUpdate(nn.Module):
    """W + left @ right, left zero at the start."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        columns = weight[0].numel()
        self.left = nn.Parameter(torch.zeros(len(weight), min(rank, len(weight))))
        self.right = nn.Parameter(torch.randn(min(rank, len(weight)), columns) / columns**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return weight + (self.left @ self.right).view_as(weight)


def plain_state(net: Kokoro) -> dict[str, Tensor]:
    """The network's tensors with the low-rank updates added in."""
    out = {}
    for name, value in net.state_dict().items():
        if ".parametrizations.weight." not in name:
            out[name] = value
    for name, layer in net.named_modules():
        if isinstance(layer, LowRankConv):
            out[f"{name}.conv.weight"] = layer.conv.weight.detach().clone()
    return out

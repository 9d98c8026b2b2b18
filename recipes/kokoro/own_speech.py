"""Kokoro's own speech: what the original says of many texts, and the head learned from it."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from campaign_base import FRAMES_A_SECOND, MELS, Stage, save, save_tree  # noqa: E402
from generator import Generator, read_generator  # noqa: E402

from tts_meta.kokoro.dequantise import OnnxWeights  # noqa: E402
from tts_meta.nets.kokoro.head import VOICED  # noqa: E402
from tts_meta.nets.kokoro.network import hard_voicing, token_index  # noqa: E402


class OwnSpeech(Stage):
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
            x = net.features(r.sound, index, f0, energy, timbre, m)
            mel = self.log_mel(generator(x, timbre, f0)[0])
            hard = hard_voicing(f0)
            features = net.features(r.sound, index, hard, energy, timbre, m)[0]
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


def head_at(head, features: Tensor, style: Tensor, f0: Tensor, frames: int, mask: Tensor, offset: Tensor) -> Tensor:
    """The head on windows whose first mel frame lies `offset` (mel frames, under half) beside the window's start."""
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

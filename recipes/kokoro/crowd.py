"""People's recordings on the device, in batches of about one length."""

from __future__ import annotations

import json
import lzma
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from campaign_base import FRAMES_A_SECOND, Stage  # noqa: E402

from tts_meta.nets.kokoro.network import token_index  # noqa: E402

TIME_STEP, TOKEN_STEP = 80, 32
"""Token frames (25 ms) and tokens to a multiple of which a GPU's batches are padded."""


class Crowd(Stage):
    @torch.no_grad()
    def load_people(self, folds: tuple[str, ...] = ("phase1", "sigma", "dev")) -> None:
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
        self.items = [i for i in self.items if i["fold"] in folds]
        order = sorted(range(len(self.items)), key=lambda i: len(self.items[i]["ids"]))
        for at in range(0, len(order), 128 if self.cuda else 16):  # what the frozen text front makes of them, once
            rows = [self.items[i] for i in order[at : at + (128 if self.cuda else 16)]]
            ids = pad_sequence([r["ids"] for r in rows], batch_first=True)
            mask = pad_sequence([torch.ones(len(r["ids"]), device=self.device) for r in rows], batch_first=True)
            with self.autocast():
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

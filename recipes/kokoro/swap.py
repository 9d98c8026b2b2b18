"""What of a clone's prosody costs likeness or quality: recorded durations, F0 and energy exchanged for drawn ones, one by one.

    python recipes/kokoro/swap.py cache/kokoro --out docs/kokoro_swap.json --speakers librispeech-test-clean/8230

Clones of development people as `recipes/kokoro/arms.py` makes them speak the texts of eight recordings that they never
met, so that either half of the prosody can be the recording's.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from arms import Judges, clones, plain_kokoro, reference, split  # noqa: E402
from heldout import spoken  # noqa: E402
from people import people  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.kokoro.clips import KokoroItem  # noqa: E402
from tts_meta.kokoro.register import REGISTER, Register  # noqa: E402
from tts_meta.nets.kokoro.network import audible, hard_voicing, token_index  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402

MIXES = {
    "all drawn": "", "recorded durations": "d", "recorded durations and F0": "df", "recorded durations and energy": "de",
    "all recorded": "dfe",
}


@torch.no_grad()
def made(voice: Synthesizer, item: KokoroItem, recorded: str) -> tuple[np.ndarray, np.ndarray]:
    """(log-mel `[L, 80]`, F0 `[N]` in Hz, 0 unvoiced) of an item's text; `recorded` has d, f, e for what is the recording's."""
    starter = voice.starter
    p, net = starter.start(voice.params), starter.net  # type: ignore[attr-defined]
    register = Register.of(p[REGISTER])
    ids = torch.from_numpy(item.ids)[None]
    mask, lengths = torch.ones(ids.shape), torch.tensor([ids.shape[1]])
    front = net.read(ids, mask)
    read = net.prosody.read(front.prosody, p[MANNER], mask, lengths, p)
    drawn = register.durations(net.prosody.durations(read, lengths, p)).round().clamp(min=1).long()[0]
    counts = torch.from_numpy(item.counts) if "d" in recorded else drawn
    index = token_index(counts)[None]
    frames = torch.ones(index.shape)
    f0, energy = net.melody(read, index, p[MANNER], frames, p)
    f0, energy = register.pitch(audible(hard_voicing(f0), energy, starter.quiet)), energy + register.energy
    if "f" in recorded:
        f0 = torch.from_numpy(item.f0)[None]
    if "e" in recorded:
        energy = torch.from_numpy(item.energy)[None]
    length = net.head.frames(f0.shape[1])
    mel = net.acoustic(front.sound, index, f0, energy, p[TIMBRE], frames, length, torch.ones(1, length), p)
    return mel[0].float().numpy(), f0[0].numpy()


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--starter", type=Path)
    p.add_argument("--spec", default='{"default": {"steps": [60]}}', help="JSON: arms by name")
    p.add_argument("--speakers", required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter, judges = plain_kokoro(args.starter), Judges()
    everybody = {q.name: q for q in people(args.data, ("dev",))}
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name in args.speakers.split(","):
        support, others = split(everybody[name])
        middle, own = reference(judges, support, others)
        for arm, spec in json.loads(args.spec).items():
            for step, voice, _ in clones(starter, support, spec, 0):
                for mix, recorded in MIXES.items():
                    got = judges.sounds([spoken(made(voice, i, recorded)[0]) for i in others], middle)
                    found[f"{arm} {step}|{name}|{mix}"] = row = {
                        "position": round((got["like"] - own["floor"]) / (own["like"] - own["floor"]), 3),
                        **{k: round(got[k] - own[k], 3) for k in ("p808", "distillmos")},
                    }
                    print(arm, step, name, mix, row, flush=True)
                replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

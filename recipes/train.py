"""Train: a few-shot validation run of any algorithm, or the speech stages of the starter.

    python recipes/train.py --help                                   # algorithms, domains, sizes
    python recipes/train.py algorithm=sigma_reptile domain=omniglot  # a validation run; size=paper is the published schedule
    python recipes/train.py experiment=starter                       # aligner, phase 1, phase 2 of the speech model
    python recipes/train.py experiment=starter workers=2             # shared by two single-thread ranks, as by torchrun

Every run is resumable: give the same command again after a kill. A folder whose run has other settings is refused, with
the difference; `resume=false` begins it anew. config.yaml in the folder is what its checkpoints were made with.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from shared.nearest import check_overrides

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.meta.ranks import start_ranks


def share_cores(workers: int) -> None:
    """Start this command again as `workers` ranks, unless it is one already."""
    if workers > 1 and "WORLD_SIZE" not in os.environ:
        ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
        os.execv(sys.executable, [sys.executable, *ranks, *sys.argv])


def with_sentence(work: Callable[[], Any]) -> Any:
    """What `work` gives; exits with one sentence for what the caller can mend."""
    try:
        return work()
    except (InputError, InstantiationException) as e:
        mended = e if isinstance(e, InputError) else e.__cause__
        if not isinstance(mended, InputError):
            raise
        print(f"Error: {mended}", file=sys.stderr)
        sys.exit(2)


def make(cfg: DictConfig, name: str) -> Any:
    """The stage `name`."""
    return with_sentence(lambda: instantiate(cfg[name], _convert_="all"))


def note(cfg: DictConfig, name: str) -> None:
    """Write what the stages so far were made with; a stage that has not been accepted keeps what is written of it."""
    path, stages = Path(cfg.run) / "config.yaml", [k for k in cfg if isinstance(cfg[k], DictConfig) and "cfg" in cfg[k]]
    found = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(found, dict)
    old = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    assert isinstance(old, dict)
    found |= {k: old[k] for k in stages if k in old and k not in cfg.stages[: list(cfg.stages).index(name) + 1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, OmegaConf.to_yaml(OmegaConf.create(found)).encode())


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
def main(cfg: DictConfig) -> None:
    share_cores(cfg.workers)
    rank, _ = start_ranks()
    for name in cfg.stages:
        stage = make(cfg, name)
        if rank == 0:
            note(cfg, name)
        with_sentence(stage.run)


if __name__ == "__main__":
    check_overrides("train", sys.argv[1:], {"size": "sizes"})
    main()

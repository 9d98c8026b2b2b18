"""docs/train-your-own.md from the corpus to a starter that clones, with tiny settings, on a folder of a few people."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import EXAMPLES, ROOT
from tts_meta.clips.transcripts import find_transcripts
from tts_meta.data.speech import Utterance
from tts_meta.errors import InputError
from tts_meta.starters.small_starter import load_starter
from tts_meta.training.checkpoint import load_checkpoint
from tts_meta.training.split import draw_weights, split_speakers, take_fold

PAGE = (ROOT / "docs" / "train-your-own.md").read_text()
PEOPLE = 6
TINY = {
    "prepare": ["workers=1"],
    "train": [
        "aligner.cfg.rounds=3", "multispeaker.cfg.steps=6", "multispeaker.cfg.batch=4", "sigma_reptile.cfg.meta_steps=2",
        "multispeaker.cfg.net={hidden: 32, speaker: 8, encoder_layers: 1, decoder_layers: 2, predictor_layers: 1, "
        "predictor_hidden: 16}", "multispeaker.cfg.fold=0.5",
        "sigma_reptile.cfg.outer.inner_steps=3", "sigma_reptile.cfg.support=2", "sigma_reptile.cfg.query=1",
    ],
    "choose_modules": ["--steps", "3", "--speakers", "1"],
    "widen_sigma": ["--steps", "3", "--speakers", "1", "--sentences", "1", "--factors", "1,1", "2,2"],
    "export_starter": ["--out", "starter"],
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a corpus in VCTK's layout: six made-up people of three recordings each (all of them p225)."""
    folder = tmp_path_factory.mktemp("own")
    root = folder / "DATA" / "VCTK-Corpus-0.92"
    paths = sorted([*(EXAMPLES / "clips").glob("*.flac"), *(EXAMPLES / "reference").glob("*.flac")])
    texts = find_transcripts(paths, None)
    for i, path in enumerate(paths):
        person = f"p{300 + i % PEOPLE}"
        for kind, name in (("txt", f"{person}_{i:03d}.txt"), ("wav48_silence_trimmed", f"{person}_{i:03d}_mic1.flac")):
            (root / kind / person).mkdir(parents=True, exist_ok=True)
            content = texts[path].encode() if kind == "txt" else path.read_bytes()
            (root / kind / person / name).write_bytes(content)
    return folder


def commands() -> list[list[str]]:
    """The page's own commands, one of each recipe, up to the export."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.S | re.M):
        for line in block.splitlines():
            words = shlex.split(re.sub(r"\s+#.*$", "", line))
            if words[0] == "python" and words[1] != "recipes/evidence/heldout_people.py":
                found.setdefault(words[1], words)
    return list(found.values())


def test_the_page_from_a_corpus_to_a_starter_that_clones(desk):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    names = []
    for _, script, *words in commands():
        name = Path(script).stem
        names.append(name)
        command = [sys.executable, str(ROOT / script), *words, *TINY[name]]
        done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stderr[-3000:])
        assert "nan" not in done.stdout.lower(), (name, done.stdout)
    assert names == list(TINY)
    starter = load_starter(desk / "starter")
    assert starter.info["training"]["data"] == "vctk" and starter.moved()
    rows = [json.loads(line) for line in (desk / "runs/own/phase2/log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(np.isfinite(row[k]) for row in rows for k in ("query_loss", "support_last"))
    assert all(bool(v.isfinite().all()) for v in load_checkpoint(desk / "runs/own/phase1/last.safetensors")[0].values())
    from tts_meta.adaptation.adaptation_run import AdaptationRun
    from tts_meta.adaptation.methods import choose_method
    from tts_meta.clips.whole_clips import whole_clips

    paths = sorted((EXAMPLES / "clips").glob("*.flac"))[:2]
    items = [c.item for c in whole_clips(paths, find_transcripts(paths, None), starter).values()]
    run = AdaptationRun(starter, choose_method(starter, "sigma"), items[:1], items[1:], steps=4, chunk=2)
    losses = [p.heldout_loss for p in run]
    assert len(losses) == 3 and np.isfinite(losses).all() and len(set(losses)) > 1


class Corpus:
    """Speakers with two utterances each, as the split sees a prepared corpus."""

    def __init__(self, *speakers: str) -> None:
        self.utterances = [Utterance(s, s.split("/")[0], f"{s}{i}", "", (), 0, 10) for s in speakers for i in range(2)]

    def by_speaker(self):
        return {s: [u for u in self.utterances if u.speaker == s] for s in dict.fromkeys(u.speaker for u in self.utterances)}


def test_a_fold_of_few_speakers_is_not_empty():
    """By chance alone none of these would be in a fold of a tenth: the one with the lowest number is, with its copies."""
    people = [f"a/p{i}" for i in range(2, 5)]
    assert len(take_fold(people, 0.001)) == 1 and take_fold(people, 0.0) == [] and take_fold(people[:1], 0.001) == []
    (one,) = take_fold(people, 0.001)
    assert set(take_fold([*people, f"{one}@0.9"], 0.001)) == {one, f"{one}@0.9"}
    fitted, fold = split_speakers(Corpus(*people, "b/long"), ["b"], 0.001)
    assert fold == [one] and "b/long" in fitted and len(fitted) == 3
    with pytest.raises(InputError, match="All 3 speakers are in the fold of 1"):
        split_speakers(Corpus(*people), [], 1.0)


def test_many_speakers_are_split_by_their_names_alone():
    people = [f"a/p{i}" for i in range(400)]
    fold = take_fold(people, 0.3)
    assert 90 < len(fold) < 150 and set(take_fold(people[:200], 0.3)) == set(fold) & set(people[:200])


def test_weights_are_never_nan():
    utterances = Corpus("a/1", "a/2", "b/1").utterances
    assert draw_weights(utterances, {}).tolist() == pytest.approx([1 / 6] * 6)
    assert draw_weights(utterances, {"a": 1.0, "b": 1.0}).tolist() == pytest.approx([1 / 8] * 4 + [1 / 4] * 2)
    assert draw_weights(utterances, {"b": 2.0}).tolist() == pytest.approx([0.0] * 4 + [0.5] * 2)
    with pytest.raises(InputError, match="corpus_weights names c, but the training speakers are of a, b"):
        draw_weights(utterances, {"a": 1.0, "c": 1.0})
    with pytest.raises(InputError, match="gives no corpus a share"):
        draw_weights(utterances, {"a": 0.0})

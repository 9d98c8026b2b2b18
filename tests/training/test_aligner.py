"""Viterbi training of the aligner: the likelihood rises, every phone has its frames, the result is read back."""

from __future__ import annotations

import pytest

from tts_meta.data.speech import SpeechCorpus
from tts_meta.training.aligner import AlignerConfig, AlignerTrainer, load_aligner, load_durations


@pytest.fixture(scope="module")
def aligned(tiny_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("aligner")
    own = {"rounds": 5, "prior_frames": 5.0, "teachers": ["teach", "task"], "fold": 0.3, "seed": 0}
    AlignerTrainer(AlignerConfig(run=str(folder), data=str(tiny_corpus), **own)).run()
    return folder


def test_every_round_explains_the_sound_better(aligned):
    likelihood = load_aligner(aligned)[1]["likelihood"]
    assert all(b > a - 1e-3 for a, b in zip(likelihood, likelihood[1:], strict=False)), likelihood
    assert likelihood[-1] > likelihood[0] + 0.5


def test_durations_cover_every_utterance(aligned, tiny_corpus):
    corpus = SpeechCorpus(tiny_corpus)
    durations = load_durations(aligned)
    for u, d in zip(corpus.utterances, durations, strict=True):
        assert len(d) == len(u.phones) and d.sum() == u.frames and d.min() >= 1
        spaces = [n for n, (symbol, _) in zip(d, u.phones, strict=True) if symbol == " "]
        assert not spaces or sum(spaces) / len(spaces) < 6, "word boundaries swallow speech"


def test_silence_symbols_share_one_state(aligned):
    tensors, meta = load_aligner(aligned)
    silent = tensors["silence"] > 0
    assert silent.sum() >= 3
    assert (tensors["mean"][silent] == tensors["mean"][silent][0, 0]).all()
    assert (tensors["variance"] > 0).all()

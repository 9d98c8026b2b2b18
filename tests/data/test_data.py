"""Corpora: the four layouts on fixtures in their real shape, caching, cutting at pauses, alignment, task splits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import EXAMPLES
from tts_meta.data.batch import align, collate, make_item
from tts_meta.data.layouts import read_libritts, read_ljspeech, read_pack, read_vctk
from tts_meta.data.segments import cut_at_pauses
from tts_meta.data.speech import SpeechCorpus, prepare
from tts_meta.data.tasks import SpeakerTask, split_utterances
from tts_meta.errors import InputError


def tone(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(int(16000 * seconds)) / 20), 16000)


def test_libritts(tmp_path):
    base = tmp_path / "train-clean-100" / "103" / "1240"
    tone(base / "103_1240_000000_000001.wav")
    (base / "103_1240_000000_000001.normalized.txt").write_text("Chapter one.")
    (clip,) = read_libritts(tmp_path)
    assert (clip.speaker, clip.text) == ("103", "Chapter one.")


def test_vctk(tmp_path):
    tone(tmp_path / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac")
    (tmp_path / "txt" / "p225").mkdir(parents=True)
    (tmp_path / "txt" / "p225" / "p225_001.txt").write_text("Please call Stella.\n")
    (clip,) = read_vctk(tmp_path)
    assert (clip.speaker, clip.text, clip.path.name) == ("p225", "Please call Stella.", "p225_001_mic1.flac")


def test_ljspeech(tmp_path):
    tone(tmp_path / "wavs" / "LJ001-0001.wav")
    (tmp_path / "metadata.csv").write_text("LJ001-0001|In 1455|In fourteen fifty-five\n")
    (clip,) = read_ljspeech(tmp_path)
    assert (clip.speaker, clip.text) == ("LJ", "In fourteen fifty-five")


def test_pack(tmp_path):
    tone(tmp_path / "c" / "a.flac")
    (tmp_path / "manifest.tsv").write_text(
        "corpus\tspeaker\tpath\tseconds\ttext_source\ttext\nc\ts\tc/a.flac\t1\tgiven\tSay \"hi\".\n"
        "c\tt\tc/b.flac\t1\tasr\tLeft out.\n"
    )
    (clip,) = read_pack(tmp_path)
    assert clip.text == 'Say "hi".'


@pytest.mark.parametrize("reader", [read_libritts, read_vctk, read_ljspeech, read_pack])
def test_a_wrong_folder_says_what_was_expected(reader, tmp_path):
    with pytest.raises(InputError, match="expected"):
        reader(tmp_path)


def test_prepare_and_read(tmp_path):
    from tts_meta.data.layouts import Clip

    clips = [
        Clip(EXAMPLES / "clips" / "p225_001.flac", "p225", "vctk", "Please call Stella."),
        Clip(EXAMPLES / "clips" / "p225_010.flac", "p225", "vctk", "People look, but no one ever finds it."),
    ]
    assert prepare(clips, tmp_path / "cache", workers=1, warps={"vctk": [1.1]}) == 4
    corpus = SpeechCorpus(tmp_path / "cache")
    groups = corpus.by_speaker()
    assert sorted(groups) == ["vctk/p225", "vctk/p225@1.1"]
    plain, warped = groups["vctk/p225"][1], groups["vctk/p225@1.1"][1]
    assert warped.frames == pytest.approx(plain.frames / 1.1, rel=0.03)
    ratio = np.median(corpus.f0(warped)[corpus.f0(warped) > 0]) / np.median(corpus.f0(plain)[corpus.f0(plain) > 0])
    assert ratio == pytest.approx(1.1, rel=0.03)
    assert json.loads((tmp_path / "cache" / "index.json").read_text())["symbols"]


def test_cuts_fall_in_pauses_between_words():
    rate = 16000
    noise = np.random.default_rng(0).normal(size=rate * 9) * 0.1
    for start in (2.8, 5.9):
        noise[int(start * rate) : int((start + 0.3) * rate)] = 0
    words = [{"word": "words", "start": 0.3 * i, "end": 0.3 * i + 0.25, "p": 0.9}
             for i in range(30) if not 2.7 < 0.3 * i < 3.05 and not 5.8 < 0.3 * i < 6.15]
    pieces = cut_at_pauses(noise, rate, words)
    assert len(pieces) == 2 and pieces[0][1] == pieces[1][0]
    assert any(s < pieces[0][1] < s + 0.3 for s in (2.8, 5.9))
    assert sum(len(p[2].split()) for p in pieces) == len(words)


def test_alignment_gives_every_phone_a_frame_and_follows_the_sound(starter):
    """Phones whose states are far apart are found to the frame; speech too fast for two states a phone still aligns."""
    from tts_meta.nets.aligner import Aligner
    from tts_meta.nets.cepstra import cepstral_basis

    norm = starter.norm
    aligner = Aligner(7)
    shapes = 3 * torch.randn(7, 16, generator=torch.Generator().manual_seed(0))
    true = [3, 2, 6, 2, 7]
    phones = [1, 2, 3, 4, 5]
    cepstra = torch.cat([shapes[s].expand(n, 16) for s, n in zip(phones, true, strict=True)])
    centred = shapes - cepstra.mean(0)
    aligner.mean[:, :, :16] = centred.unsqueeze(1)
    mel = (cepstra @ cepstral_basis(80, 16).float()).numpy()
    item = make_item(phones, [0] * 5, norm.mel_inverse(mel), np.zeros(20), norm)
    fast = make_item(phones, [0] * 5, norm.mel_inverse(mel[[0, 3, 5, 11, 13, 19]]), np.zeros(6), norm)
    durations = align(aligner, collate([item, fast]))
    assert durations[0].tolist() == true
    assert durations[1].sum() == 6 and durations[1].min() >= 1


def test_silence_is_not_put_on_loud_frames():
    from tts_meta.nets.aligner import LOUD_PENALTY, Aligner, quiet_frames

    aligner = Aligner(3)
    aligner.silence[2] = 1.0
    quiet = quiet_frames(torch.tensor([-8.0] * 5 + [0.0] * 15))
    assert quiet.tolist() == [True] * 5 + [False] * 15
    scores = aligner.scores(torch.zeros(20, 32), quiet)
    assert torch.equal(scores[4, :5], scores[0, :5])
    assert torch.allclose(scores[4, 5:], scores[0, 5:] - LOUD_PENALTY)
    noisy = quiet_frames(torch.tensor([-2.0] * 5 + [0.0] * 15))
    assert noisy[:5].all() and not noisy[5:].any()


def test_support_and_query_never_share_a_recording():
    rng = torch.Generator().manual_seed(0)
    recordings = ["a", "a", "b", "c", "c", "d"]
    for _ in range(20):
        support, query = split_utterances(recordings, 10, 2, rng)
        assert support and query
        assert not {recordings[i] for i in support} & {recordings[i] for i in query}
    with pytest.raises(ValueError):
        split_utterances(["a"], 1, 1, rng)


def test_support_batches_are_weighed_up_to_the_whole_set(starter):
    items = [make_item([1, 2], [0, 0], np.zeros((n, 80), np.float32), np.full(n, 100.0), starter.norm)
             for n in (10, 20, 30)]
    from dataclasses import replace

    items = [replace(i, durations=np.array([4.0, len(i.mel) - 4.0])) for i in items]
    task = SpeakerTask(items, items[:1], clips=2)
    batch = task.support(0, torch.Generator().manual_seed(0))
    assert float(batch["weight"]) == pytest.approx(60 / float(batch["frame_mask"].sum()))
    assert float(task.whole_support()["weight"]) == 1.0

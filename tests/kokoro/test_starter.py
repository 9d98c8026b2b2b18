"""The starter on Kokoro: a clone from end to end, its file, its register, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import EXAMPLES
from tts_meta.adaptation.clone_at_once import clone_voice
from tts_meta.adaptation.methods import choose_method
from tts_meta.audio.features import clip_features
from tts_meta.audio.files import read_audio
from tts_meta.clips.prepared_clips import load_prepared, save_prepared
from tts_meta.clips.transcripts import complete_transcripts
from tts_meta.errors import InputError
from tts_meta.kokoro.register import REGISTER, Register
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.voices.voice_file import load_voice

ASSETS = Path(str(files("tts_meta") / "assets"))


@pytest.fixture(scope="module")
def kokoro():
    return load_kokoro()


@pytest.fixture(scope="module")
def made(kokoro, tmp_path_factory):
    """A clone of four clips in three steps, and its losses."""
    folder = tmp_path_factory.mktemp("kokoro")
    for number in ("001", "002", "005", "006"):
        for path in (EXAMPLES / "clips").glob(f"*{number}.*"):
            shutil.copy(path, folder)
    losses: list[float] = []
    made = clone_voice(
        kokoro, [folder], "short", folder, steps=3, consent="VCTK, CC BY 4.0",
        on_progress=lambda p: losses.append(p.train_loss),
    )
    return made, losses


def test_a_clone_learns_and_its_file_is_small(made, kokoro):
    voice, losses = made
    found = load_voice(voice.path, kokoro)
    assert voice.path.stat().st_size < 2**20
    moved = sum(v.numel() for v in found.deltas.values())
    assert moved < 0.1 * kokoro.size
    assert losses[-1] < losses[1]
    assert {m for m in found.header["modules"]} == {*kokoro.moved(), REGISTER}
    assert not any(m.startswith("prosody.") for m in found.header["modules"])


def test_by_the_method_learned_the_heads_expansions_are_freer_and_the_rest_of_it_is_held(kokoro):
    """What sigma-iMAML found (docs/kokoro_sigma_imaml.md); the blocks have the same sigma by both."""
    usual, learned = choose_method(kokoro, "sigma"), choose_method(kokoro, "learned")
    ratio = (learned.prior.log_sigma2 - usual.prior.log_sigma2).div(2).exp()
    of = dict(zip(kokoro.partition.modules, ratio.tolist(), strict=True))
    expansions = [m for m in of if m.startswith("head.") and m.endswith("up.factor")]
    assert len(expansions) == 6 and all(of[m] > 1 for m in expansions)
    assert all(of[m] < 0.5 for m in of if m.startswith("head.") and m not in expansions)
    assert all(of[m] == 1 for m in of if not m.startswith("head."))
    assert (learned.modules, learned.together, learned.long) == (usual.modules, usual.together, usual.long)
    told = {r["name"]: r["sigma_relative"] for r in kokoro.module_table(method="learned")}
    assert told["head.out.factor"] == pytest.approx(kokoro.sigma_relative["head.out.factor"] * of["head.out.factor"])


def test_a_sigma_that_is_asked_for_changes_nothing_for_who_does_not_ask(kokoro):
    """Jobs and results of the usual method are kept under the starter's identity."""
    without = {**kokoro.info, "adaptation": {k: v for k, v in kokoro.info["adaptation"].items() if k != "learned"}}
    assert replace(kokoro, info=without).identity == kokoro.identity
    slower = {**kokoro.info, "adaptation": {**kokoro.info["adaptation"], "steps": 1}}
    assert replace(kokoro, info=slower).identity != kokoro.identity


def test_a_clone_by_the_method_learned_says_so_and_joins_its_held_out_clips(made, kokoro, tmp_path):
    for number in ("001", "002", "005"):
        for path in (EXAMPLES / "clips").glob(f"*{number}.*"):
            shutil.copy(path, tmp_path)
    steps: list[int] = []
    clone = clone_voice(
        kokoro, [tmp_path], "clean", tmp_path, steps=5, method="learned", consent="VCTK, CC BY 4.0",
        on_progress=lambda p: steps.append(p.step),
    )
    header = load_voice(clone.path, kokoro).header
    assert header["method"] == "learned" and steps[-1] == 6
    told = {m["name"]: m["sigma_relative"] for m in clone.summary["modules"]}
    assert told == {m["name"]: m["sigma_relative"] for m in kokoro.module_table(method="learned")}


def test_it_speaks_without_a_pitch_in_quiet_frames(kokoro):
    """The frames that lose it are quieter than the others, and the durations are the same."""
    text = "She stopped at the back of the shop, and asked for six apples."
    (mel, frames), (plain, same) = (Synthesizer(s).sentence_mel(text) for s in (kokoro, replace(kokoro, quiet=math.inf)))
    assert np.array_equal(frames, same)
    changed, level = np.abs(mel - plain).mean(1) > 0.2, plain.mean(1)
    assert 0.02 < changed.mean() < 0.5 and np.median(level[changed]) < np.median(level)


def test_it_speaks_in_the_speakers_register(made, kokoro):
    """F0 of the clone is the recordings', which the start's is not."""
    recorded = [clip_features(*read_audio(p)).f0 for p in sorted((EXAMPLES / "clips").glob("*.flac"))[:4]]
    middle = float(np.mean(np.concatenate([np.log(f[f > 0]) for f in recorded])))
    voice = load_voice(made[0].path, kokoro)
    apart = []
    for synthesizer in (Synthesizer(kokoro), Synthesizer.of(kokoro, voice)):
        spoken = synthesizer.speak("She sells fresh bread and honey at the market every morning.")
        f0 = clip_features(spoken.samples, 22050).f0
        apart.append(abs(float(np.log(f0[f0 > 0]).mean()) - middle))
        assert not spoken.suspect and 2 < spoken.seconds < 8
    assert apart[1] < 0.06 < apart[0]


def test_the_register_of_its_own_speech_is_its_own(kokoro):
    """What the network says itself, measured where a pitch is heard, asks for no change."""
    from tts_meta.kokoro.clips import KokoroItem
    from tts_meta.kokoro.register import QUIETEST, measure
    from tts_meta.nets.kokoro.network import hard_voicing, token_index
    from tts_meta.nets.kokoro.speaker_loss import MANNER
    from tts_meta.text.phonemes import phonemize

    params, items, read = kokoro.start({}), [], []
    for text in ("The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background."):
        ids = torch.tensor([kokoro.ids(phonemize(text))])
        mask, lengths = torch.ones(ids.shape), torch.tensor([ids.shape[1]])
        with torch.no_grad():
            front = kokoro.net.read(ids, mask)
            prosody = kokoro.net.prosody.read(front.prosody, params[MANNER], mask, lengths, params)
            counts = kokoro.net.prosody.durations(prosody, lengths, params).round().clamp(min=1).long()[0]
            index = token_index(counts)[None]
            f0, energy = kokoro.net.melody(prosody, index, params[MANNER], torch.ones(index.shape), params)
        f0 = hard_voicing(f0)[0]
        heard = f0 * (energy[0] > energy[0][f0 > 0].quantile(QUIETEST))
        assert heard[heard > 0].log().mean() - f0[f0 > 0].log().mean() > 0.02  # the edges are low, and no tracker's
        items.append(KokoroItem(ids[0].numpy(), counts.numpy(), 1.2 * heard.numpy(), energy[0].numpy() + 2,
                                np.zeros((10, 80), dtype=np.float32)))
        read.append(front.prosody[0])
    found = measure(kokoro.net, params, items, read)
    assert abs(found.slow) < 0.05 and abs(found.spread) < 0.05
    assert abs(found.shift - np.log(1.2)) < 0.01 and abs(found.energy - 2) < 1e-3
    f0 = torch.tensor([0.0, 100.0])
    assert torch.allclose(found.pitch(f0), torch.tensor([0.0, 120.0]), atol=2.0)
    assert torch.equal(Register().pitch(f0).round(), f0)


def test_a_step_of_the_head_alone_is_the_same_from_kept_features(kokoro):
    """What the blocks make of a clip is kept where only the head moves: loss and gradient are those of the whole network."""
    from tts_meta.kokoro.clips import KokoroItem
    from tts_meta.meta.loss import gradient

    rng = np.random.default_rng(0)
    items = []
    for n in (9, 12):
        counts = rng.integers(2, 6, n)
        frames = int(counts.sum())
        items.append(KokoroItem(
            np.array([0, *rng.integers(43, 60, n - 2), 0]), counts, rng.uniform(90, 140, 2 * frames).astype(np.float32),
            rng.normal(2, 1, 2 * frames).astype(np.float32),
            rng.normal(-5, 1, (round(2 * frames * 1.0766), 80)).astype(np.float32),
        ))
    head = [m for m in kokoro.partition.modules if m.startswith("head.")]
    found = []
    for modules in (head, [*head, "timbre"]):
        encoded = [kokoro.encoded(i, modules) for i in items]
        assert all((e.features is None) == ("timbre" in modules) for e in encoded)
        batch = {k: v.unsqueeze(0) for k, v in kokoro.collate(items, encoded).items()}
        loss = kokoro.task_loss(False, modules)
        rest = kokoro.fixed(head)
        params = {n: kokoro.phi[n].unsqueeze(0) for n in head}
        found.append(gradient(lambda p, b, loss=loss, rest=rest: loss({**rest, **p}, b), params, batch))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5)
    for n in head:
        assert torch.allclose(found[0][1][n], found[1][1][n], rtol=1e-3, atol=1e-3 * float(found[1][1][n].abs().max()))


def test_speed_pitch_and_emphasis_do_what_they_say(kokoro):
    synthesizer, text = Synthesizer(kokoro), "Please leave the keys on the table."
    plain, slow = synthesizer.sentence_mel(text)[0], synthesizer.sentence_mel(text, speed=0.5)[0]
    assert 1.7 < len(slow) / len(plain) < 2.2
    middle = []
    for pitch in (0.0, 6.0):
        f0 = clip_features(synthesizer.speak(text, pitch=pitch).samples, 22050).f0
        middle.append(np.log(f0[f0 > 0]).mean())
    assert abs(middle[1] - middle[0] - 6 * np.log(2) / 12) < 0.06
    counts = synthesizer.sentence_mel("Please leave the *keys* on the table.")[1]
    assert counts.sum() > synthesizer.sentence_mel(text)[1].sum()


def test_prepared_clips_belong_to_their_network(made, kokoro, starter, tmp_path):
    from tts_meta.clips.checkup import check_clips
    from tts_meta.clips.prepared_clips import prepare

    path = next((EXAMPLES / "clips").glob("*001.flac"))
    texts = complete_transcripts([path], None, lambda message: None)
    checkup = check_clips([path], texts, kokoro)
    clips = prepare(checkup.used, kokoro)
    save_prepared(tmp_path / "clips", clips, kokoro)
    again = load_prepared(tmp_path / "clips", kokoro)
    assert all((getattr(clips[0].item, k) == getattr(again[0].item, k)).all() for k in ("ids", "counts", "f0", "energy", "mel"))
    with pytest.raises(InputError, match="network 'kokoro'"):
        load_prepared(tmp_path / "clips", starter)


def test_a_voice_of_the_other_network_is_refused(made, starter, kokoro):
    with pytest.raises(InputError, match="TTS_META_NETWORK=kokoro"):
        load_voice(made[0].path, starter)
    with pytest.raises(InputError, match="TTS_META_NETWORK=small"):
        load_voice(ASSETS / "example.voice", kokoro)


def test_the_example_speaks(kokoro, monkeypatch):
    from tts_meta.voices.library import named_voice

    monkeypatch.setenv("TTS_META_NETWORK", "kokoro")
    voice = load_voice(named_voice("example"), kokoro)
    assert Synthesizer.of(kokoro, voice).speak("Good morning.").seconds > 0.5


def test_a_damaged_starter_is_told_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="holds no starter for Kokoro"):
        load_kokoro(tmp_path)
    parts = ("kokoro.safetensors", "kokoro-prior.safetensors")
    for name in (*parts, "kokoro.json"):
        shutil.copy(ASSETS / name, tmp_path)
    for name in parts:
        blob = bytearray((tmp_path / name).read_bytes())
        blob[len(blob) // 2] ^= 1
        (tmp_path / name).write_bytes(bytes(blob))
        with pytest.raises(InputError, match="damaged"):
            load_kokoro(tmp_path)
        shutil.copy(ASSETS / name, tmp_path)
    info = json.loads((ASSETS / "kokoro.json").read_text())
    (tmp_path / "kokoro.json").write_text(json.dumps({k: v for k, v in info.items() if k != "sha256"}))
    with pytest.raises(InputError, match="damaged"):
        load_kokoro(tmp_path)


def test_an_unknown_network_is_refused(monkeypatch):
    from tts_meta.places import chosen_network

    monkeypatch.setenv("TTS_META_NETWORK", "huge")
    with pytest.raises(InputError, match="kokoro, small"):
        chosen_network()

"""Cloning and speaking: resumable adaptation, caching, voice file, library, synthesis controls."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import EXAMPLES
from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.clone_in_progress import hold_out
from tts_meta.adaptation.methods import choose_method, free, shrinking
from tts_meta.adaptation.stopping import last_gain, plateau
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.errors import InputError
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.small_starter import load_starter
from tts_meta.starters.variance import (
    COEFFICIENTS,
    HIGHEST,
    LOWEST,
    Gains,
    measure_gains,
    restore_variance,
    spreads,
    stretch_melody,
)
from tts_meta.voices.library import (
    EXAMPLE,
    copy_voice,
    delete_voice,
    describe_voices,
    export_voice,
    find_voice,
    import_voice,
    list_voices,
    note_voice,
    rename_voice,
    voice_names,
)
from tts_meta.voices.voice_file import load_voice, pack
from tts_meta.voices.voice_header import read_header
from tts_meta.voices.voice_schema import check_header


@pytest.fixture(scope="module")
def items(starter):
    clips = find_clips([EXAMPLES / "clips"])[:5]
    used = list(whole_clips(clips, complete_transcripts(clips, None), starter).values())
    support, held = hold_out(used, 0)
    return [c.item for c in support], [c.item for c in held]


def test_alignments_are_monotone_and_sane(starter, items):
    for item in items[0]:
        assert (item.durations >= 1).all() and item.durations.sum() == len(item.mel)
        inner = item.durations[2:-2]
        assert np.percentile(inner, 90) < 40, inner  # no phone swallows half a second of its neighbours


def test_resumed_adaptation_is_bit_equal(starter, items, tmp_path):
    def fresh():
        return AdaptationRun(starter, choose_method(starter, "sigma"), *items, steps=6, chunk=2, clips=2)

    whole = fresh()
    for _ in whole:
        pass
    first = fresh()
    next(first), next(first)
    first.save(tmp_path / "run.safetensors")
    second = fresh()
    second.restore(tmp_path / "run.safetensors")
    for _ in second:
        pass
    assert second.history == whole.history
    for k in whole.theta:
        assert torch.equal(whole.theta[k], second.theta[k]), k


def test_adaptation_lowers_the_heldout_loss_and_moves_only_what_sigma_says(starter, items):
    run = AdaptationRun(starter, choose_method(starter, "sigma"), *items, steps=15, chunk=5)
    progress = list(run)
    assert progress[0].step == 0 and progress[-1].heldout_loss < progress[0].heldout_loss - 0.5
    moved = {starter.partition.module_of[n] for n in run.deltas()}
    assert moved == set(starter.moved()) and 0 < len(moved) <= len(starter.partition.modules)


def test_embedding_and_all_move_what_they_say(starter, items):
    assert set(AdaptationRun(starter, choose_method(starter, "embedding"), *items).theta) == {"speaker"}
    assert set(AdaptationRun(starter, choose_method(starter, "all"), *items).theta) == set(starter.partition.free())


def test_low_rank_updates_start_at_phi_and_stay_of_their_rank(starter, items):
    chosen = free(starter, ["speaker", "decoder.blocks.7.conv", "decoder.out"], rate=1e-3, rank=3)
    run = AdaptationRun(starter, chosen, *items, steps=4, chunk=2, clips=2)
    first = next(run)
    assert all(float(d.abs().max()) == 0 for d in run.now().values())
    assert list(run)[-1].heldout_loss < first.heldout_loss
    moved = run.now()["decoder.blocks.7.conv.weight"].flatten(1)
    assert torch.linalg.matrix_rank(moved) <= 3 and moved.abs().max() > 0
    assert run.low_rank.start["speaker"].shape == starter.phi["speaker"].shape  # a vector has no factors
    with pytest.raises(ValueError, match="No module"):
        free(starter, ["no.such.module"], 1e-3)


def test_a_run_can_begin_from_another_runs_end(starter, items):
    start = {"speaker": torch.full_like(starter.phi["speaker"], 0.5)}
    run = AdaptationRun(starter, free(starter, ["speaker", "decoder.out"], 1e-3), *items, start=start)
    assert torch.allclose(run.now()["speaker"], start["speaker"]) and float(run.now()["decoder.out.weight"].abs().max()) == 0


def test_held_out_clips_join_at_the_end(starter, items, tmp_path):
    """After joining, steps draw from all clips, nothing is held out, the last step counts; and a restored run goes on alike."""
    def begin() -> AdaptationRun:
        return AdaptationRun(starter, choose_method(starter, "sigma"), *items, steps=4, chunk=2, clips=2)

    run = begin()
    assert list(run)[-1].heldout_loss is not None
    run.join(3)
    assert len(run.support) == len(items[0]) + len(items[1]) and run.frames == sum(len(i.mel) for g in items for i in g)
    middle = next(run)
    assert middle.step == 6 and middle.heldout_loss is None and middle.steps == 7
    run.save(tmp_path / "run.safetensors")
    restored = begin()
    restored.restore(tmp_path / "run.safetensors")
    for r in (run, restored):
        assert [p.step for p in r] == [7] and r.best_step == 7
    assert all(torch.equal(a, b) for a, b in zip(run.deltas().values(), restored.deltas().values(), strict=True))
    straight = AdaptationRun(starter, choose_method(starter, "sigma"), *items, steps=7, chunk=7, clips=2)
    list(straight)
    assert any(not torch.equal(straight.now()[k], v) for k, v in run.now().items())


def test_restored_variance_is_the_speakers_own(starter, items):
    """Gains measured on clips give the model's prediction of those clips the speaker's spread, and unit gains change nothing."""
    from tts_meta.data.batch import collate

    gains = measure_gains(starter, {}, items[0]).cepstra
    assert gains.shape == (COEFFICIENTS,) and gains[1:].mean() > 1.2, "predictions are not smoother than speech"
    real, made = [], []
    for item in items[0]:
        mel = starter.model(collate([item]))["mel"][0, : len(item.mel)].numpy()
        assert np.allclose(restore_variance(mel, np.ones(COEFFICIENTS)), mel, atol=1e-5)
        assert np.allclose(restore_variance(mel, gains).mean(0), mel.mean(0), atol=1e-4), "the mean spectrum moved"
        real.append(spreads(item.mel))
        made.append(spreads(restore_variance(mel, gains)))
    free_of_bounds = (gains > LOWEST) & (gains < HIGHEST)
    assert np.allclose(np.mean(made, 0)[free_of_bounds], np.mean(real, 0)[free_of_bounds], rtol=1e-3)


def test_a_voice_speaks_with_its_own_gains(cloned, starter, items):
    voice = load_voice(cloned.path, starter)
    assert voice.gains.cepstra.shape == (COEFFICIENTS,) and voice.gains.cepstra[1:].mean() > 1.2
    own = Synthesizer.of(starter, voice).sentence_mel("Good morning to you all.")[0]
    plain = Synthesizer(starter, voice.deltas).sentence_mel("Good morning to you all.")[0]
    assert (spreads(starter.norm.mel(own))[1:] / spreads(starter.norm.mel(plain))[1:]).mean() > 1.2


def test_the_melody_is_stretched_half_way_to_the_speakers_own(starter, items, monkeypatch):
    """The gain is the root of the ratio of the spreads, and synthesis uses it."""
    from tts_meta.data.batch import collate, line_through

    gain = measure_gains(starter, {}, items[0]).pitch
    heard, predicted = [], []
    for item in items[0]:
        batch = collate([item])
        heard.append(float(batch["pitch"][0, 1:-1].std(correction=0)))
        predicted.append(float(starter.model(batch)["pitch"][0, 1:-1].std(correction=0)))
    assert gain == pytest.approx((np.mean(heard) / np.mean(predicted)) ** 0.5, rel=1e-4) and abs(gain - 1) > 0.01
    pitches = torch.tensor([[9.0, 1.0, 3.0, -9.0]])
    assert torch.allclose(stretch_melody(pitches, 2.0), torch.tensor([[16.0, 0.0, 4.0, -20.0]]))
    assert torch.allclose(stretch_melody(pitches[:, :1], 2.0), pitches[:, :1])
    lines = []
    monkeypatch.setattr("tts_meta.starters.small_mel.line_through", lambda x, *rest: lines.append(x) or line_through(x, *rest))
    for g in (1.0, 2.0):
        Synthesizer(starter, gains=Gains(np.ones(COEFFICIENTS), g)).sentence_mel("Good morning to you all.")
    assert torch.allclose(stretch_melody(lines[0], 2.0), lines[1], atol=1e-5)


def test_the_starter_moves_the_modules_on_its_list(starter):
    listed = list(starter.adaptation.moved)
    assert set(starter.moved()) == set(listed) and starter.moved() != starter.moved(0.0)
    sizes = {r["name"]: r["parameters"] for r in starter.module_table()}
    assert sum(sizes[m] for m in listed) < 0.2 * sum(sizes.values())
    assert all(starter.sigma_relative[m] >= 0.3 for m in starter.moved(0.3))


def test_a_clone_uses_the_widened_sigmas_and_a_threshold_the_learned_ones(starter):
    widths = {**dict.fromkeys(starter.partition.modules, 1.0), **starter.widths}
    assert starter.widths and set(starter.widths) <= set(starter.moved())
    learned, wide = starter.prior.log_sigma2, shrinking(starter).prior.log_sigma2
    assert torch.allclose((wide - learned).div(2).exp(), torch.tensor(list(widths.values())), rtol=1e-5)
    assert torch.equal(shrinking(starter, 0.1).prior.log_sigma2, learned)
    assert torch.equal(shrinking(starter, widened=False).prior.log_sigma2, learned)
    assert shrinking(starter, widened=False).modules == shrinking(starter).modules
    shown = {r["name"]: r["sigma_relative"] / starter.sigma_relative[r["name"]] for r in starter.module_table()}
    assert shown == pytest.approx(widths)


def test_by_the_method_learned_no_sigma_is_widened(starter):
    method = choose_method(starter, "learned")
    assert method.modules == shrinking(starter).modules and method.solver == shrinking(starter).solver
    assert torch.equal(method.prior.log_sigma2, starter.prior.log_sigma2)
    assert {r["name"]: r["sigma_relative"] for r in starter.module_table(method="learned")} == starter.sigma_relative


def test_voice_file_holds_the_moved_modules_and_its_story(cloned, starter):
    voice = load_voice(cloned.path, starter)
    header = read_header(cloned.path)
    assert set(header["modules"]) == set(starter.moved())
    for key in ("starter", "sample_rate", "clips", "seconds", "steps", "best_step", "heldout_loss", "consent", "created"):
        assert header[key], key
    assert cloned.summary["bytes"] == cloned.path.stat().st_size
    assert any(float(d.abs().max()) > 0 for d in voice.deltas.values())


def test_packed_deltas_come_back_within_half_a_step():
    g = torch.Generator().manual_seed(0)
    deltas = {"w": torch.randn(5, 7, 3, generator=g) * torch.logspace(-6, 1, 5).view(5, 1, 1), "b": torch.randn(4, generator=g)}
    packed = pack(deltas)
    assert packed["w"].dtype == torch.int8 and packed["w#scale"].shape == (5,) and packed["b"].dtype == torch.float16
    error = (packed["w"].float() * packed["w#scale"].view(5, 1, 1) - deltas["w"]).abs().flatten(1).amax(1)
    assert (error <= deltas["w"].abs().flatten(1).amax(1) / 254 * 1.001).all()
    assert not pack({"z": torch.zeros(2, 2)})["z"].any()


def test_library_round_trip(cloned, starter, library, tmp_path):
    import_voice(cloned.path, starter)
    assert [p.stem for p in list_voices()] == ["p225"] and find_voice("p225").parent == library
    out = export_voice("p225", tmp_path / "copy.voice")
    assert out.read_bytes() == cloned.path.read_bytes()
    delete_voice("p225")
    assert list_voices() == []


def test_the_example_speaks_at_once_and_stays_as_it_is(starter, library, tmp_path, monkeypatch):
    """With an empty library there is one voice: of the starter in the package, with its consent; it can only be copied."""
    assert list_voices() == [] and voice_names() == [EXAMPLE]
    voice = load_voice(find_voice(EXAMPLE), starter)
    assert "CC BY 4.0" in voice.header["consent"] and voice.header["clips"] == 10
    assert find_voice(EXAMPLE).stat().st_size < 1e6
    for change in (delete_voice, lambda n: rename_voice(n, "other"), lambda n: note_voice(n, "x")):
        with pytest.raises(InputError, match="comes with the package"):
            change(EXAMPLE)
    copy_voice(EXAMPLE, "mine")
    assert voice_names() == ["mine", EXAMPLE] and [r["name"] for r in describe_voices()] == ["mine"]
    assert [r["name"] for r in describe_voices(example=True)] == ["mine", EXAMPLE]
    monkeypatch.setenv("TTS_META_NETWORK", "kokoro")  # has a file of another name for it
    assert [r["name"] for r in describe_voices(example=True)] == ["mine", EXAMPLE]
    rename_voice("mine", EXAMPLE)
    assert voice_names() == [EXAMPLE] and find_voice(EXAMPLE).parent == library
    with pytest.raises(InputError, match=r"no voice 'nobody'.*example"):
        find_voice("nobody")


def test_speed_and_pitch_do_what_they_say(cloned, starter):
    synth = Synthesizer.of(starter, load_voice(cloned.path, starter))
    text = "We also need a small plastic snake."
    mel, durations = synth.sentence_mel(text)
    assert (durations >= 1).all() and durations.sum() == len(mel)
    _, fast = synth.sentence_mel(text, speed=2.0)
    assert fast.sum() == pytest.approx(durations.sum() / 2, rel=0.15)
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.audio.pitch import f0_at_frames

    def median_f0(semitones):
        spoken = synth.speak(text, pitch=semitones)
        f0 = f0_at_frames(spoken.samples, SAMPLE_RATE, len(spoken.mel))
        return np.median(f0[f0 > 0])

    assert median_f0(4.0) / median_f0(0.0) == pytest.approx(2 ** (4 / 12), rel=0.08)


def test_same_input_same_sound(cloned, starter):
    synth = Synthesizer.of(starter, load_voice(cloned.path, starter))
    assert np.array_equal(synth.speak("Hello.").samples, synth.speak("Hello.").samples)


@pytest.mark.parametrize(("iso", "shown"), [
    ("2026-11-22T11:31:43+00:00", "2026-11-22 11:31"), ("2026-11-22T02:31:43+05:00", "2026-11-21 21:31"), ("soon", "soon"),
])
def test_a_date_is_shown_in_one_zone(iso, shown):
    from tts_meta.voices.library import read_date

    assert read_date(iso) == shown


@pytest.mark.parametrize("solver", [ProximalGD(1e-6), ProximalGD(1e-7, whiten=True), ProximalAdam(0.1)], ids=str)
def test_a_run_of_any_solver_is_saved_and_goes_on_alike(starter, items, tmp_path, solver):
    """What the solver keeps between steps, moments or nothing, is in the checkpoint."""
    method = replace(choose_method(starter, "sigma"), solver=solver)

    def begin() -> AdaptationRun:
        return AdaptationRun(starter, method, *items, steps=4, chunk=2, clips=2)

    whole, first, second = begin(), begin(), begin()
    list(whole)
    next(first)
    next(first)
    first.save(tmp_path / "run.safetensors")
    second.restore(tmp_path / "run.safetensors")
    list(second)
    assert second.step == 4 and all(torch.equal(v, second.now()[k]) for k, v in whole.now().items())
    other = AdaptationRun(starter, replace(method, solver=ProximalAdam(0.05)), *items, steps=4)
    with pytest.raises(InputError, match="another solver; start the run again"):
        other.restore(tmp_path / "run.safetensors")


def copied(tmp_path):
    from importlib.resources import files

    root = files("tts_meta") / "assets"
    for name in ("starter.json", "starter.safetensors"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    return tmp_path / "starter.json"


@pytest.mark.parametrize(("damage", "told"), [
    (lambda d: "{\"net\": ", "is damaged"), (lambda d: "[1, 2]", "has no adaptation"), (lambda d: "7", "is damaged"),
    (lambda d: {k: v for k, v in d.items() if k != "scales"}, "has no scales"),
    (lambda d: {**d, "net": {**d["net"], "hidden": "wide"}}, "does not fit"),
    (lambda d: {**d, "net": {**d["net"], "hidden": 128}}, "does not fit"), (lambda d: {**d, "modules": [{}]}, "does not fit"),
    (lambda d: {**d, "normaliser": None}, "does not fit"), (lambda d: {**d, "adaptation": []}, "an object is expected"),
    (lambda d: {**d, "adaptation": {}}, "no adaptation.clips"),
    (lambda d: {**d, "adaptation": {**d["adaptation"], "clips": 0}}, "adaptation.clips; a whole number"),
    (lambda d: {**d, "adaptation": {**d["adaptation"], "steps": "many"}}, "'many' as adaptation.steps"),
    (lambda d: {**d, "adaptation": {**d["adaptation"], "widths": {"speaker": -1}}}, "adaptation.widths; an object of numbers"),
    (lambda d: {**d, "adaptation": {**d["adaptation"], "moved": "speaker"}}, "adaptation.moved; a list of names"),
    (lambda d: {**d, "adaptation": {**d["adaptation"], "movd": []}}, "adaptation.movd, which this version does not know"),
])
def test_a_damaged_starter_is_told_in_a_sentence(tmp_path, damage, told):
    path = copied(tmp_path)
    found = damage(json.loads(path.read_text()))
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    with pytest.raises(InputError, match=told) as e:
        load_starter(tmp_path)
    assert str(path) in str(e.value) and "reinstall" in str(e.value) and "\n" not in str(e.value)


def test_what_a_starter_leaves_out_is_asked_for_in_a_sentence(tmp_path):
    path = copied(tmp_path)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "adaptation": {"clips": 3, "frozen": []}}))
    plain = load_starter(tmp_path)
    assert plain.moved() == plain.partition.modules and plain.widths == {} and plain.adaptation.clips == 3
    with pytest.raises(InputError, match="does not say its solver"):
        choose_method(plain, "sigma")
    with pytest.raises(InputError, match="does not say its all_rate"):
        choose_method(plain, "all")


def test_limits_are_where_they_are_said(library, cloned, starter):
    """Of lists and notes in a voice file: what is just allowed is, one more is not."""
    import_voice(cloned.path, starter)
    note_voice("p225", "x" * 1000)
    with pytest.raises(InputError, match="1001 characters"):
        note_voice("p225", "x" * 1001)
    header = read_header(cloned.path)
    for key, item, most in (("heldout_loss", [1, 2.0], 100_000), ("clip_digests", "0" * 64, 100_000)):
        check_header("here", {**header, key: [item] * most})
        with pytest.raises(InputError, match=key):
            check_header("here", {**header, key: [item] * (most + 1)})
    check_header("here", {**header, "distance": {str(i): 0.1 for i in range(1000)}})
    with pytest.raises(InputError, match="distance"):
        check_header("here", {**header, "distance": {str(i): 0.1 for i in range(1001)}})


def test_how_a_clone_adapts_cannot_be_changed(starter):
    with pytest.raises(AttributeError):
        starter.adaptation.steps = 1


def test_a_clone_ends_six_checks_after_the_last_gain():
    """A gain at check 3 of ten: not after eight checks, but after nine and later."""
    checks = [(50.0, 0.5), (49.0, 0.5), (48.0, 0.5), (47.0, 0.5), *[(47.0, 0.5)] * 6]
    assert [plateau(checks[:n]) for n in range(7, 11)] == [False, False, False, True]
    assert last_gain([5.0, 4.0, 4.0, 3.9, 3.5], 0.2) == 4 and last_gain([5.0, 5.0, 5.0], 0.2) == 0


def test_a_monotone_speaker_keeps_the_predicted_melody(starter, items):
    """No spread to compare with: the gain is one."""
    flat = [replace(i, contour=np.zeros_like(i.contour)) for i in items[0]]
    assert measure_gains(starter, {}, flat).pitch == 1.0 != measure_gains(starter, {}, items[0]).pitch

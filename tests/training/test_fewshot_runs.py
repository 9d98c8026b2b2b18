"""Every algorithm on every domain it fits: composes, instantiates, runs 3 meta-steps and adapts; resume; flat memory."""

from __future__ import annotations

import gc
import json
import math
import statistics
import time

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from tests.conftest import ROOT
from tts_meta.errors import InputError
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.training.fewshot.evaluate import evaluate
from tts_meta.training.fewshot.run import FewShotRun, learning_points
from tts_meta.training.settings import describe

ALGORITHMS = sorted(p.stem for p in (ROOT / "configs" / "algorithm").glob("*.yaml"))
DOMAINS = sorted(p.stem for p in (ROOT / "configs" / "domain").glob("*.yaml"))
UNFIT = {
    ("hierarchical_gaussian", "versa"), ("hierarchical_gaussian", "abml"), ("hierarchical_gaussian", "bayesian_taml"),
    ("sinusoid", "bayesian_taml"),
}
"""They need a classifier, or layers whose activations can be drawn."""


def overrides(domain: str, data: dict) -> list[str]:
    small = {
        "sinusoid": [], "hierarchical_gaussian": [],
        "omniglot": [f"domain.root={data['omniglot']}", "domain.ways=3", "domain.queries=2"],
        "omniglot_alphabets": [
            f"domain.root={data['omniglot']}", "domain.ways=3", "domain.alphabets=2", "inner.steps=4", "inner.sigma.steps=4",
            "inner.reptile.steps=4", "inner.leap.steps=4", "inner.implicit.steps=4", "domain.batch=6",
        ],
        "mini_imagenet": [f"domain.root={data['mini_imagenet']}", "domain.ways=3", "domain.queries=2"],
    }[domain]
    if domain not in ("sinusoid", "hierarchical_gaussian"):
        small += [f"domain.cache={data['cache']}", "sizes.cpu.filters=4", "sizes.cpu.tasks_per_chunk=2", "posterior_samples=2"]
        if "train_queries" in (ROOT / "configs" / "domain" / f"{domain}.yaml").read_text():
            small.append("sizes.cpu.train_queries=2")
    return [*small, "tasks=2", "test.tasks=2"]


def make(algorithm: str, domain: str, data: dict, run, *more: str) -> FewShotRun:
    words = [f"algorithm={algorithm}", f"domain={domain}", f"run={run}", "meta_steps=3", *overrides(domain, data), *more]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return instantiate(compose("train", words).fewshot, _convert_="all")


def pairs():
    """Every algorithm with every domain: each algorithm on one domain in `make test`, and all that are refused; the rest in
    `make test-all`."""
    for i, algorithm in enumerate(ALGORITHMS):
        for j, domain in enumerate(DOMAINS):
            sampled = i % len(DOMAINS) == j or (domain, algorithm) in UNFIT
            yield pytest.param(algorithm, domain, marks=() if sampled else pytest.mark.sweep)


def test_the_sample_has_every_algorithm_and_every_domain():
    sampled = [p.values for p in pairs() if not p.marks and (p.values[1], p.values[0]) not in UNFIT]
    assert {d for _, d in sampled} == set(DOMAINS) and len({a for a, _ in sampled}) >= len(ALGORITHMS) - 3


@pytest.mark.parametrize(("algorithm", "domain"), pairs())
def test_every_algorithm_runs_on_every_domain_it_fits(algorithm, domain, image_data, tmp_path):
    if (domain, algorithm) in UNFIT:
        with pytest.raises(Exception, match="does not fit"):
            make(algorithm, domain, image_data, tmp_path)
        return
    if algorithm == "maml_hb_exact" and domain != "hierarchical_gaussian":
        if domain != "sinusoid":
            return  # thousands of parameters: see the test of its limit
        run = make(algorithm, domain, image_data, tmp_path, "domain.width=8")
    else:
        run = make(algorithm, domain, image_data, tmp_path)
    before = {k: v.clone() for k, v in run.trainer.state.items()}
    for _ in range(3):
        log = run.trainer.step()
        assert all(math.isfinite(v) for v in log.values()), log
    assert any(not torch.equal(v, before[k]) for k, v in run.trainer.state.items()), "nothing was learned"
    few = [k for k in run.cfg.at if k <= 3] or [0]
    episodes = run.domain.test("test", 0, 2)
    posteriors = run.algorithm.adapt(run.trainer.state, episodes, [torch.Generator().manual_seed(i) for i in range(2)], few)
    for k in few:
        found = run.domain.measure(posteriors[k], episodes)
        assert set(found) == set(run.domain.measures)
        assert all(v.shape == (2,) and torch.isfinite(v).all() for v in found.values()), (k, found)


def test_learning_lowers_the_error(tmp_path, image_data):
    """300 meta-steps of MAML on sinusoids: far under the untrained network, and better with more inner steps."""
    run = make("maml", "sinusoid", image_data, tmp_path, "meta_steps=400", "tasks=10", "test.tasks=40", "sizes.cpu.lr=0.005")
    before = run.test()
    run.train()
    after = run.test()
    assert after[10]["mse"]["mean"] < 0.6 * before[10]["mse"]["mean"]
    assert after[10]["mse"]["mean"] < 0.6 * after[0]["mse"]["mean"]


def test_a_run_writes_its_results_and_is_not_repeated(tmp_path, image_data):
    run = make("sigma_reptile", "sinusoid", image_data, tmp_path / "r", "inner.sigma.steps=3")
    found = run.run()
    assert json.loads((tmp_path / "r" / "results.json").read_text())["result"] == found["result"]
    assert {r["name"] for r in found["modules"]} == {"fc1", "fc2", "head"}
    rows = (tmp_path / "r" / "curve.csv").read_text().splitlines()
    assert rows[0].startswith("steps,mse,mse_ci95") and len(rows) == 1 + len(run.cfg.at)
    assert all((tmp_path / "r" / f).stat().st_size > 3000 for f in ("curve.png", "modules.png", "waves.png"))
    again = make("sigma_reptile", "sinusoid", image_data, tmp_path / "r", "inner.sigma.steps=3")
    assert again.run() == json.loads((tmp_path / "r" / "results.json").read_text())


def test_a_learning_curve_is_of_validation_tasks_and_changes_no_result(tmp_path, image_data):
    plain = make("maml", "omniglot", image_data, tmp_path / "plain", "meta_steps=4").run()
    run = make("maml", "omniglot", image_data, tmp_path / "curve", "meta_steps=4", "points=3")
    found = run.run()
    assert plain["learning"] == [] and found["result"] == plain["result"] and found["curve"] == plain["curve"]
    assert [r["tasks"] for r in found["learning"]] == [2 * 2, 3 * 2, 4 * 2] and learning_points(1000, 3) == {10, 100, 1000}
    val = evaluate(run.algorithm, run.trainer.state, run.domain, "val", run.cfg.test_tasks, [run.cfg.report])[run.cfg.report]
    for name, value in val.items():
        assert found["learning"][-1][f"val_{name}"] == pytest.approx(value["mean"], abs=1e-4)
    assert val["nll"]["mean"] != pytest.approx(found["result"]["nll"]["mean"], abs=1e-4), "not the test tasks"


def test_a_run_is_not_continued_under_other_settings(tmp_path, image_data):
    """A folder trained as MAML must not be reported as FO-MAML, nor with another rate, schedule, domain or test."""
    make("maml", "sinusoid", image_data, tmp_path).run()
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    for words, told in (
        (["fomaml"], "algorithm.hypergrad.part was tts_meta.meta.hypergrad.unroll.U.* and is "),
        (["maml", "inner.rate=0.02"], "algorithm.solver.rate was 0.01 and is 0.02"),
        (["maml", "meta_steps=5"], "meta_steps was 3 and is 5"), (["maml", "test.split=val"], "split was test and is val"),
        (["maml", "domain.shots=3"], "domain.shots was 10 and is 3"), (["maml", "seed=1"], "seed was 0 and is 1"),
        (["maml", "sizes.cpu.lr=0.5"], "outer.phi.optimiser.lr was 0.002 and is 0.5"),
    ):
        with pytest.raises(Exception, match=f"other settings: .*{told}.*resume=false"):
            make(words[0], "sinusoid", image_data, tmp_path, *words[1:])
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before
    other_chunks = make("maml", "sinusoid", image_data, tmp_path, "test.chunk=1", "sizes.cpu.tasks_per_chunk=1")
    assert other_chunks.run()["algorithm"] == "maml"
    anew = make("fomaml", "sinusoid", image_data, tmp_path, "resume=false").run()
    assert anew["algorithm"] == "fomaml" and json.loads((tmp_path / "results.json").read_text())["algorithm"] == "fomaml"
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_a_run_that_does_not_say_its_settings_is_not_continued(tmp_path, image_data):
    run = make("maml", "sinusoid", image_data, tmp_path)
    run.settings = None
    run.save(0.0)
    with pytest.raises(Exception, match="does not say what it was made with.*resume=false"):
        make("maml", "sinusoid", image_data, tmp_path)


@pytest.mark.parametrize("algorithm", ["maml", "sigma_reptile", "abml", "bmaml", "platipus", "versa", "reptile"])
def test_resume_is_bit_exact(algorithm, tmp_path, image_data):
    """Two meta-steps, a new process's restore, two more: the state of four in one go. Random draws included."""
    whole = make(algorithm, "sinusoid", image_data, tmp_path / "a", "meta_steps=4")
    for _ in range(4):
        whole.trainer.step()
    first = make(algorithm, "sinusoid", image_data, tmp_path / "b", "meta_steps=4")
    for _ in range(2):
        first.trainer.step()
    first.folder.mkdir()
    first.save(0.0)
    second = make(algorithm, "sinusoid", image_data, tmp_path / "b", "meta_steps=4")
    assert second.trainer.step_count == 2
    for _ in range(2):
        second.trainer.step()
    assert all(torch.equal(v, second.trainer.state[k]) for k, v in whole.trainer.state.items())


@pytest.mark.parametrize("algorithm", ["maml", "imaml", "sigma_reptile", "abml", "bmaml", "platipus", "versa"])
def test_chunks_change_nothing(algorithm, tmp_path, image_data):
    states = []
    for chunk in (1, 3):
        run = make(algorithm, "sinusoid", image_data, tmp_path / str(chunk), "tasks=3", f"sizes.cpu.tasks_per_chunk={chunk}")
        found = run.trainer.meta_grads()
        states.append(found.grads)
    for k, v in states[0].items():
        assert (v - states[1][k]).abs().max() <= 2e-4 * (1 + v.abs().max()), k


@pytest.mark.parametrize(
    "algorithm", ["sigma_reptile", *(pytest.param(a, marks=pytest.mark.sweep) for a in ("maml", "bmaml", "abml"))]
)
def test_memory_and_step_time_stay_flat(algorithm, tmp_path, image_data):
    """200 meta-steps keep no graph and no tensor: the count of live tensors after step 20 is that after step 200."""
    run = make(algorithm, "sinusoid", image_data, tmp_path, "meta_steps=200", "inner.sigma.steps=3", "abml.steps=2")
    counts, seconds = [], []
    for k in range(200):
        begin = time.perf_counter()
        run.trainer.step()
        seconds.append(time.perf_counter() - begin)
        if k in (20, 199):
            gc.collect()
            counts.append(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()))
    assert counts[1] <= counts[0] + 2, counts
    # Steps that slow down over training do so by a growing graph, many times over; noise of the machine is let pass.
    assert statistics.median(seconds[150:]) < 3 * statistics.median(seconds[20:70])


def test_tasks_are_new_at_every_step_and_tests_are_not(tmp_path, image_data):
    """No fixed task pool: 40 steps of sinusoids have 80 different functions; the test tasks are always the same."""
    run = make("maml", "sinusoid", image_data, tmp_path)
    seen = {round(float(run.domain.draw(s, [p]).support(0)["y"][0, 0, 0]), 5) for s in range(40) for p in (0, 1)}
    assert len(seen) == 80
    a, b = run.domain.test("test", 3, 1), run.domain.test("test", 2, 2)
    assert torch.equal(a.query()["y"][0], b.query()["y"][1])
    assert not torch.equal(a.query()["y"], run.domain.test("val", 3, 1).query()["y"])
    pool = make("maml", "sinusoid", image_data, tmp_path, "domain.pool=5")
    amplitudes = {round(float(pool.domain.draw(s, [0]).query()["y"].abs().max()), 1) for s in range(60)}
    assert len(amplitudes) < 40, "a pool of 5 functions repeats itself"


def test_inductive_predictions_do_not_depend_on_the_other_queries(tmp_path, image_data):
    """With the support set's statistics an image's logits are its own; with the query set's they are not (and are
    reported under another name)."""
    run = make("maml", "omniglot", image_data, tmp_path)
    episodes = run.domain.test("test", 0, 2)
    posterior = run.algorithm.adapt(run.trainer.state, episodes, [], [1])[1]
    query, reference = episodes.query(), episodes.whole_support()["x"]
    one = {k: v[:, :1] for k, v in query.items()}
    both = posterior.outputs({**query, "reference": reference})[:, :, :1]
    assert (posterior.outputs({**one, "reference": reference}) - both).abs().max() < 1e-5
    assert (posterior.outputs(one) - posterior.outputs(query)[:, :, :1]).abs().max() > 1e-3
    assert run.domain.measures[:2] == ("accuracy", "inductive")


def test_norms_keep_no_running_statistics(tmp_path, image_data):
    for domain in ("omniglot", "mini_imagenet"):
        run = make("maml", domain, image_data, tmp_path / domain)
        assert not list(run.domain.net.module.buffers())


def test_support_and_query_are_different_images(tmp_path, image_data):
    for domain in ("omniglot", "mini_imagenet", "omniglot_alphabets"):
        run = make("maml", domain, image_data, tmp_path / domain)
        episodes = run.domain.test("test", 0, 2)
        for t in range(2):
            seen = {tuple(x.flatten().tolist()) for x in episodes.whole_support()["x"][t]}
            queries = [tuple(x.flatten().tolist()) for x in episodes.query()["x"][t]]
            assert not seen & set(queries)


@pytest.mark.parametrize("algorithm", ["bayesian_taml", "bmaml", "abml"])
def test_any_shot_masks_repeated_images(tmp_path, image_data, algorithm):
    run = make(algorithm, "omniglot", image_data, tmp_path, "domain.shots=5", "domain.any_shot=true")
    batch = run.domain.draw(0, [0, 1]).whole_support()
    for t in range(2):
        for c in range(3):
            images = {tuple(x.flatten().tolist()) for x in batch["x"][t][batch["y"][t] == c]}
            assert len(images) == int(batch["mask"][t][batch["y"][t] == c].sum())
    assert batch["mask"].min() == 0
    run.trainer.step()


def test_the_exact_hessian_has_a_limit(tmp_path, image_data):
    run = make("maml_hb_exact", "omniglot", image_data, tmp_path, "sizes.cpu.filters=32")
    with pytest.raises(ValueError, match="exact Hessian of .* parameters does not fit; use gauss_newton or diagonal"):
        run.trainer.step()


def test_a_domain_without_the_network_says_so(tmp_path, image_data):
    with pytest.raises(Exception, match="has no 'amortised' network.*does not fit"):
        make("versa", "hierarchical_gaussian", image_data, tmp_path)
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("kind", ["images", "regression"])
def test_a_summed_likelihood_of_samples_is_the_sum(kind):
    """VERSA's loss of samples `[L, B, C]`: the mean times the number of data is the sum, as `likelihood` says."""
    from tts_meta.training.fewshot.images import classification_criterion
    from tts_meta.training.fewshot.regression import regression_criterion

    g = torch.Generator().manual_seed(0)
    if kind == "images":
        out, batch = torch.randn(4, 6, 3, generator=g), {"y": torch.tensor([0, 1, 2, 0, 1, 2])}
        mean, total = (classification_criterion(k)(out, batch) for k in ("mean", "sum"))
        by_hand = -sum(out.softmax(2)[:, i, y].mean().log() for i, y in enumerate(batch["y"].tolist()))
    else:
        out, batch = torch.randn(4, 6, 1, generator=g), {"y": torch.randn(6, 1, generator=g)}
        mean, total = (regression_criterion(k, 0.5)(out, batch) for k in ("mean", "sum"))
        normal = torch.distributions.Normal(out, 0.5)
        joint = normal.log_prob(batch["y"]).sum((1, 2)).exp().mean().log()
        by_hand = -joint - 6 * 0.5 * math.log(2 * math.pi)
    assert abs(float(total - by_hand)) < 1e-4
    assert abs(float(total - 6 * mean)) < 1e-4
    with pytest.raises(InputError, match="likelihood is 'product'"):
        (classification_criterion if kind == "images" else lambda k: regression_criterion(k, 0.5))("product")


@pytest.mark.parametrize("domain", [d for d in DOMAINS if d != "hierarchical_gaussian"])
def test_versa_has_the_likelihood_that_its_config_names(domain, image_data, tmp_path):
    """Images: the mean, as its numbers in docs/validation.md were measured; points: the joint."""
    run = make("versa", domain, image_data, tmp_path)
    assert run.cfg.likelihood == ("sum" if domain == "sinusoid" else "mean")


def test_train_shots_of_an_alphabet_are_its_training_drawings(image_data, tmp_path):
    run = make("maml", "omniglot_alphabets", image_data, tmp_path, "domain.instances=10", "+domain.train_shots=4")
    assert run.domain.draw(0, [0]).whole_support()["y"].shape == (1, 3 * 4)
    assert run.domain.test("test", 0, 1).whole_support()["y"].shape == (1, 3 * 10)
    with pytest.raises(Exception, match="train_shots is 16; 1 to 15"):
        make("maml", "omniglot_alphabets", image_data, tmp_path, "+domain.train_shots=16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(image_data, tmp_path):
    with pytest.raises(Exception, match="device is cuda, and torch finds no GPU here"):
        make("maml", "omniglot", image_data, tmp_path, "device=cuda")


def test_only_domains_whose_tasks_can_lie_there_take_another_device(image_data, tmp_path):
    with pytest.raises(Exception, match="device is meta; sinusoid runs on the CPU only"):
        make("maml", "sinusoid", image_data, tmp_path, "device=meta")
    run = make("reptile", "omniglot", image_data, tmp_path, "device=meta")
    episodes = run.domain.draw(0, [0, 1])
    assert {v.device.type for b in (episodes.support(0), episodes.query(), run.trainer.state) for v in b.values()} == {"meta"}


def test_a_curvature_belongs_to_the_loss_and_is_no_setting():
    """Runs that were made before there was one go on."""
    assert describe(Implicit(5)) == describe(Implicit(5, curvature=lambda params, batch: torch.zeros(1)))
    assert "curvature" not in str(describe(Implicit(5)))

"""Clones are tried against recordings that they did not learn from, and a verifier's errors are what they should be."""

import runpy
import shutil
from importlib.resources import files

import numpy as np
import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def verify():
    return runpy.run_path(str(ROOT / "recipes" / "kokoro" / "verify.py"))


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_no_recording_is_both_learned_from_and_tried(verify):
    for count, learned, others in ((30, 10, 8), (14, 10, 4), (10, 6, 4), (9, 5, 4)):
        rows = [{"path": str(i)} for i in range(count)]
        support, reference = verify["split"](rows)
        assert (len(support), len(reference)) == (learned, others)
        assert not {r["path"] for r in support} & {r["path"] for r in reference}


def test_speakers_come_as_the_manifest_has_them(verify, tmp_path):
    (tmp_path / "manifest.tsv").write_text(
        'corpus\tspeaker\tpath\ttext\nb\t2\tx.wav\tSay "yes\na\t1\ty.wav\tNo.\nb\t2\tz.wav\tMaybe.\n'
    )
    found = verify["speakers_of"](tmp_path)
    assert {k: [r["path"] for r in v] for k, v in found.items()} == {"b/2": ["x.wav", "z.wav"], "a/1": ["y.wav"]}
    assert found["b/2"][0]["text"] == 'Say "yes'


def test_a_voice_of_another_method_is_not_measured(verify, tmp_path):
    shutil.copy(files("tts_meta") / "assets" / "example-kokoro.voice", tmp_path / "vctk-p225.voice")
    rows = [{"corpus": "vctk", "speaker": "p225"}]
    assert verify["kept"](rows, tmp_path, tmp_path, "sigma") == tmp_path / "vctk-p225.voice"
    with pytest.raises(SystemExit, match="was made by --method sigma, and learned is asked for"):
        verify["kept"](rows, tmp_path, tmp_path, "learned")


def test_a_verifier_errs_where_voices_are_another_s(verify):
    rng = np.random.default_rng(0)
    middles = unit(rng.normal(size=(7, 64)))
    real = {str(i): unit(m + 0.05 * rng.normal(size=(8, 64))) for i, m in enumerate(middles)}
    near = {str(i): unit(m + 0.05 * rng.normal(size=(8, 64))) for i, m in enumerate(middles)}
    found = verify["judged"](near, real)
    assert (found["eer"], found["pairs"]) == (0.0, 1.0)
    chance = verify["judged"]({k: unit(rng.normal(size=(40, 64))) for k in real}, real)
    assert 0.35 < chance["eer"] < 0.65 and chance["low"] <= chance["eer"] <= chance["high"]
    wrong = {k: v if int(k) else near["1"] for k, v in near.items()}  # one of the seven speaks as another does
    assert 0.02 < verify["judged"](wrong, real)["eer"] < 0.3

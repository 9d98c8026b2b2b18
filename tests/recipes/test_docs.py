"""docs/algorithms.md: every config has its page, and its worked example of a new algorithm works as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.recipes.running import recipe

PAGE = (ROOT / "docs" / "algorithms.md").read_text()


def test_every_algorithm_is_described():
    for path in (ROOT / "configs" / "algorithm").glob("*.yaml"):
        name = path.stem
        family = {"leap_length_no_loss": "*_no_loss", "leap_energy_no_loss": "*_no_loss"}.get(name, name)
        family = {"maml_hb_diagonal": "_diagonal", "maml_hb_exact": "_exact"}.get(name, family)
        assert f"`{family}`" in PAGE or f"/{name}.yaml" in PAGE, name


def test_the_worked_example_of_a_new_algorithm(tmp_path):
    """The three steps of the page, followed in a copy of the repository."""
    part, test = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (config,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    root = tmp_path / "copy"
    for folder in ("tts_meta/meta", "tts_meta/nets", "tts_meta/data", "tts_meta/training", "tests/meta", "configs", "recipes"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    ours = ("tts_meta/__init__.py", "tts_meta/errors.py", "tts_meta/processor.py")
    for file in (*ours, "tests/__init__.py", "tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, root / file)
    for folder in ("tts_meta/audio", "tts_meta/text"):
        shutil.copytree(ROOT / folder, root / folder)
    (root / "tts_meta/meta/hypergrad/mixed.py").write_text(part)
    (root / "configs/algorithm/mixed.yaml").write_text(config)
    identities = root / "tests/meta/test_identities.py"
    at = "from tts_meta.meta.hypergrad.laplace"
    text = identities.read_text().replace(at, f"from tts_meta.meta.hypergrad.mixed import Mixed\n{at}")
    identities.write_text(text + "\n\n" + test)
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/meta/test_identities.py", "-k", "mixed"], cwd=root, env=environment,
        capture_output=True, text=True,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    words = ["algorithm=mixed", "domain=sinusoid", "meta_steps=3", "test.tasks=2", f"run={tmp_path / 'run'}"]
    done = subprocess.run(
        [sys.executable, "recipes/train.py", *words], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "sinusoid mixed: mse" in done.stdout, done.stdout + done.stderr


def test_a_typing_error_gets_the_nearest_word():
    for word, near in (
        ("algorithm=sigma_reptil", "'sigma_reptile'"), ("domain=omniglott", "'omniglot'"), ("size=papr", "'paper'"),
        ("inner.stpes=3", "'inner.steps'"),
    ):
        done = recipe("recipes/train.py", word)
        assert done.returncode == 2 and near in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_help_lists_what_there_is():
    done = subprocess.run([sys.executable, "recipes/train.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    for word in ("sigma_reptile", "bayesian_taml", "omniglot_alphabets", "hierarchical_gaussian", "size: cpu", "paper"):
        assert word in done.stdout


def test_the_speed_of_speaking_is_the_same_on_every_page():
    told = {}
    for page in (ROOT / "README.md", ROOT / "docs" / "troubleshooting.md"):
        told[page.name] = re.findall(r"second of speech takes ([0-9.]+) s.*?([0-9.]+) s (?:elsewhere|without)", page.read_text())
    assert told["README.md"] and told["README.md"] == told["troubleshooting.md"], told


def test_what_is_cited_is_there():
    """Docstrings and comments cite papers, and files of this repository: no notes that a stranger does not have."""
    for folder in ("tts_meta", "app", "tests", "configs"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.yaml")]:
            text = path.read_text()
            for name in re.findall(r"[A-Za-z0-9_./-]+\.md\b", text):
                assert (ROOT / name).is_file() or (ROOT / "docs" / name).is_file(), f"{path} cites {name}"
            assert path.name == "test_docs.py" or not re.search(r"algorithms\.md \(?[0-9]|shared/spec", text), path


def test_the_tables_of_what_is_accepted_name_every_ending():
    """docs/troubleshooting.md and the lists of the code are the same."""
    from app.requests import Speech
    from tts_meta.audio.files import PACKED, PLAIN
    from tts_meta.clips.transcripts import BESIDE, TEXT_FILES

    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    accepted = page.partition("## What is accepted")[2]
    rows = [line for line in accepted.splitlines() if line.startswith("| .")]
    assert re.findall(r"\.\w+", rows[0].split("|")[1]) == list(PLAIN)
    assert re.findall(r"\.\w+", rows[1].split("|")[1]) == list(PACKED)
    for ending in (*TEXT_FILES, ".trans.txt", ".epub"):
        assert re.search(rf"{re.escape(ending)}\b", accepted), ending
    assert {".txt", ".lab", ".text", ".normalized.txt"} <= set(BESIDE)
    for form in Speech.model_fields["response_format"].annotation.__args__:
        assert re.search(rf"\b{form}\b", accepted), form


def test_every_link_of_the_pages_leads_somewhere():
    """To a file of this repository, and to a heading of it where one is named."""

    def headings(page: Path) -> set[str]:
        lines = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
        return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in lines}

    pages = [*ROOT.glob("*.md"), ROOT / "recipes" / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 20
    for page in pages:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            file, _, heading = link.partition("#")
            if "://" in link:
                continue
            target = page.parent / file if file else page
            assert target.exists(), (page, link)
            assert not heading or target.suffix != ".md" or heading in headings(target), (page, link)

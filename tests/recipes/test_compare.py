"""recipes/evidence/compare.py and evidence.py on a few made-up speakers: cells, resume, continuation, tables and page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import EXAMPLES, ROOT
from tests.recipes.test_train import environment
from tts_meta.clips.transcripts import find_transcripts
from tts_meta.errors import InputError

SPEAKERS = 3


@pytest.fixture(scope="module")
def heldout(tmp_path_factory):
    """A held-out folder of p225's recordings, said to be of three speakers: three clips each."""
    root = tmp_path_factory.mktemp("heldout")
    paths = sorted([*(EXAMPLES / "clips").glob("*.flac"), *(EXAMPLES / "reference").glob("*.flac")])
    texts = find_transcripts(paths, None)
    rows = ["corpus\tspeaker\tpath\tseconds\ttext_source\ttext"]
    for i, p in enumerate(paths[: 3 * SPEAKERS]):
        shutil.copy(p, root / p.name)
        rows.append(f"{('vctk', 'speechocean762')[i % 2]}\ts{i % SPEAKERS}\t{p.name}\t0\tgiven\t{texts[p]}")
    (root / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return root


def compare(heldout, out, steps: int, *more: str) -> subprocess.CompletedProcess:
    words = [
        f"heldout={heldout}", f"out={out}", "workers=1", "only=[main]", "blocks.main.methods=[sigma_reptile]",
        f"blocks.main.steps={steps}", "blocks.main.shots=[5]", "judged=[4,best]", "quality=[]", "sounds=[s0]", *more,
    ]
    return subprocess.run(
        [sys.executable, "recipes/evidence/compare.py", *words], cwd=ROOT, env=environment(), capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def made(heldout, tmp_path_factory):
    out = tmp_path_factory.mktemp("evidence")
    done = compare(heldout, out, 4)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_a_cell_holds_what_it_measured(made):
    cells = sorted((made / "cells").glob("*.json"))
    assert len(cells) == SPEAKERS
    cell = json.loads(cells[0].read_text())
    assert cell["steps"] == 4 and set(cell["curve"]) == {"0", "4"} and set(cell["judged"]) == {"4", "best"}
    row = cell["judged"]["4"]["rows"][0]
    assert row["heard"] and row["mcd_db"] > 0 and 0 <= row["voicing_error"] <= 1
    assert list((made / "sounds").glob("*-s0-*.ogg")) and not list((made / "sounds").glob("*-s1-*"))


def test_a_finished_cell_is_not_made_again_and_a_longer_one_continues_it(made, heldout, tmp_path):
    one = ("blocks.main.speakers=[s0]",)
    name = "sigma_reptile-s0-1-0.json"
    before = (made / "cells" / name).stat().st_mtime_ns
    assert compare(heldout, made, 4, *one).returncode == 0
    assert (made / "cells" / name).stat().st_mtime_ns == before
    # The curve is what continues; nothing more is judged, and the recordings are measured already.
    continued = tmp_path / "continued"
    shutil.copytree(made, continued)
    shutil.copytree(made / "speakers", tmp_path / "whole" / "speakers")
    for out in (continued, tmp_path / "whole"):
        assert compare(heldout, out, 10, *one, "judged=[4]").returncode == 0
    a, b = (json.loads((f / "cells" / name).read_text()) for f in (continued, tmp_path / "whole"))
    assert a["curve"] == b["curve"] and set(a["curve"]) == {"0", "4", "10"}


def test_what_a_baseline_begins_from_is_asked_for(heldout, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "evidence"))
    from compare_world import World

    nowhere = [f"starters.{s}.run={tmp_path / 'none'}" for s in ("multispeaker", "reptile")]
    with initialize_config_dir(str(ROOT / "configs" / "compare"), version_base="1.3"):
        world = World(compose("compare", [f"heldout={heldout}", f"out={tmp_path}", *nowhere]))
    for method, hint in (("cln", "cp recipes/baselines/phase1.safetensors"), ("reptile", "experiment=baseline_reptile")):
        with pytest.raises(InputError, match="does not exist, which the methods of starter") as refused:
            world.method(method)
        assert hint in str(refused.value)


def test_methods_of_one_starter_share_how_its_phi_speaks(made, heldout, tmp_path):
    shutil.copytree(made / "speakers", tmp_path / "speakers")
    more = ("judged=[0,1]", "blocks.main.methods=[sigma_reptile,keep_small,no_prior]", "blocks.main.speakers=[s0]")
    done = compare(heldout, tmp_path, 1, *more)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = {c["method"]: c for c in map(json.loads, (p.read_text() for p in (tmp_path / "cells").glob("*.json")))}
    a, b = cells["sigma_reptile"]["judged"], cells["keep_small"]["judged"]
    # The ablation moves what sigma-Reptile moves, and only the prior differs.
    assert cells["no_prior"]["parameters"] == cells["sigma_reptile"]["parameters"] < cells["keep_small"]["parameters"]
    assert cells["no_prior"]["curve"]["0"] == cells["sigma_reptile"]["curve"]["0"]
    # Spoken and timed once; a second time would take another time.
    assert len(list((tmp_path / "starts").glob("*.json"))) == 1 and a["0"] == b["0"]
    assert a["1"]["realtime_factor"] != b["1"]["realtime_factor"]


def evidence(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "recipes/evidence/evidence.py", "--step", "4", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)


def test_the_tables_and_the_page(made, tmp_path):
    (tmp_path / "small-network-evidence.md").write_text("# Evidence\n\n## Verdict\n\nIt depends.\n\n## More\n\nNot this.\n")
    cells, grid = tmp_path / "cells.tar.xz", tmp_path / "grid"
    shutil.copytree(made, grid)
    for path in sorted((grid / "cells").glob("*.json")):  # a method that was heard at fewer steps than the others
        cell = json.loads(path.read_text()) | {"method": "prune_0.1"}
        del cell["judged"]["best"]
        (path.parent / path.name.replace("sigma_reptile", "prune_0.1")).write_text(json.dumps(cell))
    losses = []
    for path in sorted((grid / "cells").glob("sigma_reptile-*-0.json")):
        cell = json.loads(path.read_text())
        losses.append(cell["curve"]["4"]["total"])
        if cell["speaker"] in ("s0", "s1"):  # another draw of the clips, which is two nats worse
            cell["curve"]["4"]["total"] += 2
            (path.parent / path.name.replace("-0.json", "-1.json")).write_text(json.dumps(cell | {"seed": 1}))
    done = evidence("--cells", grid, "--docs", tmp_path, "--page", tmp_path / "page.html", "--publish", cells)
    assert done.returncode == 0, done.stderr[-3000:]
    text, page = (tmp_path / "small-network-tables.md").read_text(), (tmp_path / "page.html").read_text()
    for part in (f"| sigma_reptile | {SPEAKERS} |", "equal error rate", "| (vocoded recordings) |", "DNSMOS", "best step"):
        assert part in text, part

    def places(title: str, method: str) -> list[str]:
        part = next(part for part in text.split("\n## ") if part.startswith(title))
        return next(line for line in part.splitlines() if line.startswith(f"| {method} |"))[2:-2].split(" | ")

    assert places("Position (0", "prune_0.1")[-1] == "–"
    # The other draws have a table of their own: sd 2 / sqrt(2) within a speaker.
    assert places("Loss of clips", "sigma_reptile")[2].startswith(f"{sum(losses) / SPEAKERS:.2f} ")
    drawn = places("Other draws", "sigma_reptile")
    assert drawn[1:4] == ["1", "2", "4"] and drawn[8] == "1.4" and drawn[5] == "0.00"
    assert "It depends." in page and "Not this." not in page and "data:audio/ogg;base64," in page and "http" not in page
    for picture in ("loss.png", "position.png", "walks.png", "det.png", "tsne.png", "modules.png"):
        assert (tmp_path / "evidence" / picture).stat().st_size > 5000
    # The published cells alone give the same tables, and are packed to the same bytes.
    again = tmp_path / "again"
    done = evidence("--cells", cells, "--docs", again, "--page", again / "page.html", "--publish", again / "cells.tar.xz")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (again / "small-network-tables.md").read_text() == text
    assert (again / "cells.tar.xz").read_bytes() == cells.read_bytes()
    done = evidence("--cells", tmp_path / "none.tar.xz")
    assert done.returncode == 1 and "does not exist; run recipes/evidence/compare.py first" in done.stderr


@pytest.mark.sweep
def test_the_published_tables_are_those_of_the_published_cells(tmp_path):
    cells, tables = ROOT / "docs" / "evidence" / "cells.tar.xz", ROOT / "docs" / "small-network-tables.md"
    done = evidence("--cells", cells, "--docs", tmp_path, "--page", tmp_path / "page.html", "--step", "300")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "small-network-tables.md").read_text() == tables.read_text()


def test_modules_are_taken_by_worth_a_parameter_within_the_budget(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "starter"))
    from choose_modules import choose

    worth = {"large": 5.0, "small": 1.0, "useless": -0.1, "tiny": 0.01}
    sizes = {"large": 100, "small": 10, "useless": 1, "tiny": 1}
    assert choose(worth, sizes, 200) == ["small", "large", "tiny"]
    assert choose(worth, sizes, 50) == ["small", "tiny"]


def test_widths_are_those_of_the_moved_modules_of_a_kind(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "starter"))
    from widen_sigma import widths

    moved = ["speaker", "decoder.out", "decoder.blocks.7.conv", "decoder.blocks.7.film.bias"]
    assert widths(moved, 3.0, 1.0) == {"decoder.out": 3.0}
    assert widths(moved, 1.0, 2.0) == {"decoder.blocks.7.conv": 2.0}
    assert widths(moved, 1.0, 1.0) == {}


def test_a_heldout_row_of_another_number_of_steps_is_made_again(starter, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "evidence"))
    from heldout_people import made_of

    asked = starter.adaptation.steps
    assert made_of(starter, None) == made_of(starter, asked) != made_of(starter, asked + 1)


def test_what_going_on_loses_does_not_depend_on_the_unit_of_the_mel(monkeypatch):
    """Nats above the best, and the share of what was gained: a constant added to the log-density changes neither."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "evidence"))
    from evidence_tables import lost_by_going_on, share_lost

    curve = {0: 70.0, 30: 46.0, 100: 45.0, 300: 47.5, 1000: 44.0}
    assert lost_by_going_on(curve, 300) == pytest.approx((2.5, 25.0))
    assert lost_by_going_on(curve, 1000) == pytest.approx((0.0, 26.0))
    assert lost_by_going_on({k: v - 60.0 for k, v in curve.items()}, 300) == pytest.approx((2.5, 25.0))
    assert share_lost([(2.5, 25.0), (0.0, 15.0)]) == pytest.approx(2.5 / 40)


def test_the_table_of_methods_is_that_of_the_published_cells():
    """Every place: parameters, loss at the best step and at 300, nats above the best and their share, position, EER, WER."""
    import re

    text = (ROOT / "docs" / "small-network-tables.md").read_text()

    def row(title: str, method: str) -> dict[str, str]:
        part = next(p for p in text.split("\n## ") if p.startswith(title))
        lines = [[c.strip() for c in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
        found = next(line for line in lines if line[0] == method)
        return dict(zip(lines[0], found, strict=True))

    def first(place: str) -> float:
        return float(re.match(r"-?[\d.,]+", place)[0].replace(",", ""))

    readme = (ROOT / "docs" / "small-network.md").read_text()
    table = readme[readme.index("| method | parameters moved |") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) >= 9
    for line in table:
        name, *places = [c.replace("*", "").strip() for c in line.strip("|").split("|")]
        name = name.split(" ")[0]
        loss, lost = row("Loss of clips", name), row("Loss above", name)["at 300"]
        wanted = [
            first(row("Cost", name)["parameters moved"]), first(loss["best step"]), first(loss["step 300"]), first(lost),
            first(row("Position (0 other", name)["step 300"]), first(row("Verification", name)["step 300"]),
            first(row("What the clones say", name)["WER %"]),
        ]
        for place, value in zip(places, wanted, strict=True):
            digits = len(place.split(" ")[0].partition(".")[2])
            assert abs(first(place) - value) <= 0.5001 * 10**-digits, (name, place, value)
        share = re.search(r"; ([\d.]+) ", lost)[1]
        assert f"({round(float(share))} %)" in places[3], (name, places[3], share)


def test_the_tables_of_the_docs_are_those_of_their_data(tmp_path):
    """`recipes/tables.py --check`; a number that is changed by hand, or data that are, make it fail."""
    import shutil

    for name in ("recipes", "docs", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.png", "baselines", "*.xz"))
    shutil.copy(ROOT / "README.md", tmp_path)

    def check() -> subprocess.CompletedProcess:
        command = [sys.executable, str(tmp_path / "recipes" / "tables.py"), "--check"]
        return subprocess.run(command, env=environment(), capture_output=True, text=True)

    assert check().returncode == 0, check().stderr
    data = tmp_path / "docs" / "kokoro_heldout.json"
    data.write_text(data.read_text().replace('"clips": 10', '"clips": 11', 1))
    assert check().returncode == 1 and "docs/evidence.md: kokoro_heldout" in check().stderr


def test_the_means_of_the_small_network_are_those_of_its_table():
    rows = json.loads((ROOT / "docs" / "heldout.json").read_text())
    page = (ROOT / "docs" / "small-network.md").read_text()
    native = [r["similarity"]["position"] for r in rows if r["corpus"] != "speechocean762"]
    told = {
        f"**{sum(native) / len(native):.2f} over these native speakers**",
        *(f"{100 * sum(r['wer'][k] for r in rows) / 13:.1f} %" for k in ("clone", "vocoded", "real", "new")),
        *(f"{sum(r['dnsmos'][k] for r in rows) / 13:.2f}" for k in ("clone", "vocoded", "real")),
    }
    under = page[page.index("Means: position") :][:1200]
    assert len(rows) == 13 and all(t in under for t in told), (told, under)

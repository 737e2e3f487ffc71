"""E6 at a tiny budget: cells are runs, read again, and stand beside the paper's numbers."""

import json
import shutil
from pathlib import Path

import pytest

from thalweg.cli.main import main
from thalweg.experiments import mnist
from thalweg.experiments.comparison import Comparison
from thalweg.experiments.registry import find


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    return folder, mnist.run(folder, quick=True, flow=["planar"])


def test_it_leaves_a_table_a_picture_and_its_origin(made):
    folder, result = made
    assert {path.name for path in folder.iterdir()} == {
        *("cells", "bounds.png", "table.csv", "table.md", "made.json")
    }
    assert [(row["posterior"], row["layers"]) for row in result["rows"]] == [
        ("no flow", 0),
        ("planar", 2),
        ("no flow, RMSprop", 0),
    ]
    for row in result["rows"]:
        assert row["bound"] > row["nll"] > 0
    assert json.loads((folder / "made.json").read_text())["command"].endswith("--flow planar")


def test_cells_that_are_there_are_not_made_again(made):
    folder, result = made
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.safetensors")}
    again = mnist.run(folder, quick=True, flow=["planar"])
    after = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.safetensors")}
    assert before == after
    assert again["rows"] == result["rows"]


def test_a_record_is_enough_to_go_on_from(made, tmp_path):
    folder, result = made
    (tmp_path / "cells").mkdir()
    for path in (folder / "cells").glob("*.json"):
        shutil.copy(path, tmp_path / "cells")
    again = mnist.run(tmp_path, quick=True, flow=["planar"])
    assert again["rows"] == result["rows"]
    assert not [path for path in (tmp_path / "cells").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:40], "is damaged; without it the model is made anew"),
        (lambda text: text.replace('"draws": 20', '"draws": 21'), "is no record of no flow, K = 0"),
        (lambda text: text.replace('"results"', '"other"'), "is no record of no flow, K = 0"),
    ],
)
def test_a_damaged_record_is_refused(made, tmp_path, change, says):
    folder, _ = made
    (tmp_path / "cells").mkdir()
    first = mnist.QUICK.cells()[0].folder(folder / "cells")
    text = first.with_name(first.name + ".json").read_text(encoding="utf-8")
    (tmp_path / "cells" / f"{first.name}.json").write_text(change(text), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        mnist.run(tmp_path, quick=True, flow=["planar"])


def test_what_is_asked_says_which_cells_there_are():
    cells = mnist.FULL.cells()
    assert len(cells) == 9  # without layers all flows are the same
    assert len({ask.request()["options"]["flow"] for ask in cells}) == 3
    folders = {ask.folder(Path("cells")) for ask in cells}
    assert len(folders) == 9


@pytest.mark.parametrize(
    ("layers", "flow", "recipes"),
    [
        (None, None, ["RMSprop", "MAF prior"]),
        ((0, 10), ["planar"], ["RMSprop"]),
        ((80,), ["planar"], []),
        ((4,), ["iaf"], ["MAF prior"]),
        ((0,), ["nice_perm"], []),
    ],
)
def test_recipes_join_in_with_what_is_asked_of_them(tmp_path, monkeypatch, layers, flow, recipes):
    monkeypatch.setattr(Comparison, "run", lambda self, folder: {"asks": self.asks})
    asks = mnist.run(tmp_path, layers=layers, flow=flow)["asks"]
    found = [ask.label.partition(", ")[2] for ask in asks]
    assert list(dict.fromkeys(filter(None, found))) == recipes


def test_the_papers_numbers_stand_beside_the_papers_data_alone(made, tmp_path):
    _, result = made
    assert {row["paper_nll"] for row in result["rows"]} == {None}
    options = {"quick": False, "seeds": None, "draw": None, "known": mnist.PAPER}
    full = mnist.FULL.comparison("mnist", "Binarised MNIST", tmp_path, **options)
    assert full.known == mnist.PAPER
    recipes = mnist.OF_THE_PAPER.cells()
    assert [full.known[ask.label][ask.layers][1] for ask in recipes] == [89.9, 87.5]


def test_options_take_several_words(tmp_path, monkeypatch):
    seen = {}

    def fake(folder, *, quick, seeds, layers, flow):
        seen.update(quick=quick, layers=layers, flow=flow)
        return {"text": ""}

    monkeypatch.setattr(mnist, "run", fake)
    words = ["reproduce", "mnist", "--layers", "0", "10", "20", "--flow", "planar", "nice_perm"]
    assert main([*words, "--quick", "--out", str(tmp_path)]) == 0
    assert seen == {"quick": True, "layers": (0, 10, 20), "flow": ("planar", "nice_perm")}


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def fake(folder, *, quick, seeds):
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist, "run", fake)
    assert main(["reproduce", "mnist", "--out", str(tmp_path)]) == 130
    said = capsys.readouterr()
    assert said.err == "thalweg: interrupted; the same command goes on with what is done\n"
    assert said.out == ""


def test_an_experiment_says_which_choices_it_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="transport has no choice of layers"):
        find("transport").run(tmp_path, layers=(1,))

"""E6 at a tiny budget: cells are runs, read again, and stand beside the paper's numbers."""

import json
import shutil
from pathlib import Path

import pytest

from thalweg.cli.main import main
from thalweg_studies import mnist
from thalweg_studies.registry import MNIST, TRANSPORT

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "mnist"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    return folder, MNIST.run(folder, quick=True, flow=["planar"])


@pytest.mark.slow
def test_it_writes_a_table_a_figure_and_its_provenance(made):
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


@pytest.mark.slow
def test_stored_fits_are_not_made_again(made):
    folder, result = made
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.safetensors")}
    again = MNIST.run(folder, quick=True, flow=["planar"])
    after = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.safetensors")}
    assert before == after
    assert again["rows"] == result["rows"]


@pytest.mark.slow
def test_a_study_continues_from_records_alone(made, tmp_path):
    folder, result = made
    (tmp_path / "cells").mkdir()
    for path in (folder / "cells").glob("*.json"):
        shutil.copy(path, tmp_path / "cells")
    again = MNIST.run(tmp_path, quick=True, flow=["planar"])
    assert again["rows"] == result["rows"]
    assert not [path for path in (tmp_path / "cells").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:40], "is damaged; remove it and the model is fitted again"),
        (lambda text: text.replace('"draws": 20', '"draws": 21'), "is no record of no flow, K = 0"),
        (lambda text: text.replace('"results"', '"other"'), "is no record of no flow, K = 0"),
    ],
)
@pytest.mark.slow
def test_a_damaged_record_is_refused(made, tmp_path, change, says):
    folder, _ = made
    (tmp_path / "cells").mkdir()
    first = mnist.QUICK.specs()[0].path(folder / "cells")
    text = first.read_text(encoding="utf-8")
    (tmp_path / "cells" / first.name).write_text(change(text), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        MNIST.run(tmp_path, quick=True, flow=["planar"])


def test_the_specs_follow_from_the_choices():
    specs = mnist.FULL.specs()
    assert len(specs) == 9  # without layers all flows are the same
    assert len({spec.settings["options"]["flow"] for spec in specs}) == 3
    assert len({spec.path(Path("cells")) for spec in specs}) == 9


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
def test_further_recipes_are_fitted_on_request(tmp_path, monkeypatch, layers, flow, recipes):
    def specs_of(spec, models, **_):
        return {"specs": [each for group in models for each in group.specs()]}

    monkeypatch.setattr(mnist, "compare", specs_of)
    choices = {k: v for k, v in {"layers": layers, "flow": flow}.items() if v is not None}
    specs = MNIST.run(tmp_path, **choices)["specs"]
    found = [spec.label.partition(", ")[2] for spec in specs]
    assert list(dict.fromkeys(filter(None, found))) == recipes


@pytest.mark.slow
def test_published_numbers_appear_only_with_their_data(made, tmp_path):
    _, result = made
    assert {row["paper_nll"] for row in result["rows"]} == {None}
    shutil.copytree(RESULTS / "cells", tmp_path / "cells")
    rows = {(row["posterior"], row["layers"]): row for row in MNIST.run(tmp_path)["rows"]}
    recipes = mnist.OF_THE_PAPER.specs()
    assert [rows[spec.label, spec.layers]["paper_nll"] for spec in recipes] == [89.9, 87.5]


def test_options_take_several_words(tmp_path, monkeypatch):
    seen = {}

    def fake(spec):
        seen.update(quick=spec.quick, **spec.choices)
        return {"text": ""}

    monkeypatch.setattr(mnist, "run", fake)
    words = ["reproduce", "mnist", "--layers", "0", "10", "20", "--flow", "planar", "nice_perm"]
    assert main([*words, "--quick", "--out", str(tmp_path)]) == 0
    assert seen == {"quick": True, "layers": (0, 10, 20), "flow": ("planar", "nice_perm")}


def test_ctrl_c_prints_how_to_continue(tmp_path, monkeypatch, capsys):
    def fake(spec):
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist, "run", fake)
    assert main(["reproduce", "mnist", "--out", str(tmp_path)]) == 130
    said = capsys.readouterr()
    assert said.err == "thalweg: interrupted; the same command goes on with what is stored\n"
    assert said.out == ""


def test_choices_that_a_study_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="transport has no choice of layers"):
        TRANSPORT.run(tmp_path, layers=(1,))

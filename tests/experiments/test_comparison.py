"""Latent models side by side: what is written of cells, and that the small budgets run."""

import json
from pathlib import Path

import matplotlib.image
import pytest

from thalweg.experiments import cifar, comparison, mnist_convolution, vae_flows
from thalweg.experiments.comparison import Comparison
from thalweg.experiments.comparison_figure import draw_by_depth, draw_in_rows
from thalweg.experiments.encodings import Ask

KNOWN = {"no flow": {0: (None, -3.5)}, "planar": {2: (1.5, -4.0)}}


def fake(ask, folder, reporter):
    numbers = {"elbo": -ask.layers - 1.0, "nll": -ask.layers - 3.0, "nll_se": 0.1, "kl": 2.0}
    numbers |= {"active_units": 3, "parameters": 7}
    numbers |= {"rows": 40, "draws": 300}
    times = {"seconds": 12.0, "evaluation_seconds": 3.0}
    return {"results": numbers, "request": {"few": None}, "binarisation": "none", **times}


@pytest.fixture
def asks():
    return [Ask("no flow", 0, "digits", {}), Ask("planar", 2, "digits", {}), Ask("iaf", 1, "x", {})]


@pytest.mark.parametrize("draw", [draw_by_depth, draw_in_rows])
def test_a_table_and_a_picture(monkeypatch, tmp_path, asks, draw):
    monkeypatch.setattr(comparison, "obtain", fake)
    made = Comparison("some", "Some models", asks, KNOWN, draw, ["A note."], "thalweg reproduce x")
    result = made.run(tmp_path)
    assert [(row["paper_nll"], row["paper_bound"]) for row in result["rows"]] == [
        (-3.5, None), (-4.0, 1.5), (None, None),
    ]  # fmt: skip
    assert [(row["nll"], row["bound"]) for row in result["rows"]] == [(-3, 1), (-5, 3), (-4, 2)]
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| planar | 2 | −5.00 | −4.00 | 3.00 | 1.50 | 8.00 | 12 | 4 |" in page
    assert "A note." in page
    assert json.loads((tmp_path / "made.json").read_text())["seconds_of_cells"] == [12.0] * 3
    picture = matplotlib.image.imread(tmp_path / "bounds.png")
    assert picture[..., :3].std() > 0.02  # something is drawn


def test_what_is_done_stands_in_the_table_at_any_time(monkeypatch, tmp_path, asks):
    def two_of_three(ask, folder, reporter):
        if ask.label == "iaf":
            raise KeyboardInterrupt
        return fake(ask, folder, reporter)

    monkeypatch.setattr(comparison, "obtain", two_of_three)
    made = Comparison("some", "Some models", asks, {}, draw_in_rows, [], "thalweg reproduce x")
    with pytest.raises(KeyboardInterrupt):
        made.run(tmp_path)
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| planar | 2 |" in page and "| iaf |" not in page
    assert "So far 2 of 3 models" in page
    assert "paper" not in page


def test_the_curve_of_a_recipe_begins_at_its_own_model_without_flow():
    labels = [("no flow", 0), ("planar", 2), ("no flow, RMSprop", 0), ("planar, RMSprop", 2)]
    cells = []
    for value, (label, layers) in enumerate(labels):
        record = {"results": {"elbo": -value - 10.0, "nll": float(value)}}
        cells.append((Ask(label, layers, "x", {}), record))
    curves = {
        line.get_label(): list(line.get_ydata()) for line in draw_by_depth(cells, {}).axes[1].lines
    }
    assert curves == {"planar": [0, 1], "planar, RMSprop": [2, 3]}


def test_the_legend_names_what_stands_in_either_panel(asks):
    cells = [(ask, {"results": {"elbo": -1.0, "nll": 1.0}}) for ask in asks[:2]]
    known = {"no flow": {0: (None, -3.5)}, "planar": {2: (None, -4.0)}}  # the right panel alone
    (legend,) = draw_by_depth(cells, known).legends
    assert [text.get_text() for text in legend.get_texts()] == ["planar", "planar, paper"]


@pytest.mark.parametrize("module", [mnist_convolution, cifar])
def test_full_budgets_ask_for_each_model_once(module):
    folders = {ask.folder(Path()) for ask in module.FULL.cells()}
    assert len(folders) == len(module.FULL.cells()) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("module", "models"), [(mnist_convolution, 3), (cifar, 3), (vae_flows, 5)])
def test_small_budgets_run(tmp_path, module, models):
    result = module.run(tmp_path, quick=True)
    assert all(row["bound"] > row["nll"] for row in result["rows"])
    assert len(result["rows"]) == models


def test_a_folder_has_a_plain_name():
    name = Ask("iaf, MAF prior", 4, "digits", {}).folder(Path()).name
    assert name.startswith("iaf-MAF-prior-4-")


def test_a_bar_in_a_cell_does_not_end_it(monkeypatch, tmp_path, asks):
    monkeypatch.setattr(comparison, "obtain", fake)
    Comparison("some", "Some models", asks, KNOWN, draw_in_rows, [], "thalweg x").run(tmp_path)
    head, rule = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()[2:4]
    assert r"p(z\|x)" in head
    assert head.replace(r"\|", "").count("|") == rule.count("|")

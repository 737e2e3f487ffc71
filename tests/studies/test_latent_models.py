"""Latent models side by side: what is written of fits, and that the small budgets run."""

import json
from pathlib import Path

import matplotlib.image
import pytest

from thalweg_studies import cifar, mnist, mnist_convolution
from thalweg_studies.latent_models import comparison
from thalweg_studies.latent_models.comparison import compare
from thalweg_studies.latent_models.figures import draw_by_depth, draw_in_rows
from thalweg_studies.latent_models.fits import LatentFit, latent_spec
from thalweg_studies.latent_models.models import Models
from thalweg_studies.registry import CIFAR, MNIST_CONVOLUTION, VAE_FLOWS
from thalweg_studies.run_spec import RunSpec

KNOWN = {"no flow": {0: (None, -3.5)}, "planar": {2: (1.5, -4.0)}}
MODELS = [
    Models("digits", ("planar",), (0, 2), mnist.FULL.options),
    Models("digits", ("iaf",), (1,), mnist.FULL.options),
]


def fake(spec, progress, folder):
    numbers = {"elbo": -spec.layers - 1.0, "nll": -spec.layers - 3.0, "nll_se": 0.1, "kl": 2.0}
    numbers |= {"active_units": 3, "parameters": 7}
    numbers |= {"rows": 40, "draws": 300}
    request = {**spec.settings, "few": None}
    return LatentFit(request, numbers, "none", seconds=12.0, evaluation_seconds=3.0)


def made(folder, draw, published=None):
    spec = RunSpec("some", folder)
    return compare(spec, MODELS, data="Some", draw=draw, published=published, notes=["A note."])


@pytest.mark.parametrize("draw", [draw_by_depth, draw_in_rows])
def test_a_table_and_a_picture(monkeypatch, tmp_path, draw):
    monkeypatch.setattr(comparison, "fit", fake)
    result = made(tmp_path, draw, KNOWN)
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


def test_the_table_holds_all_complete_models_at_any_time(monkeypatch, tmp_path):
    def two_of_three(spec, progress, folder):
        if spec.label == "iaf":
            raise KeyboardInterrupt
        return fake(spec, progress, folder)

    monkeypatch.setattr(comparison, "fit", two_of_three)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, draw_in_rows)
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| planar | 2 |" in page and "| iaf |" not in page
    assert "So far 2 of 3 models" in page
    assert "paper" not in page


def cell(label, layers, elbo, nll):
    results = {"elbo": elbo, "nll": nll}
    return latent_spec(label, layers, "x", {}), LatentFit({}, results, "none", 1.0, 1.0)


def test_the_curve_of_a_recipe_begins_at_its_own_model_without_flow():
    labels = [("no flow", 0), ("planar", 2), ("no flow, RMSprop", 0), ("planar, RMSprop", 2)]
    fits = [cell(*label, -value - 10.0, float(value)) for value, label in enumerate(labels)]
    curves = {
        line.get_label(): list(line.get_ydata()) for line in draw_by_depth(fits, {}).axes[1].lines
    }
    assert curves == {"planar": [0, 1], "planar, RMSprop": [2, 3]}


def test_the_legend_names_the_curves_of_both_panels():
    fits = [cell("no flow", 0, -1.0, 1.0), cell("planar", 2, -1.0, 1.0)]
    known = {"no flow": {0: (None, -3.5)}, "planar": {2: (None, -4.0)}}  # the right panel alone
    (legend,) = draw_by_depth(fits, known).legends
    assert [text.get_text() for text in legend.get_texts()] == ["planar", "planar, paper"]


@pytest.mark.parametrize("module", [mnist_convolution, cifar])
def test_full_budgets_ask_for_each_model_once(module):
    paths = {spec.path(Path()) for spec in module.FULL.specs()}
    assert len(paths) == len(module.FULL.specs()) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("study", "models"), [(MNIST_CONVOLUTION, 3), (CIFAR, 3), (VAE_FLOWS, 5)])
def test_small_budgets_run(tmp_path, study, models):
    result = study.run(tmp_path, quick=True)
    assert all(row["bound"] > row["nll"] for row in result["rows"])
    assert len(result["rows"]) == models


def test_a_file_has_a_plain_name():
    name = latent_spec("iaf, MAF prior", 4, "digits", {}).path(Path()).name
    assert name.startswith("iaf-MAF-prior-4-")


def test_a_bar_in_a_cell_does_not_end_it(monkeypatch, tmp_path):
    monkeypatch.setattr(comparison, "fit", fake)
    made(tmp_path, draw_in_rows, KNOWN)
    head, rule = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()[2:4]
    assert r"p(z\|x)" in head
    assert head.replace(r"\|", "").count("|") == rule.count("|")

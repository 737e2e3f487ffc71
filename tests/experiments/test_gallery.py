"""The gallery on a tiny budget, and the numbers it is read against."""

import dataclasses

import jax
import numpy as np
import pytest

from thalweg import flows
from thalweg.data import toy
from thalweg.experiments import gallery, gallery_cells, gallery_fit, panels
from thalweg.experiments.registry import find

TINY = gallery.Study(
    recipes=("mean_field", "circular_spline"),
    sets=("eight_gaussians",),
    energies=("u1",),
    settings=gallery_fit.Settings(
        steps=10,
        batch=32,
        rows=200,
        held_out=100,
        draws=200,
        side=12,
        options={"circular_spline": {"layers": 2, "hidden": (4,)}},
    ),
    entropy_draws=1000,
)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "QUICK", TINY)
        yield folder, find("gallery").run(folder, quick=True)


def test_every_recipe_and_problem_has_a_number_and_a_picture(tiny_run):
    folder, made = tiny_run
    assert set(made["files"]) == {"gallery.png", "table.csv", "table.md", "made.json"}
    rows = {(row["flow"], row["problem"]): row for row in made["rows"]}
    assert set(rows) == {
        (flow, problem) for flow in TINY.recipes for problem in ("eight_gaussians", "u1")
    }
    for row in made["rows"]:
        assert np.isfinite(row["value"])
        assert row["value"] > row["least_possible"] - 5 * row["standard_error"]
    # A location and a scale for each coordinate.
    assert rows["mean_field", "u1"]["parameters"] == 4
    assert not list((folder / "cells").glob("*checkpoint*"))


def test_what_is_done_is_not_done_again(tiny_run, monkeypatch):
    folder, made = tiny_run
    monkeypatch.setattr(gallery, "QUICK", TINY)

    def never(*_args, **_options):
        raise AssertionError("a finished recipe was fitted again")

    monkeypatch.setattr(gallery_cells, "fit_data", never)
    again = find("gallery").run(folder, quick=True)
    assert again["rows"] == made["rows"]
    damaged = next((folder / "cells").glob("mean_field*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(AssertionError, match="fitted again"):
        find("gallery").run(folder, quick=True)


def test_the_full_gallery_has_every_recipe():
    assert set(gallery.FULL.names()) == set(flows.names())


def test_a_number_of_seeds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one fit of each flow"):
        find("gallery").run(tmp_path, quick=True, seeds=2)


@pytest.mark.parametrize(("name", "exact"), [("checkerboard", np.log(8)), ("circles", 1.761)])
def test_entropies_are_those_that_are_known(name, exact):
    assert gallery.entropy(toy(name, 200_000)) == pytest.approx(exact, abs=0.015)


def test_densities_do_not_depend_on_blocks(monkeypatch):
    flow = flows.build("mean_field", jax.random.key(0), 2)
    points = toy("spirals", 7)
    whole = panels.log_prob(flow, points)
    monkeypatch.setattr(panels, "BLOCK", 3)
    np.testing.assert_allclose(panels.log_prob(flow, points), whole, rtol=1e-6)


def test_settings_are_part_of_what_a_cell_depends_on(tiny_run):
    folder, _ = tiny_run
    other = dataclasses.replace(TINY.settings, steps=11)
    problems = [gallery.targets.get("u1")]
    assert gallery_cells.Store(folder / "cells", TINY.sets, problems, TINY.settings).read(
        "circular_spline"
    )
    store = gallery_cells.Store(folder / "cells", TINY.sets, problems, other)
    assert store.read("circular_spline") is None

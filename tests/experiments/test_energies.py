"""E2 on a tiny budget: what is written, and that finished cells are never fitted again."""

import csv
import json

import numpy as np
import pytest

from thalweg.experiments import energies, energies_cells, energies_fit
from thalweg.experiments.registry import find

TINY = energies.Study(
    targets=("u1",),
    kinds=energies.KINDS[:1],
    depths=(2,),
    settings=energies_fit.Settings(seeds=1, restarts=2, steps=20, batch=16, draws=256),
)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("energies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(energies, "QUICK", TINY)
        yield folder, find("energies").run(folder, quick=True)


def test_it_writes_tables_pictures_and_their_origin(tiny_run):
    folder, made = tiny_run
    assert set(made["files"]) == {
        "densities.png",
        "gaps.png",
        "table.csv",
        "table.md",
        "made.json",
    }
    for name in made["files"]:
        assert (folder / name).stat().st_size > 0
    rows = {(row["flow"], row["K"]): row for row in made["rows"]}
    assert set(rows) == {("gaussian", 0), ("planar", 2)}
    # Diagonal normal (4) and two planar maps of w, u and b (5 each).
    assert rows["planar", 2]["parameters"] == 14
    for row in made["rows"]:
        assert row["gap"] == pytest.approx(row["log_z"] - row["elbo"])
        assert row["gap"] > -5 * row["gap_se"]
        assert 0 <= row["share_right"] <= 1
    with (folder / "table.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    record = json.loads((folder / "made.json").read_text(encoding="utf-8"))
    assert record["seeds"] == [0]
    assert record["settings"]["steps"] == 20
    assert not list((folder / "cells").glob("*.checkpoint"))


def test_a_second_run_only_redraws(tiny_run, monkeypatch):
    folder, made = tiny_run
    (folder / "gaps.png").unlink()
    monkeypatch.setattr(energies, "QUICK", TINY)

    def never(*_args, **_options):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(energies_fit, "train", never)
    again = find("energies").run(folder, quick=True)
    assert again["rows"] == made["rows"]
    assert (folder / "gaps.png").stat().st_size > 0


def test_a_run_goes_on_with_the_cell_that_is_missing(tiny_run, monkeypatch):
    folder, made = tiny_run
    (described,) = (folder / "cells").glob("u1-planar-2-*.json")
    described.write_text("{", encoding="utf-8")  # damaged
    monkeypatch.setattr(energies, "QUICK", TINY)
    fitted, train = [], energies_fit.train

    def watched(*args, **options):
        fitted.append(options["stage"])
        return train(*args, **options)

    monkeypatch.setattr(energies_fit, "train", watched)
    again = find("energies").run(folder, quick=True)
    assert fitted == ["planar K = 2"]
    np.testing.assert_allclose(again["rows"][1]["gap"], made["rows"][1]["gap"], rtol=1e-6)


def test_other_settings_use_no_cell_of_these(tiny_run):
    folder, _ = tiny_run
    problems = [energies.targets.get("u1")]
    kind = TINY.kinds[0]
    assert energies_cells.Store(folder / "cells", problems, TINY.settings).read(kind, 2)
    more = energies_fit.Settings(seeds=2, restarts=2, steps=20, batch=16, draws=256)
    assert energies_cells.Store(folder / "cells", problems, more).read(kind, 2) is None


def test_an_interrupted_fit_leaves_no_cell(tmp_path, monkeypatch):
    train = energies_fit.train

    def stopped(*args, **options):
        done = train(*args, **options)
        done.interrupted = True
        return done

    monkeypatch.setattr(energies_fit, "train", stopped)
    monkeypatch.setattr(energies, "QUICK", TINY)
    with pytest.raises(KeyboardInterrupt):
        find("energies").run(tmp_path, quick=True)
    assert not list((tmp_path / "cells").glob("*planar*.json"))


def test_a_gap_that_is_not_finite_is_drawn_and_printed():
    assert energies.gap_text(float("nan")) == "–"
    assert energies.gap_text(-0.0001) == "−0.0001"
    assert energies.spread_of([0.1, 0.3, 0.2]) == "0.200 [0.100–0.300]"

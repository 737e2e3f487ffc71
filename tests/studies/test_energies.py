"""E2 on a tiny budget: what is written, and that finished cells are never fitted again."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from thalweg import targets
from thalweg_studies.cache import load
from thalweg_studies.energies import cells, fits, study
from thalweg_studies.registry import ENERGIES

TINY = cells.Settings(
    targets=("u1",),
    flows=cells.FLOWS[:1],
    depths=(2,),
    seeds=1,
    restarts=2,
    steps=20,
    batch=16,
    draws=256,
)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("energies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "QUICK", TINY)
        yield folder, ENERGIES.run(folder, quick=True)


def test_it_writes_tables_figures_and_their_provenance(tiny_run):
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
    monkeypatch.setattr(study, "QUICK", TINY)

    def never(*_args, **_options):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(fits, "train", never)
    again = ENERGIES.run(folder, quick=True)
    assert again["rows"] == made["rows"]
    assert (folder / "gaps.png").stat().st_size > 0


def test_a_run_makes_only_missing_fits(tiny_run, monkeypatch):
    folder, made = tiny_run
    (described,) = (folder / "cells").glob("planar-2-*.json")
    described.unlink()
    monkeypatch.setattr(study, "QUICK", TINY)
    fitted, train = [], fits.train

    def watched(*args, **options):
        fitted.append(options["stage"])
        return train(*args, **options)

    monkeypatch.setattr(fits, "train", watched)
    again = ENERGIES.run(folder, quick=True)
    assert fitted == ["planar K = 2"]
    np.testing.assert_allclose(again["rows"][1]["gap"], made["rows"][1]["gap"], rtol=1e-6)


def test_other_settings_use_other_files(tiny_run):
    folder, _ = tiny_run
    arguments = (TINY.flows[0], 2, [targets.get("u1")])
    assert load(fits.fit_spec(*arguments, TINY), folder / "cells", fits.Fits)
    more = dataclasses.replace(TINY, seeds=2)
    assert load(fits.fit_spec(*arguments, more), folder / "cells", fits.Fits) is None


def test_a_damaged_cell_is_refused(tiny_run, tmp_path, monkeypatch):
    folder, _ = tiny_run
    shutil.copytree(folder / "cells", tmp_path / "cells")
    (described,) = (tmp_path / "cells").glob("planar-2-*.json")
    described.write_text("{", encoding="utf-8")
    monkeypatch.setattr(study, "QUICK", TINY)
    with pytest.raises(ValueError, match="is damaged; remove it and the model is fitted again"):
        ENERGIES.run(tmp_path, quick=True)


def test_an_interrupted_fit_leaves_no_cell(tmp_path, monkeypatch):
    train = fits.train

    def stopped(*args, **options):
        done = train(*args, **options)
        done.interrupted = True
        return done

    monkeypatch.setattr(fits, "train", stopped)
    monkeypatch.setattr(study, "QUICK", TINY)
    with pytest.raises(KeyboardInterrupt):
        ENERGIES.run(tmp_path, quick=True)
    assert not list((tmp_path / "cells").glob("*planar*.json"))


def test_a_gap_that_is_not_finite_is_drawn_and_printed():
    assert cells.gap_text(float("nan")) == "–"
    assert cells.gap_text(-0.0001) == "−0.0001"
    assert study.spread_of([0.1, 0.3, 0.2]) == "0.200 [0.100–0.300]"

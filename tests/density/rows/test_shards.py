"""Tables larger than memory: shuffled into shards on disk, learned from window by window."""

import itertools
import signal

import numpy as np
import pytest
from training.fits import aged

from thalweg.density.job import estimate, resume
from thalweg.density.rows import shards as shards_module
from thalweg.density.rows import source
from thalweg.density.rows.shards import SHARDS, Windows, scatter_rows
from thalweg.runs import CHECKPOINT
from thalweg.tables import open_table, write_table
from thalweg.training import Silent

RNG = np.random.default_rng(0)
COUNT = 20_000
FAST = {"flow": "gaussian", "members": 1, "steps": 100, "learning_rate": 0.02, "progress": False}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Sorted rows: a fit to them in order would know one end alone."""
    rng = np.random.default_rng(0)
    first = np.sort(rng.normal(size=COUNT))
    rows = np.stack([first, 1e6 + first + rng.normal(size=COUNT)], 1)
    path = tmp_path_factory.mktemp("table") / "sorted.npy"
    write_table(path, rows, ("a", "b"))
    return open_table(path), rows


def test_every_row_is_in_one_shard_and_each_shard_is_a_draw_of_all(table, tmp_path):
    file, rows = table
    shards = scatter_rows(file, file.names, tmp_path, "error", 0)
    assert len(shards) == COUNT
    assert np.ptp(shards.counts) <= 1
    found = shards.rows(range(SHARDS))
    np.testing.assert_array_equal(found[np.argsort(found[:, 1])], rows[np.argsort(rows[:, 1])])
    np.testing.assert_array_equal(shards.extremes, [rows.min(0), rows.max(0)])
    # Of 78 draws of a standard normal the mean is within .6 but for one time in ten million.
    assert max(abs(shards.rows([i])[:, 0].mean()) for i in range(SHARDS)) < 0.6
    some = shards.rows(range(3), 60)
    assert some.shape == (60, 2)
    assert abs(some[:, 0].mean()) < 0.7
    assert some[:, 0].std() > 0.6


def test_windows_are_as_long_as_each_other_and_take_turns(table, tmp_path, monkeypatch):
    monkeypatch.setattr(shards_module, "WINDOW", 5000)
    file, _ = table
    windows = Windows(scatter_rows(file, file.names, tmp_path, "error", 0), tuple(range(6, SHARDS)))
    found = [windows(i) for i in range(4)]
    assert len({window.shape for window in found}) == 1
    assert len(found[0]) == pytest.approx(5000, rel=0.05)
    for one, other in itertools.combinations(found[:3], 2):
        assert not set(one[:, 1]) & set(other[:, 1])
    np.testing.assert_array_equal(found[0], windows(0))


def test_rows_that_are_not_finite_are_named_or_left_out(tmp_path, rng):
    rows = rng.normal(size=(1000, 2))
    rows[700:703, 1] = np.nan
    np.save(tmp_path / "t.npy", rows)
    file = open_table(tmp_path / "t.npy")
    with pytest.raises(ValueError, match=r"column 'x1' of t\.npy, rows 1 to 1000, has 3 values"):
        scatter_rows(file, file.names, tmp_path, "error", 0)
    assert len(scatter_rows(file, file.names, tmp_path, "drop", 0)) == 997


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(source, "IN_MEMORY", 1000)
    monkeypatch.setattr(shards_module, "WINDOW", 4000)


@pytest.mark.usefixtures("small_memory")
def test_a_sorted_file_that_is_large_is_learned_whole(table, tmp_path):
    """Its entropy is that of two standard normals."""
    file, _ = table
    done = estimate(file.path, out=tmp_path / "run", **FAST)
    results = done.record["results"]
    assert results["rows"] == COUNT
    assert results["test_nll"] == pytest.approx(np.log(2 * np.pi * np.e), abs=0.1)
    assert results["train_nll"] == pytest.approx(results["valid_nll"], abs=0.15)
    assert results["rows_per_second"] > 0
    assert abs(results["baselines"][0]["worse_by"]) < 0.02
    assert not list((tmp_path / "run").glob(".rows*"))


class PressesCtrlC(Silent):
    def update(self, stage, step, steps, value):
        if step == 10:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.usefixtures("small_memory")
def test_a_run_that_was_stopped_ends_as_one_that_was_not(table, tmp_path):
    whole = estimate(table[0].path, **FAST)
    options = {**FAST, "progress": PressesCtrlC(), "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        estimate(table[0].path, **options)
    assert not list((tmp_path / "run").glob(".rows*"))
    (tmp_path / "run" / ".rows.killed").mkdir()
    aged(tmp_path / "run" / CHECKPOINT, 1000)
    resumed = resume(tmp_path / "run", progress=False)
    assert not list((tmp_path / "run").glob(".rows*"))
    assert resumed.record["seconds"] > 1000
    assert resumed.record["results"]["test_nll"] == whole.record["results"]["test_nll"]


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize(
    ("column", "options", "words"),
    [
        (np.r_[np.full(5000, 2.0), 3.0], {}, "one value in almost all rows"),
        (
            np.r_[RNG.uniform(1, 2, 5000), -1.0],
            {"marginals": {"x1": "positive"}},
            "outside the support of 'positive'",
        ),
    ],
)
def test_bad_columns_beyond_a_window_are_refused(
    tmp_path, monkeypatch, column, options, words, rng
):
    monkeypatch.setattr(shards_module, "WINDOW", 200)
    np.save(tmp_path / "t.npy", np.stack([rng.normal(size=len(column)), column], 1))
    with pytest.raises(ValueError, match=words):
        estimate(tmp_path / "t.npy", **FAST, **options)

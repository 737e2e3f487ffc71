"""Early stopping of a fit of a density."""

import numpy as np

from thalweg.density.defaults import PATIENCE
from thalweg.density.ensemble.patience import Patience
from thalweg.training import ChunkRecord


def stops_after(values, fold):
    """Return the chunk after which a fit stops; None where it does not."""
    patience = Patience(np.asarray(fold))
    for i, row in enumerate(np.atleast_2d(values)):
        if patience(ChunkRecord(row, np.asarray(row), row, row, row)):
            return i
    return None


def test_a_fit_without_improvement_stops():
    falling = np.linspace(3, 1, 30)[:, None]
    assert stops_after(falling, [0]) is None
    rising = np.concatenate([falling, falling[::-1]])
    assert 30 + PATIENCE < stops_after(rising, [0]) < 30 + PATIENCE + 5


def test_an_early_lucky_value_does_not_end_a_fit():
    values = np.linspace(3, 1, 60)[:, None]
    values[10] -= 0.8
    assert stops_after(values, [0]) is None


def test_the_best_restart_of_each_fold_counts():
    falling, rising = np.linspace(3, 1, 60), np.linspace(3, 4, 60)
    assert stops_after(np.stack([falling, rising], 1), [0, 0]) is None
    assert stops_after(np.stack([falling, rising], 1), [0, 1]) is None  # their mean still falls
    steep = np.linspace(3, 9, 60)
    assert stops_after(np.stack([falling, steep], 1), [0, 1]) == PATIENCE
    assert stops_after(np.stack([falling, steep], 1), [0, 0]) is None


def test_values_that_are_not_finite_are_skipped():
    values = np.linspace(3, 1, 40)[:, None].repeat(2, 1)
    values[5:9, 0] = np.nan
    values[20, 1] = np.inf
    assert stops_after(values, [0, 0]) is None

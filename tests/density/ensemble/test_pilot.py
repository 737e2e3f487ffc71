"""The amount of noise after the first chunks of a fit."""

import numpy as np
import pytest

from thalweg.density.ensemble.patience import Patience
from thalweg.density.ensemble.pilot import CLEAR, PILOT, Watch, better_noises
from thalweg.training import ChunkRecord

FOLD = np.array([0, 0, 1, 1])
NOISES = np.array([0.1, 0.3, 0.1, 0.3])


def test_all_members_take_a_noise_that_is_better_in_each_fold():
    scores = np.array([1.0, 1.2, 2.0, 2.1])
    np.testing.assert_array_equal(better_noises(NOISES, FOLD, scores), np.full(4, 0.1))
    np.testing.assert_array_equal(better_noises(NOISES, FOLD, -scores), np.full(4, 0.3))


@pytest.mark.parametrize(
    "scores",
    [
        [1.0, 1.2, 2.0, 1.9],  # folds disagree
        [1.0, 1.0 + CLEAR / 2, 2.0, 2.0 + CLEAR / 2],  # nearly alike
        [1.0, np.nan, 2.0, 3.0],
        [np.inf, np.inf, 2.0, 3.0],
    ],
)
def test_sizes_stay_where_none_is_clearly_better(scores):
    assert better_noises(NOISES, FOLD, np.array(scores)) is NOISES


def test_sizes_stay_where_a_fold_lacks_one():
    fold, noises = np.array([0, 0, 1]), np.array([0.1, 0.3, 0.1])
    assert better_noises(noises, fold, np.array([1.0, 2.0, 1.0])) is noises


def test_one_size_stays():
    none = np.zeros(2)
    assert better_noises(none, np.zeros(2, int), np.array([1.0, 2.0])) is none


def test_the_noise_is_chosen_once_after_the_pilot():
    watch = Watch(NOISES, Patience(FOLD))
    for i in range(PILOT + 5):
        assert (watch.noises is NOISES) == (i < PILOT)
        better = np.array([1.0, 2.0, 1.0, 2.0]) if i < PILOT else np.array([2.0, 1.0, 2.0, 1.0])
        watch(ChunkRecord(*[better - 0.1 * i] * 5))
    np.testing.assert_array_equal(watch.noises, np.full(4, 0.1))

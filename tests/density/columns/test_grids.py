"""Grids of the values of a column: found where there are some, and not by chance."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from thalweg.density.columns.grids import Grid, find_grid

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "step", "decimals"),
    [
        (RNG.poisson(3.0, 400), 1, 0),
        (1000 * RNG.poisson(3.0, 400), 1000, 0),
        (np.round(RNG.normal(size=2000) * 7, 1), 0.1, 1),
        (RNG.integers(0, 17, 500) / 16, 1 / 16, 4),
        (RNG.integers(0, 256, 5000) / 255, 1 / 255, None),
        (np.float32(RNG.integers(0, 20_000, 60_000) * 0.001), 0.001, None),
        (np.repeat([0, 2, 5], 9), 1, 0),
        (np.repeat([0.3, 1.7], 9), 1.4, 1),
        (np.repeat([10**9, 10**9 + 3, 10**9 + 7], 9), 1, 0),
        (np.repeat([0, 1, 10**7], 9), 1, 0),
    ],
)
def test_a_grid_is_found(values, step, decimals):
    x = values.astype(float)
    found = find_grid(x)
    assert found.step == pytest.approx(step)
    assert found.decimals == decimals
    for u in (0.05, 0.5, 0.95):
        np.testing.assert_allclose(found.floor(x + u * step), x, rtol=1e-6)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(100.0),  # hardly a tie: identifiers, or years
        RNG.normal(size=1000),
        RNG.normal(size=300)[RNG.integers(0, 300, 1000)],  # rows drawn twice
        np.append(np.zeros(600), RNG.normal(size=400)),  # an atom
        np.full(10, 3.0),
    ],
)
def test_columns_without_a_grid(x):
    assert find_grid(x) is None


@hypothesis.given(
    origin=st.integers(-50, 50),
    step=st.sampled_from([0.01, 0.25, 1.0, 3.0]),
    seed=st.integers(0, 100),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_every_number_lies_in_one_cell(origin, step, seed):
    random = np.random.default_rng(seed)
    x = origin * step + step * random.integers(0, 40, 400)
    grid = find_grid(x)
    assert grid.step == pytest.approx(step)
    anywhere = origin * step + 40 * step * random.uniform(size=200)
    below = grid.floor(anywhere)
    assert np.all((below <= anywhere + 1e-6) & (anywhere < below + step + 1e-6))


def test_numbers_that_were_not_rounded_stay_as_they_are():
    thirds = Grid(1 / 3, 1 / 3, None)
    np.testing.assert_allclose(thirds.floor(np.array([0.4, 0.7, 1.0])), [1 / 3, 2 / 3, 1.0])

"""The Gaussian that joins the flow: its weight, and itself."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.density.ensemble.gaussian import fit_gaussian, mixture_weight


def test_the_weight_is_the_most_likely_one(rng):
    """The data are a mixture; the reference is a grid of weights."""
    apart = 3 * rng.normal(size=400)
    grid = np.linspace(0.001, 0.999, 999)
    value = 0.1 * (np.log(grid) + np.log(1 - grid))
    value = value + np.log(1 - grid[:, None] + grid[:, None] * np.exp(apart)).sum(1)
    assert mixture_weight(apart) == pytest.approx(grid[value.argmax()], abs=1e-3)


def test_the_weight_of_a_useless_density_is_that_of_a_tenth_of_a_row():
    assert mixture_weight(np.full(100, -500.0)) == pytest.approx(0.001, rel=0.02)
    assert mixture_weight(np.full(100, 500.0)) == pytest.approx(0.999, rel=1e-3)
    assert 0 < mixture_weight(np.full(5, -np.inf)) < 1


def test_the_gaussian_of_rows(rng):
    factor = np.array([[1.0, 0.0], [0.8, 0.6]])
    rows = rng.normal(size=(4000, 2)) @ factor.T
    z = np.linalg.solve(factor, rows.T).T
    known = -0.5 * (z**2 + np.log(2 * np.pi)).sum(1) - np.log(0.6)
    got = np.asarray(fit_gaussian(rows[:3000], None).log_prob(jnp.asarray(rows)))
    assert np.mean(known - got) == pytest.approx(0.0, abs=0.01)


def test_the_gaussian_of_cells_is_as_wide_as_their_noise(rng):
    """Counts, and their cells: Var(x + u) = Var(x) + 1/12."""
    counts = rng.poisson(2.0, size=(5000, 1)).astype(float)
    filled = counts + rng.uniform(size=counts.shape)
    normal = fit_gaussian(counts, np.ones((1, 1)))
    assert float(normal.loc[0]) == pytest.approx(filled.mean(), abs=0.02)
    assert float(jnp.exp(normal.log_diagonal[0])) == pytest.approx(filled.std(), rel=0.02)


def test_fewer_rows_than_columns_do(rng):
    rows = rng.normal(size=(30, 60))
    normal = fit_gaussian(rows[:20], None)
    assert np.all(np.isfinite(normal.log_prob(jnp.asarray(rows))))

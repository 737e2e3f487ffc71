"""The Gaussian that joins the flows."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.density.ensemble.gaussian import fit_gaussian


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

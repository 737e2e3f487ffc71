"""Weights of densities in their mean, from held-out rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.density.ensemble.stacking import mix, stack_weights


def test_weights_are_the_most_likely_ones(rng):
    """The reference is a grid of weights of two densities."""
    log_densities = 3 * rng.normal(size=(2, 400))
    grid = np.linspace(0.001, 0.999, 999)[:, None]
    value = np.log((1 - grid) * np.exp(log_densities[0]) + grid * np.exp(log_densities[1])).sum(1)
    value += 0.1 * np.log(grid * (1 - grid))[:, 0]
    assert stack_weights(log_densities)[1] == pytest.approx(grid[value.argmax(), 0], abs=2e-3)


def test_rows_of_a_mixture_give_back_its_weights(rng):
    known, means = np.array([0.5, 0.3, 0.2]), np.array([-4.0, 0.0, 4.0])
    rows = rng.normal(size=20_000) + rng.choice(means, p=known, size=20_000)
    found = stack_weights(-0.5 * (rows - means[:, None]) ** 2)
    np.testing.assert_allclose(found, known, atol=0.015)


def test_the_weight_of_a_useless_density_is_that_of_a_tenth_of_a_row():
    useless = np.stack([np.zeros(100), np.full(100, -500.0)])
    assert stack_weights(useless)[1] == pytest.approx(0.1 / 100.2, rel=0.02)
    assert stack_weights(useless, [0.0, 10.0])[1] == pytest.approx(10.1 / 110.2, rel=0.02)


@given(st.integers(0, 3))
def test_densities_of_nought_are_no_trouble(worst):
    log_densities = np.zeros((3, 8))
    log_densities[worst % 3] = [-np.inf, np.nan][worst % 2]
    log_densities[:, 0] = -np.inf  # no density has this row
    weights = stack_weights(log_densities)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmin() == worst % 3
    assert np.all(weights > 0)


def test_a_mean_leaves_out_densities_without_weight():
    found = mix(np.array([0.25, 0.0, 0.75]), np.array([[0.0], [np.nan], [0.0]]))
    np.testing.assert_allclose(found, 0.0, atol=1e-12)

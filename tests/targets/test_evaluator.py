"""Values and gradients of a density at many points: right, counted, and by one program each."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.precision import computing_in
from thalweg.targets import evaluator
from thalweg.targets.evaluator import BLOCK, Evaluator


def bent(x):
    return -0.5 * jnp.sum(x**2) - 0.1 * x[0] ** 4


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_values_and_gradients_of_any_number_of_points(n):
    x = np.random.default_rng(n).normal(size=(n, 3))
    density = Evaluator(bent)
    values, slopes = density.gradients(x)
    expected = -0.5 * np.sum(x**2, 1) - 0.1 * x[:, 0] ** 4
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(density.values(x), expected, rtol=1e-12)
    np.testing.assert_allclose(slopes[:, 1:], -x[:, 1:], rtol=1e-12)
    np.testing.assert_allclose(slopes[:, 0], -x[:, 0] - 0.4 * x[:, 0] ** 3, rtol=1e-12)
    assert (density.value_count, density.gradient_count) == (n, n)


def test_points_that_fill_a_block_are_not_seen():
    """The last block is filled with a row of its own, so a bounded support stays as it is."""
    density = Evaluator(lambda x: jnp.where(x[0] > 0, -x[0], -jnp.inf))
    found = density.values(np.array([[1.0], [-1.0], [2.0]]))
    np.testing.assert_array_equal(found, [-1.0, -np.inf, -2.0])


def test_all_sizes_share_a_program(monkeypatch):
    traced = []

    def counted(x):
        traced.append(x)
        return bent(x)

    density = Evaluator(counted)
    for n in (1, 7, 600):
        density.values(np.ones((n, 2)))
        density.gradients(np.ones((n, 2)))
    assert len(traced) == 3  # once for its size, once for each program
    monkeypatch.setattr(evaluator, "BLOCK", 8)
    density.values(np.ones((1, 2)))
    assert len(traced) == 4  # so a program of another size would have been noticed


def test_the_precision_is_that_of_the_moment():
    density = Evaluator(lambda x: x[0] * 1.0)
    fine = np.array([[1 + 1e-12]])
    assert density.values(fine)[0] == 1 + 1e-12
    with computing_in("float32"):
        assert density.values(fine)[0] == 1.0

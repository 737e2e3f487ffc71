"""Triangular polynomials: their terms, what they can be, and that numbers stay bounded."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.bijections import TriangularPolynomial
from thalweg.bijections.triangular import bent, polynomials, terms_of, unbent
from thalweg.precision import computing_in


def test_terms_are_orthonormal_under_a_normal():
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    grid = np.stack([part.ravel() for part in np.meshgrid(nodes, nodes)], 1)
    mass = np.outer(weights, weights).ravel()
    known = polynomials(grid)
    # Beyond six standard deviations the terms are bent: their products lose a little.
    np.testing.assert_allclose((known * mass[:, None]).T @ known, np.eye(6), atol=0.04)


def test_a_coordinate_knows_only_earlier_ones():
    first, second, earlier = terms_of(3)
    assert list(zip(first, second, strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 1),
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    assert earlier.sum(1).tolist() == [1, 3, 6]  # the polynomials in 0, 1 and 2 coordinates


def test_a_banana_is_one_of_them():
    """x₁ = z₁, x₂ = z₂ + (z₁² − 1)/√2 has one coefficient."""
    with computing_in("float64"):
        banana = eqx.tree_at(
            lambda t: t.shift, TriangularPolynomial(2), jnp.zeros((2, 6)).at[1, 3].set(1.0)
        )
        z = jnp.array([0.5, -1.0])
        x, log_det = banana.forward_and_log_det(z)
        np.testing.assert_allclose(x, [0.5, -1.0 + (0.25 - 1) / np.sqrt(2)], atol=1e-4)
        assert float(log_det) == pytest.approx(0.0, abs=1e-12)


def test_skewness_and_tails_have_their_inverse_and_slope():
    z = np.linspace(-5, 5, 41)
    for skewness, log_tail in ((0.0, 0.0), (0.7, 0.2), (-2.0, -0.5), (50.0, 50.0)):
        s, log_slopes = bent(z, np.array(skewness), np.array(log_tail))
        np.testing.assert_allclose(unbent(s, np.array(skewness), np.array(log_tail)), z, atol=1e-9)
        above, _ = bent(z + 1e-6, np.array(skewness), np.array(log_tail))
        below, _ = bent(z - 1e-6, np.array(skewness), np.array(log_tail))
        np.testing.assert_allclose(np.log((above - below) / 2e-6), log_slopes, atol=1e-6)


def test_inverses_of_far_points_are_finite():
    """Unbounded polynomials would square their numbers at every coordinate."""
    noise = jax.random.normal(jax.random.key(0), (2, 12, terms_of(12).earlier.shape[1]))
    wild = eqx.tree_at(
        lambda t: (t.shift, t.log_scale), TriangularPolynomial(12), (noise[0], noise[1])
    )
    assert bool(jnp.isfinite(wild.inverse(jnp.full(12, 100.0))).all())


def test_a_dimension_is_a_positive_whole_number():
    with pytest.raises(ValueError, match="dim"):
        TriangularPolynomial(0)

"""Reflections and rotations: orthogonal for any parameters, the identity at the start."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import randomised
from scipy.linalg import expm

from thalweg.bijections import Householder, Rotation

KEY = jax.random.key(0)


def _matrix(bijection):
    return np.asarray(jax.jacfwd(bijection.forward)(jnp.zeros(bijection.shape)))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.few(1)
def test_reflections_one_after_another(count):
    """More of them than dimensions too."""
    bijection = randomised(Householder(4, count, key=KEY), KEY, 1.0)
    expected = np.eye(4)
    for v in np.asarray(bijection.raw.free):
        expected = expected @ (np.eye(4) - 2 * np.outer(v, v) / (v @ v))
    np.testing.assert_allclose(_matrix(bijection), expected, atol=1e-14)
    back = jax.jacfwd(bijection.inverse)(jnp.zeros(4))
    np.testing.assert_allclose(back, expected.T, atol=1e-14)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.few(1)
def test_a_fresh_map_is_the_identity(dim):
    for fresh in (Householder(dim, key=KEY), Rotation(dim), Rotation(dim, kind="exponential")):
        np.testing.assert_allclose(_matrix(fresh), np.eye(dim), atol=1e-14)


@pytest.mark.parametrize("dim", [2, 3, 4])
@pytest.mark.few(1)
def test_default_reflections_reach_every_rotation(dim):
    """As many directions of change as the group has dimensions."""
    bijection = randomised(Householder(dim, key=KEY), KEY, 1.0)

    def matrix(raw):
        moved = eqx.tree_at(lambda b: b.raw.free, bijection, raw)
        return jax.jacfwd(moved.forward)(jnp.zeros(dim))

    raw = bijection.raw.free
    changes = jax.jacfwd(matrix)(raw).reshape(dim**2, raw.size)
    assert np.linalg.matrix_rank(changes) == dim * (dim - 1) // 2


@pytest.mark.parametrize("kind", ["cayley", "exponential"])
@pytest.mark.parametrize("std", [0.5, 50.0])
def test_rotations(kind, std):
    bijection = randomised(Rotation(5, kind=kind), KEY, std)
    q = _matrix(bijection)
    np.testing.assert_allclose(q @ q.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(q), 1.0, atol=1e-12)
    below = np.zeros((5, 5))
    below[np.tril_indices(5, -1)] = np.asarray(bijection.raw.free) / 5**0.5
    skew = below - below.T
    eye = np.eye(5)
    expected = expm(skew) if kind == "exponential" else np.linalg.inv(eye + skew) @ (eye - skew)
    np.testing.assert_allclose(q, expected, atol=1e-10)


def test_reflections_cost_no_square_matrix():
    text = str(jax.make_jaxpr(Householder(50, 2, key=KEY).forward)(jnp.zeros(50)))
    assert "50,50" not in text


def test_one_dimension_takes_no_context():
    for bijection in (Householder(1, key=KEY, context_shape=(2,)), Rotation(1, context_shape=(2,))):
        assert bijection.context_shape is None
        assert bijection.forward(jnp.ones(1), jnp.ones(2)) == 1


def test_what_is_refused():
    with pytest.raises(ValueError, match="reflections"):
        Householder(3, 0, key=KEY)
    with pytest.raises(ValueError, match="kind"):
        Rotation(3, kind="euler")

"""The planar flow's formulas (Rezende & Mohamed 2015)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.bijections import Planar

KEY = jax.random.key(0)
numbers = st.floats(-10, 10)  # so that softplus(wᵀu) does not underflow
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)


def _planar(w, u, b, nonlinearity="tanh"):
    fresh = Planar(len(w), key=KEY, nonlinearity=nonlinearity)
    free = {"w": jnp.asarray(w), "u": jnp.asarray(u), "b": jnp.asarray(b)}
    return eqx.tree_at(lambda p: p.raw.free, fresh, free)


@settings(max_examples=200, deadline=None)
@given(w=vectors, u=vectors)
def test_constraint(w, u):
    """û differs from u along w alone, and wᵀû = softplus(wᵀu) − 1 > −1."""
    if np.linalg.norm(w) < 1e-3:
        w = w + 1.0
    plane = _planar(w, u, 0.0).parameters()
    dot = np.logaddexp(0, w @ u)
    scale = 1 + np.linalg.norm(w) * np.linalg.norm(plane.u_hat) + abs(w @ u)
    assert plane.one_plus_slope > 0
    np.testing.assert_allclose(plane.one_plus_slope, dot, rtol=1e-12)
    np.testing.assert_allclose(1 + w @ plane.u_hat, dot, atol=1e-13 * scale)
    difference = np.asarray(plane.u_hat) - u
    along = (difference @ w) * w / (w @ w)
    np.testing.assert_allclose(difference, along, atol=1e-12 * scale)


@pytest.mark.parametrize("nonlinearity", ["tanh", "leaky_relu"])
def test_formula(nonlinearity):
    planar = _planar([0.5, -1.0, 2.0], [1.0, 0.3, -0.2], 0.7, nonlinearity)
    w, u_hat, b, _ = planar.parameters()
    for z in (jnp.array([0.3, 1.0, -2.0]), jnp.array([0.3, -1.0, 2.0])):
        a = w @ z + b
        if nonlinearity == "tanh":
            h, slope = np.tanh(a), 1 - np.tanh(a) ** 2
        else:
            h, slope = (a, 1.0) if a >= 0 else (0.1 * a, 0.1)
        x, log_det = planar.forward_and_log_det(z)
        np.testing.assert_allclose(x, z + u_hat * h, rtol=1e-14)
        np.testing.assert_allclose(log_det, np.log1p(u_hat @ w * slope), atol=1e-13)


@settings(max_examples=60, deadline=None)
@given(w=vectors, u=vectors, b=numbers, z=vectors)
def test_inverse_is_never_silently_wrong(w, u, b, z):
    """x → z → x to rounding error, for planes of any size and points near and far."""
    if np.linalg.norm(w) < 1e-2:
        w = w + 1.0
    planar = _planar(w, u, b)
    back, _ = _inverse(planar, jnp.asarray(z))
    again, _ = _forward(planar, back)
    plane = planar.parameters()
    growth = 1 + np.linalg.norm(plane.u_hat) * np.linalg.norm(w)
    size = 1 + np.linalg.norm(z) + np.linalg.norm(plane.u_hat) + abs(b)
    np.testing.assert_allclose(again, z, atol=1e-13 * growth * size)


_inverse = eqx.filter_jit(lambda p, x: p.inverse_and_log_det(x))
_forward = eqx.filter_jit(lambda p, z: p.forward_and_log_det(z))


def test_starts_near_the_identity():
    planar = Planar(40, key=KEY)
    z = jax.random.normal(jax.random.key(1), (40,))
    x, log_det = planar.forward_and_log_det(z)
    assert 0 < np.abs(x - z).max() < 0.1
    assert abs(log_det) < 0.5


def test_errors():
    with pytest.raises(ValueError, match="nonlinearity='relu'"):
        Planar(2, key=KEY, nonlinearity="relu")
    for dim in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="dim must be a whole number of at least 1"):
            Planar(dim, key=KEY)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_push_far_against_its_plane_stays_finite(dtype):
    """softplus(wᵀu) underflows; at the plane itself its logarithm is the whole log-determinant."""
    layer = Planar(1, key=jax.random.key(0))
    far = {"w": jnp.ones(1, dtype), "u": jnp.full(1, -2000.0, dtype), "b": jnp.zeros((), dtype)}
    layer = eqx.tree_at(lambda b: b.raw.free, layer, far)
    x, log_det = layer.forward_and_log_det(jnp.zeros(1, dtype))
    assert np.all(np.isfinite(x)) and np.isfinite(log_det) and log_det < -80

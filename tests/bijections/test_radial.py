"""The radial flow's formulas (Rezende & Mohamed 2015)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.bijections import Radial


def _radial(dim, alpha, beta):
    fresh = Radial(dim, key=jax.random.key(dim))
    where = lambda r: (r.raw.free["alpha"], r.raw.free["beta"])  # noqa: E731
    return eqx.tree_at(where, fresh, (jnp.asarray(alpha), jnp.asarray(beta)))


@settings(max_examples=100, deadline=None)
@given(alpha=st.floats(-30, 30), beta=st.floats(-30, 30))
def test_constraint(alpha, beta):
    """α > 0 and β > −α, whatever the raw parameters."""
    centre = _radial(2, alpha, beta).parameters()
    assert centre.alpha > 0
    assert centre.alpha_plus_beta > 0
    np.testing.assert_allclose(centre.alpha, np.logaddexp(0, alpha), rtol=1e-12)
    np.testing.assert_allclose(centre.alpha_plus_beta, np.logaddexp(0, beta), rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 1.5), (1.0, -2.0), (-1.0, -1.0)])
def test_formula(dim, alpha, beta):
    radial = _radial(dim, alpha, beta)
    centre, a, both = radial.parameters()
    b = both - a
    z = jax.random.normal(jax.random.key(9), (dim,))
    r = np.linalg.norm(z - centre)
    h = 1 / (a + r)
    x, log_det = radial.forward_and_log_det(z)
    np.testing.assert_allclose(x, z + b * h * (z - centre), rtol=1e-12)
    expected = (dim - 1) * np.log1p(b * h) + np.log1p(b * h - b * r * h**2)
    np.testing.assert_allclose(log_det, expected, rtol=1e-10, atol=1e-13)


def test_norm_is_of_one_event():
    """A batch of points is as far from the centre as each of its points is."""
    radial = _radial(2, 0.0, 2.0)
    z = jax.random.normal(jax.random.key(0), (5, 2))
    x, log_det = jax.vmap(radial.forward_and_log_det)(z)
    for i in range(5):
        alone, alone_log_det = radial.forward_and_log_det(z[i])
        np.testing.assert_allclose(x[i], alone, rtol=1e-13)
        np.testing.assert_allclose(log_det[i], alone_log_det, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dim", [1, 3])
def test_centre_is_a_regular_point(dim):
    """At z₀ itself r = 0: no NaN in value, inverse or gradient."""
    radial = _radial(dim, 0.5, 2.0)
    centre, alpha, both = radial.parameters()
    x, log_det = radial.forward_and_log_det(centre)
    np.testing.assert_allclose(x, centre, rtol=1e-15)
    np.testing.assert_allclose(log_det, dim * np.log(both / alpha), rtol=1e-12)
    z, _ = radial.inverse_and_log_det(centre)
    np.testing.assert_allclose(z, centre, rtol=1e-15)
    for method in (radial.forward, radial.inverse):
        assert np.isfinite(jax.jacrev(method)(centre)).all()
    np.testing.assert_allclose(
        jax.jacrev(radial.forward)(centre), np.eye(dim) * both / alpha, rtol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(alpha=st.floats(-20, 20), beta=st.floats(-20, 20), size=st.floats(1e-6, 1e6))
def test_inverse(alpha, beta, size):
    """x → z → x, near the centre and far from it."""
    radial = _radial(2, alpha, beta)
    x = radial.raw.free["centre"] + size * jnp.array([0.6, 0.8])
    z, log_det = _inverse(radial, x)
    back, _ = _forward(radial, z)
    _, a, both = radial.parameters()
    np.testing.assert_allclose(back, x, atol=1e-13 * (1 + size) * max(1.0, both / a))
    assert np.isfinite(log_det)


_inverse = eqx.filter_jit(lambda p, x: p.inverse_and_log_det(x))
_forward = eqx.filter_jit(lambda p, z: p.forward_and_log_det(z))

"""The logit and its volume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from thalweg.bijections import Logit

KEY = jax.random.key(0)


@pytest.mark.parametrize("margin", [0.0, 0.05, 1e-6, -1e-4])
def test_values_and_volume(margin):
    bijection = Logit((3, 2), margin)
    z = 3 * jax.random.normal(KEY, (3, 2))
    x, log_det = bijection.forward_and_log_det(z)
    np.testing.assert_allclose(special.logit(margin + (1 - 2 * margin) * x), z, rtol=1e-9)
    slopes = jax.vmap(jax.grad(lambda v: (jax.nn.sigmoid(v) - margin) / (1 - 2 * margin)))(
        z.ravel()
    )
    np.testing.assert_allclose(log_det, np.log(slopes).sum(), rtol=1e-12)
    back, inverse_log_det = bijection.inverse_and_log_det(x)
    np.testing.assert_allclose(back, z, rtol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-9)
    pushed = bijection.push_score(z, jnp.ones_like(z))[2]
    expected = (1 - (1 - 2 * jax.nn.sigmoid(z))) / slopes.reshape(z.shape)
    np.testing.assert_allclose(pushed, expected, rtol=1e-7)


def test_ends():
    """With a margin the ends have finite images; without, infinite ones; beyond there is none."""
    ends = jnp.array([0.0, 1.0])
    z, log_det = Logit((2,), 0.05).inverse_and_log_det(ends)
    np.testing.assert_allclose(z, special.logit([0.05, 0.95]), rtol=1e-12)
    assert np.isfinite(log_det)
    assert np.array_equal(Logit((2,), 0.0).inverse(ends), [-np.inf, np.inf])
    assert np.isnan(Logit((2,), 0.05).inverse(jnp.array([-0.1, 1.1]))).all()
    inside = Logit((2,), -1e-4).forward(jnp.array([-1e3, 1e3]))
    assert 0 < inside[0] < 2e-4 and 1 - 2e-4 < inside[1] < 1


def test_far_out_in_float32():
    z = jnp.array([-80.0, 80.0], jnp.float32)
    x, log_det = Logit((2,), 0.0).forward_and_log_det(z)
    assert x.dtype == log_det.dtype == jnp.float32
    np.testing.assert_allclose(log_det, -160, rtol=1e-6)


def test_margins_that_leave_nothing_are_refused():
    for margin in (0.5, 1.0, float("nan")):
        with pytest.raises(ValueError, match="must be below 1/2"):
            Logit((2,), margin)

"""One map at every position; the invertible 1×1 convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import randomised

from thalweg.bijections import FullAffine, PerPosition, Planar

KEY = jax.random.key(0)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_rotated_start(channels):
    fresh = FullAffine(channels, key=KEY, rotated=True)
    matrix = np.asarray(jax.jacfwd(fresh.forward)(jnp.zeros(channels)))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(channels), atol=1e-13)
    if channels > 1:
        assert np.abs(matrix).max() < 1 - 1e-3  # no permutation


@pytest.mark.parametrize("channels", [1, 3])
def test_the_1x1_convolution(channels):
    """One matrix at each pixel; h·w times its volume."""
    bijection = randomised(PerPosition.convolution_1x1((4, 3, channels), key=KEY), KEY, 0.5)
    z = jax.random.normal(KEY, bijection.shape)
    x, log_det = bijection.forward_and_log_det(z)
    params = bijection.bijection.parameters()
    matrix = (params.lower @ params.upper)[bijection.bijection.permutation]
    expected = jnp.einsum("ijc,dc->ijd", z, matrix) + params.loc
    np.testing.assert_allclose(x, expected, atol=1e-13)
    np.testing.assert_allclose(log_det, 12 * np.linalg.slogdet(matrix)[1], atol=1e-12)
    jacobian = jax.jacfwd(bijection.forward)(z).reshape(z.size, z.size)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-11)
    back, inverse_log_det = bijection.inverse_and_log_det(x)
    np.testing.assert_allclose(back, z, atol=1e-12)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-12)


def test_any_map_and_a_context():
    """Each position moves as the map alone would move it, scores included."""
    inner = Planar(2, key=KEY, context_shape=(3,))
    bijection = PerPosition(inner, (2, 2))
    z, score = jax.random.normal(KEY, (2, *bijection.shape))
    context = jnp.arange(3.0)
    x, log_det, pushed = bijection.push_score(z, score, context)
    one, part, turned = inner.push_score(z[1, 0], score[1, 0], context)
    np.testing.assert_allclose(x[1, 0], one, atol=1e-13)
    np.testing.assert_allclose(pushed[1, 0], turned, atol=1e-12)
    np.testing.assert_allclose(log_det, bijection.forward_and_log_det(z, context)[1], atol=1e-12)
    assert abs(part) > 1e-6

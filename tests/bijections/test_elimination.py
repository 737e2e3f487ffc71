"""Determinants by elimination: values, first and second derivatives, near-singular matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.bijections.elimination import log_det_near_identity


def contractions(key, count, dim, norm):
    """I + J with ‖J‖ = norm."""
    raw = jax.random.normal(key, (count, dim, dim))
    return jnp.eye(dim) + norm * raw / jnp.linalg.norm(raw, 2, axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 40])
@pytest.mark.parametrize("norm", [0.1, 0.99])
def test_it_is_the_log_determinant(dim, norm):
    matrices = contractions(jax.random.key(0), 50, dim, norm)
    found = jax.vmap(log_det_near_identity)(matrices)
    np.testing.assert_allclose(found, np.linalg.slogdet(matrices)[1], atol=1e-12 * dim)


def test_skew_parts_need_no_pivots():
    """Far more rotation than stretch: xᵀ A x is still positive."""
    raw = np.random.default_rng(0).normal(size=(20, 6, 6))
    skew = 5 * (raw - raw.transpose(0, 2, 1))
    matrices = 0.1 * np.eye(6) + skew  # xᵀ A x = 0.1 |x|²
    found = jax.vmap(log_det_near_identity)(jnp.asarray(matrices))
    np.testing.assert_allclose(found, np.linalg.slogdet(matrices)[1], rtol=1e-10)


def test_derivatives_are_those_of_the_library():
    matrix = contractions(jax.random.key(1), 1, 4, 0.8)[0]

    def ours(a):
        return log_det_near_identity(a + a @ a / 10)

    def library(a):
        return jnp.linalg.slogdet(a + a @ a / 10)[1]

    np.testing.assert_allclose(jax.grad(ours)(matrix), jax.grad(library)(matrix), atol=1e-12)
    np.testing.assert_allclose(jax.hessian(ours)(matrix), jax.hessian(library)(matrix), atol=1e-10)
    np.testing.assert_allclose(
        jax.jacfwd(jax.jacfwd(ours))(matrix), jax.hessian(library)(matrix), atol=1e-10
    )


def test_float32_stays_float32_and_close():
    matrices = contractions(jax.random.key(2), 200, 10, 0.97)
    found = jax.vmap(log_det_near_identity)(matrices.astype(jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.linalg.slogdet(matrices)[1], atol=2e-5)

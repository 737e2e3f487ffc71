"""Sylvester maps: planar ones with several directions (van den Berg et al. 2018)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.bijections import Planar, Sylvester

KEY = jax.random.key(0)


@pytest.mark.parametrize("kind", ["orthogonal", "householder", "triangular"])
def test_the_columns_are_orthonormal(kind):
    bijection = Sylvester(5, 3, key=KEY, kind=kind)
    q = bijection.parameters().q
    np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=1e-14)


def test_one_column_is_a_planar_map():
    wide = Sylvester(4, 1, key=KEY)
    wide = eqx.tree_at(lambda s: s.raw.free["slope"], wide, jnp.array([2.0]))
    params = wide.parameters()
    w = params.r_tilde[0, 0] * params.q[:, 0]
    slope = jnp.log(jnp.expm1(params.one_plus_slope[0]))  # wᵀu before the constraint
    u = params.r[0, 0] * params.q[:, 0]
    u = u + (slope - jnp.sum(w * u)) * w / jnp.sum(w**2)
    narrow = Planar(4, key=KEY)
    free = {"w": w, "u": u, "b": params.b[0]}
    narrow = eqx.tree_at(lambda p: p.raw.free, narrow, free)
    z = jax.random.normal(jax.random.key(1), (4,))
    for one, other in zip(wide.forward_and_log_det(z), narrow.forward_and_log_det(z), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_the_log_determinant_is_small_work():
    """No determinant of a d × d matrix is taken."""
    text = str(jax.make_jaxpr(Sylvester(6, 2, key=KEY).prepare().forward_and_log_det)(jnp.ones(6)))
    assert "lu" not in text.split() and "6,6" not in text


@pytest.mark.parametrize("options", [{"kind": "cubic"}, {"columns": 0}, {"columns": 6}])
def test_what_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Sylvester(5, key=KEY, **options)

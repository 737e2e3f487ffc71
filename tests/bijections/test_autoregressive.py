"""Autoregressive maps: triangular, invertible group by group, in one program."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.bijections import Autoregressive
from thalweg.bijections.transformers import Affine, RationalQuadratic


def made(dim, transformer, groups=None, seed=0, std=0.4):
    fresh = Autoregressive(
        dim, transformer, key=jax.random.key(seed), groups=groups, hidden=(24, 24)
    )
    leaves, tree = jax.tree.flatten(eqx.filter(fresh, eqx.is_array))
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    moved = [a + std * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, moved), fresh)


@pytest.mark.parametrize("groups", [None, 3])
def test_the_jacobian_is_triangular_over_groups(groups):
    bijection = made(7, Affine(), groups)
    jacobian = jax.jacobian(bijection.forward)(jax.random.normal(jax.random.key(2), (7,)))
    labels = np.array(bijection.conditioner.groups)
    same = np.eye(7, dtype=bool)
    np.testing.assert_array_equal(jacobian != 0, same | (labels[:, None] > labels[None, :]))


@pytest.mark.parametrize("transformer", [Affine(), RationalQuadratic(5)])
@pytest.mark.parametrize(("dim", "groups"), [(1, None), (6, None), (7, 3), (40, None)])
def test_group_by_group_inverts_one_pass(transformer, dim, groups):
    bijection = made(dim, transformer, groups, std=0.15)
    z = 2 * jax.random.normal(jax.random.key(5), (20, dim))
    x = jax.vmap(bijection.forward)(z)
    np.testing.assert_allclose(jax.vmap(bijection.inverse)(x), z, atol=1e-9)


def test_the_inverse_differentiates_as_the_inverse_of_the_jacobian():
    bijection = made(6, RationalQuadratic(5))
    z = jax.random.normal(jax.random.key(6), (6,))
    x = bijection.forward(z)
    there, back = jax.jacobian(bijection.forward)(z), jax.jacrev(bijection.inverse)(x)
    np.testing.assert_allclose(back @ there, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(jax.jacfwd(bijection.inverse)(x), back, atol=1e-9)


def test_the_inverse_is_one_program_whatever_the_dimension():
    """A loop over coordinates at run time, none in the program."""
    counts = [
        str(jax.make_jaxpr(made(dim, Affine()).inverse)(jnp.zeros(dim))).count(" = ")
        for dim in (4, 40)
    ]
    assert counts[0] == counts[1]

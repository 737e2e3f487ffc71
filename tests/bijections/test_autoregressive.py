"""Autoregressive maps: triangular, invertible group by group, in one program."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.conditioners import moved

from thalweg.bijections import Autoregressive
from thalweg.bijections.transformers import Affine, RationalQuadratic


def made(dim, transformer, groups=None, seed=0, std=0.4):
    fresh = Autoregressive(
        dim, transformer, key=jax.random.key(seed), groups=groups, hidden=(24, 24)
    )
    return moved(fresh, seed + 1, std)


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
    x = jax.jit(jax.vmap(bijection.forward))(z)
    np.testing.assert_allclose(jax.jit(jax.vmap(bijection.inverse))(x), z, atol=1e-9)


def test_the_inverse_differentiates_as_the_inverse_of_the_jacobian():
    bijection = made(6, RationalQuadratic(5))
    z = jax.random.normal(jax.random.key(6), (6,))
    x = bijection.forward(z)
    there = jax.jit(jax.jacobian(bijection.forward))(z)
    back, ahead = (jax.jit(of(bijection.inverse))(x) for of in (jax.jacrev, jax.jacfwd))
    np.testing.assert_allclose(back @ there, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(ahead, back, atol=1e-9)


def test_the_inverse_is_one_program_whatever_the_dimension():
    """A loop over coordinates at run time, none in the program."""
    counts = [
        str(jax.make_jaxpr(made(dim, Affine()).inverse)(jnp.zeros(dim))).count(" = ")
        for dim in (4, 40)
    ]
    assert counts[0] == counts[1]


def test_the_order_sets_which_coordinates_depend_on_which():
    order = jnp.array([2, 0, 4, 1, 3])
    fresh = Autoregressive(5, Affine(), key=jax.random.key(0), order=order, hidden=(24,))
    bijection = moved(fresh, 1, 0.4)
    jacobian = jax.jit(jax.jacobian(bijection.forward))(jnp.arange(5.0))
    turn = np.argsort(order)
    np.testing.assert_array_equal(jacobian != 0, turn[:, None] >= turn[None, :])


def test_without_a_context_the_first_of_two_groups_may_stay():
    """Its parameters are then free numbers: at zero the map is a coupling."""
    bijection = made(6, Affine(), 2)
    places = np.flatnonzero(np.tile(np.array(bijection.conditioner.groups) == 0, 2))
    bijection = eqx.tree_at(
        lambda b: b.conditioner.layers[-1].bias,
        bijection,
        bijection.conditioner.layers[-1].bias.at[places].set(0.0),
    )
    z = jax.random.normal(jax.random.key(0), (8, 6))
    x = jax.vmap(bijection.forward)(z)
    np.testing.assert_array_equal(x[:, :3], z[:, :3])
    assert np.abs(x[:, 3:] - z[:, 3:]).min() > 1e-3

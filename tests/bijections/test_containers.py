"""Permutations, affine maps, chains and repeats: their own formulas and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.bijections import make

from thalweg.bijections import (
    Chain,
    FixedAffine,
    FixedRotation,
    FullAffine,
    Inverse,
    Permutation,
    Planar,
    Radial,
    Repeat,
    Scaling,
    TriangularAffine,
)
from thalweg.tree import split_trainable

KEY = jax.random.key(0)


def test_permutation():
    permutation = Permutation(jnp.array([2, 0, 1]))
    x, log_det = permutation.forward_and_log_det(jnp.array([10.0, 20.0, 30.0]))
    assert x.tolist() == [30.0, 10.0, 20.0] and log_det == 0
    assert permutation.inverse(x).tolist() == [10.0, 20.0, 30.0]
    assert Permutation.reverse(3).order.tolist() == [2, 1, 0]
    assert sorted(Permutation.random(7, key=KEY).order.tolist()) == list(range(7))


@pytest.mark.parametrize("order", [[0, 0], [1, 2], [0, 2, 1, 5], []])
def test_what_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match="once each"):
        Permutation(jnp.array(order, int))


def test_rotation_is_orthogonal_and_fixed():
    rotation = FixedRotation(5, key=KEY)
    matrix = jax.jacfwd(rotation.forward)(jnp.zeros(5))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-14)
    assert not jax.tree.leaves(split_trainable(rotation)[0])


def test_triangular_affine_is_triangular():
    affine = TriangularAffine(4, key=KEY)
    noise = lambda a: a + jax.random.normal(KEY, a.shape)  # noqa: E731
    affine = jax.tree.map(noise, affine)
    jacobian = np.asarray(jax.jacfwd(affine.forward)(jnp.zeros(4)))
    assert np.array_equal(np.triu(jacobian, 1), np.zeros((4, 4)))
    log_diagonal = affine.raw.free["log_diagonal"]
    np.testing.assert_allclose(np.diag(jacobian), np.exp(log_diagonal), rtol=1e-14)
    assert (np.abs(jacobian[np.tril_indices(4, -1)]) > 0).all()


def test_full_affine_starts_as_its_permutation():
    affine = FullAffine(5, key=KEY)
    z = jnp.arange(5.0)
    x, log_det = affine.forward_and_log_det(z)
    assert sorted(x.tolist()) == z.tolist() and log_det == 0
    # The order is saved with the model but no optimiser may touch it.
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(split_trainable(affine)[0]))


def test_whitening_whitens():
    loc, factor = jnp.array([1.0, -2.0]), jnp.array([[2.0, 0.0], [1.0, 0.5]])
    affine = FixedAffine(loc, factor)
    draws = jax.random.normal(KEY, (50_000, 2))
    x = jax.vmap(affine.forward)(draws)
    np.testing.assert_allclose(x.mean(0), loc, atol=0.05)
    np.testing.assert_allclose(np.cov(x.T), factor @ factor.T, atol=0.1)
    np.testing.assert_allclose(jax.vmap(affine.inverse)(x), draws, atol=1e-12)
    assert affine.forward_and_log_det(loc)[1] == pytest.approx(0.0)


def test_scaling_log_det_is_signed():
    scaling = eqx.tree_at(lambda s: s.raw.free, Scaling((2,)), jnp.array([-1.0, 0.25]))
    assert scaling.forward_and_log_det(jnp.ones(2))[1] == -0.75
    assert scaling.inverse_and_log_det(jnp.ones(2))[1] == 0.75


def test_chain_applies_its_first_map_first():
    double = eqx.tree_at(lambda s: s.raw.free, Scaling((2,)), jnp.log(2) * jnp.ones(2))
    shift = FixedAffine(jnp.ones(2), jnp.eye(2))
    np.testing.assert_allclose(Chain([double, shift]).forward(jnp.ones(2)), 3.0)
    np.testing.assert_allclose(Chain([shift, double]).forward(jnp.ones(2)), 4.0)


def test_empty_chain_is_the_identity():
    chain = Chain([], shape=(2,))
    z = jnp.array([1.0, 2.0])
    x, log_det, score = chain.push_score(z, 3 * z)
    assert np.array_equal(x, z) and log_det == 0 and np.array_equal(score, 3 * z)
    assert np.array_equal(chain.prepare().inverse(z), z)


def test_chain_refuses_maps_that_do_not_fit():
    planar = Planar(2, key=KEY)
    with pytest.raises(ValueError, match="one event shape"):
        Chain([planar, Planar(3, key=KEY)])
    with pytest.raises(ValueError, match="no map and no shape"):
        Chain([])
    contexts = [Planar(2, key=KEY, context_shape=(n,)) for n in (1, 2)]
    with pytest.raises(ValueError, match="different context shapes"):
        Chain(contexts)
    assert Chain([planar, contexts[0]]).context_shape == (1,)


def test_repeat_refuses_layers_that_differ():
    planar = Planar(2, key=KEY)
    others = (Radial(2, key=KEY), Planar(3, key=KEY), Planar(2, key=KEY, nonlinearity="leaky_relu"))
    for other in others:
        with pytest.raises(ValueError, match="only layers of one kind"):
            Repeat.stack([planar, other])
    with pytest.raises(ValueError, match="at least one layer"):
        Repeat.stack([])
    with pytest.raises(ValueError, match="at least one layer, got 0"):
        Repeat.create(lambda k: Planar(2, key=k), KEY, 0)


def test_inverse_swaps_and_undoes_itself():
    radial = Radial(2, key=KEY)
    z = jnp.array([1.0, 2.0])
    for one, other in (("forward", "inverse"), ("inverse", "forward")):
        swapped = getattr(Inverse(radial), one)(z)
        assert np.array_equal(swapped, getattr(radial, other)(z))
    twice = Inverse(Inverse(radial)).forward_and_log_det(z)
    assert all(map(np.array_equal, twice, radial.forward_and_log_det(z)))


def test_unknown_bijection():
    with pytest.raises(ValueError, match="unknown bijection 'plana'; known: act"):
        make("plana", KEY, 2)

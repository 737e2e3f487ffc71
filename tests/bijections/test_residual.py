"""Contractive residual maps and estimates of their log-determinants."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.bijections import Repeat, Residual, exact, with_noise
from thalweg.bijections.log_det_series import log_det_series
from thalweg.nets import LipschitzNet
from thalweg.tree import Frozen, split_trainable

KEY = jax.random.key(0)
DRAWS = 100_000


def noisy_net(dim=3, coefficient=0.7):
    """A net at its bound: estimates of a net near zero would prove nothing."""
    net = LipschitzNet.dense(dim, (8,), key=KEY, coefficient=coefficient)
    keys = iter(jax.random.split(jax.random.key(1), 10))
    return jax.tree.map(
        lambda v: v + jax.random.normal(next(keys), v.shape) if eqx.is_inexact_array(v) else v, net
    )


def made(log_det, dim=3, terms=2, coefficient=0.7):
    return Residual(noisy_net(dim, coefficient), key=KEY, log_det=log_det, terms=terms)


@eqx.filter_jit
def draws_of_value_and_gradient(bijection, z, keys):
    """Estimates of the log-determinant and of its gradient in all weights and z, a row a key."""
    trainable, fixed = split_trainable(bijection)

    def value(theta, at, key):
        noisy = with_noise(eqx.combine(theta, fixed), key)
        return noisy.forward_and_log_det(at)[1]

    def one(key):
        log_det, (by_theta, by_z) = jax.value_and_grad(value, (0, 1))(trainable, z, key)
        flat = [jnp.ravel(leaf) for leaf in jax.tree.leaves(by_theta)]
        return jnp.concatenate([log_det[None], by_z, *flat])

    return jax.lax.map(one, keys, batch_size=1000)


@eqx.filter_jit
def exact_value_and_gradient(bijection, z):
    trainable, fixed = split_trainable(bijection)

    def value(theta, at):
        return eqx.combine(theta, fixed).forward_and_log_det(at)[1]

    log_det, (by_theta, by_z) = jax.value_and_grad(value, (0, 1))(trainable, z)
    flat = [jnp.ravel(leaf) for leaf in jax.tree.leaves(by_theta)]
    return jnp.concatenate([log_det[None], by_z, *flat])


@pytest.mark.slow
def test_roulette_is_unbiased_and_so_is_its_gradient():
    bijection, z = made("roulette", coefficient=0.9), jnp.array([1.0, 0.2, -0.5])
    drawn = np.asarray(draws_of_value_and_gradient(bijection, z, jax.random.split(KEY, DRAWS)))
    expected = np.asarray(exact_value_and_gradient(bijection, z))
    assert abs(expected[0]) > 0.02 and np.abs(expected[1:]).max() > 0.05
    error, spread = drawn.mean(0) - expected, drawn.std(0) / DRAWS**0.5
    assert abs(error[0]) <= 3 * spread[0]
    # Forty-odd numbers at once: their largest deviation, with a χ² for all of them together.
    moving = spread > 0
    assert np.abs(error[~moving]).max(initial=0) < 1e-12
    assert (np.abs(error[moving]) <= 4 * spread[moving]).all()
    assert ((error[moving] / spread[moving]) ** 2).mean() < 2


@pytest.mark.slow
def test_the_neumann_gradient_is_that_of_the_series():
    """In expectation over the signs, which in d = 3 are few enough to be all of them."""
    net, z, terms = noisy_net(), jnp.array([0.3, -1.0, 0.8]), 5

    def series(net):
        power, jacobian = jnp.eye(3), jax.jacfwd(net)(z)
        total = 0.0
        for k in range(1, terms + 1):
            power = power @ jacobian
            total = total + (-1) ** (k + 1) / k * jnp.trace(power)
        return total

    keys = jax.random.split(KEY, 4000)
    signs = jax.vmap(lambda k: jax.random.rademacher(jax.random.split(k)[0], (3,), z.dtype))(keys)
    _, first = np.unique(np.asarray(signs), axis=0, return_index=True)
    assert len(first) == 8

    def estimate(net, key):
        return log_det_series(net.prepare(), z, key, terms=terms)

    every = jax.vmap(eqx.filter_value_and_grad(estimate), (None, 0))(net, keys[first])
    value, gradient = eqx.filter_value_and_grad(series)(net)
    np.testing.assert_allclose(every[0].mean(), value, rtol=1e-12)
    for mean, leaf in zip(jax.tree.leaves(every[1]), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(mean.mean(0), leaf, atol=1e-12)


class LinearContraction(LipschitzNet):
    """g(z) = A z."""

    matrix: jax.Array

    def __init__(self, matrix):
        super().__init__((len(matrix),), (), (), key=KEY, coefficient=0.8)
        self.matrix = matrix

    def prepare(self, context=None):
        return self

    def __call__(self, x, time=None):
        return self.matrix @ x


@pytest.mark.parametrize("terms", [1, 3, 8])
def test_the_bias_of_the_truncated_series_is_within_its_bound(terms):
    # The worst case, g = −c z: every term has the same sign. Signs make vᵀJᵏv exact here.
    c, d = 0.8, 4
    bijection = with_noise(
        Residual(LinearContraction(-c * jnp.eye(d)), key=KEY, log_det="hutchinson", terms=terms),
        KEY,
    )
    _, estimate = bijection.forward_and_log_det(jnp.ones(d))
    bias = abs(estimate - d * np.log1p(-c))
    bound = d * c ** (terms + 1) / ((terms + 1) * (1 - c))
    assert 0.3 * bound < bias <= bound


def test_evaluation_is_exact_and_noise_is_a_function_of_key_and_point():
    bijection = Repeat.create(
        lambda k: Residual(
            LipschitzNet.dense(3, (8,), key=k, coefficient=0.7), key=k, log_det="roulette"
        ),
        KEY,
        3,
    )
    bijection = eqx.tree_at(
        lambda b: b.layers.net.weights, bijection, replace_fn=lambda ws: tuple(w + 0.5 for w in ws)
    )
    z = jnp.array([0.3, -1.0, 0.8])
    log_det = bijection.forward_and_log_det(z)[1]
    jacobian = jax.jacfwd(bijection.forward)(z)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(jacobian)[1], atol=1e-12)
    noisy = with_noise(bijection, jax.random.key(1))
    one, other = noisy.forward_and_log_det(z)[1], noisy.forward_and_log_det(z)[1]
    assert one == other != log_det
    assert with_noise(bijection, jax.random.key(2)).forward_and_log_det(z)[1] != one
    assert exact(noisy).forward_and_log_det(z)[1] == log_det
    assert noisy.forward(z).tolist() == bijection.forward(z).tolist()
    # Layers and points do not share their noise.
    data = noisy.layers.noise.data
    assert isinstance(data, Frozen) and len(np.unique(np.asarray(data.value), axis=0)) == 3
    layer = jax.tree.map(lambda v: v[0] if eqx.is_array(v) else v, noisy.layers)
    keys = jax.vmap(lambda at: jax.random.key_data(layer.noise.key(at)))(
        jnp.stack([z, z + 1e-15, jnp.roll(z, 1)])
    )
    assert len(np.unique(np.asarray(keys), axis=0)) == 3


def test_maps_that_are_exact_are_left_alone():
    bijection = made("exact")
    assert eqx.tree_equal(with_noise(bijection, KEY), bijection)


def test_the_error_of_a_batch_mean_averages_out():
    """With one noise for all points of a batch the spread would not shrink at all."""
    bijection = made("roulette")
    points = jax.random.normal(jax.random.key(2), (400, 3))

    @eqx.filter_jit
    def errors(key):
        noisy = with_noise(bijection, key)
        drawn = jax.vmap(noisy.forward_and_log_det)(points)[1]
        return drawn - jax.vmap(bijection.forward_and_log_det)(points)[1]

    drawn = np.stack([errors(key) for key in jax.random.split(KEY, 30)])
    assert drawn.mean(1).std() < 2 * drawn.std() / 400**0.5


@pytest.mark.parametrize(("dtype", "size"), [(jnp.float64, 1e-13), (jnp.float32, 1e-5)])
@pytest.mark.parametrize("coefficient", [0.5, 0.9, 0.99])
@pytest.mark.few(2)
def test_the_inverse_is_found_to_rounding_error(dtype, size, coefficient):
    bijection = jax.tree.map(
        lambda v: v.astype(dtype) if eqx.is_inexact_array(v) else v,
        made("exact", 3, 2, coefficient),
    )
    x = 10 * jax.random.normal(KEY, (200, 3), dtype)
    z = jax.jit(jax.vmap(bijection.inverse))(x)
    back = jax.vmap(bijection.forward)(z)
    assert z.dtype == dtype and np.abs(back - x).max() <= size * 40


@pytest.mark.parametrize(
    "options", [{"log_det": "guess"}, {"terms": 0}, {"key": None, "log_det": "roulette"}]
)
def test_what_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Residual(noisy_net(), **{"key": KEY, **options})
    with pytest.raises(ValueError, match="below 1"):
        Residual(noisy_net(coefficient=1.0))

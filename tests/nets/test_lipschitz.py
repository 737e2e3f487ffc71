"""Networks under a Lipschitz bound: the bound holds, and is not paid for where it need not be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from thalweg import flows
from thalweg.nets import ACTIVATIONS, LipschitzNet
from thalweg.nets.lipschitz import SLOPES_TO_ONE, _apply
from thalweg.nets.spectral import convolution_bound, limit_norm, spectral_bound

KEY = jax.random.key(0)


def exact_norm(weight, shape):
    """The largest singular value of the linear map that a weight is."""
    size = int(np.prod(shape))
    matrix = jax.jacfwd(lambda x: _apply(weight, x.reshape(shape)).ravel())(jnp.zeros(size))
    return float(np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)[0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 10), (20, 20)])
@pytest.mark.parametrize("size", [1e-150, 1.0, 1e150])
def test_the_bound_is_above_the_spectral_norm_and_near_it(shape, size):
    matrices = size * jax.random.normal(KEY, (5, *shape))
    norms = np.linalg.norm(matrices, 2, axis=(-2, -1))
    ratio = spectral_bound(matrices) / norms
    assert (ratio >= 1 - 1e-14).all() and (ratio <= min(shape) ** (1 / 256) + 1e-14).all()


@pytest.mark.slow
def test_the_bound_differentiates_where_singular_values_coincide_or_vanish():
    for matrix in (jnp.eye(4), jnp.zeros((3, 4)), jnp.ones((2, 3))):
        assert np.isfinite(jax.grad(spectral_bound)(matrix)).all()
    matrix = jax.random.normal(KEY, (4, 6))
    u, _, vt = np.linalg.svd(matrix)
    np.testing.assert_allclose(
        jax.grad(spectral_bound)(matrix), np.outer(u[:, 0], vt[0]), atol=0.02
    )
    assert np.array_equal(
        jax.grad(lambda w: limit_norm(w, 1.0).sum())(jnp.zeros((3, 4))), np.ones((3, 4))
    )


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 3), (5, 4)])
@pytest.mark.few(1)
def test_the_bound_of_a_convolution(kernel):
    weight = jax.random.normal(KEY, (*kernel, 3, 2))
    ratio = convolution_bound(weight, (4, 5)) / exact_norm(weight, (4, 5, 3))
    assert 1 <= ratio < 1.6


def test_convolutions_are_those_of_the_library():
    weight, x = (
        jax.random.normal(KEY, (3, 2, 4, 5)),
        jax.random.normal(jax.random.key(1), (6, 7, 4)),
    )
    layout = ("NHWC", "HWIO", "NHWC")
    other = lax.conv_general_dilated(x[None], weight, (1, 1), "SAME", dimension_numbers=layout)[0]
    np.testing.assert_allclose(_apply(weight, x), other, atol=1e-13)


def test_activations_have_slopes_of_at_most_one():
    x = jnp.linspace(-30, 30, 60_001)
    for name in SLOPES_TO_ONE:
        assert np.abs(jax.vmap(jax.grad(ACTIVATIONS[name]))(x)).max() <= 1


NETS = {
    "dense": lambda c: LipschitzNet.dense(3, (8, 8), key=KEY, coefficient=c),
    "convolutional": lambda c: LipschitzNet.convolutional((3, 2, 2), (4,), key=KEY, coefficient=c),
}


def audit(net):
    """The product of exact norms of the weights, and the steepest secant among random points."""
    ready = net.prepare()
    shapes = [(*net.shape[:-1], weight.shape[-2]) for weight in ready.weights]
    norms = [exact_norm(w, shape) for w, shape in zip(ready.weights, shapes, strict=True)]
    jacobian = jax.vmap(jax.jacfwd(lambda v: ready(v.reshape(net.shape)).ravel()))
    points = 3 * jax.random.normal(jax.random.key(2), (200, int(np.prod(net.shape))))
    slopes = np.linalg.norm(np.asarray(jacobian(points), np.float64), 2, axis=(-2, -1))
    return float(np.prod(norms)), slopes.max()


@pytest.mark.parametrize(("name", "coefficient"), [("dense", 0.9), ("convolutional", 4.0)])
@pytest.mark.slow
def test_the_lipschitz_constant_is_audited_after_training(name, coefficient):
    """Exact norms stay under the bound when training does all it can to stretch."""
    net = NETS[name](coefficient)
    arrays, static = eqx.partition(net, eqx.is_inexact_array)
    x = jax.random.normal(jax.random.key(1), (32, *net.shape))
    optimiser = optax.adam(0.05)

    def loss(arrays):
        ready = eqx.combine(arrays, static).prepare()
        return jnp.mean((jax.vmap(ready)(x) - 10 * x) ** 2)

    @jax.jit
    def step(carry, _):
        arrays, state = carry
        updates, state = optimiser.update(jax.grad(loss)(arrays), state)
        return (optax.apply_updates(arrays, updates), state), None

    start = jax.tree.map(lambda v: v + 0.1, arrays), optimiser.init(arrays)
    (trained, _), _ = lax.scan(step, start, None, 200)
    product, slope = audit(eqx.combine(trained, static))
    assert slope <= product <= coefficient * (1 + 1e-12)
    assert product > 0.6 * coefficient, "the bound costs more than it must"


@pytest.mark.parametrize("size", [1e3, 1e30])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", NETS)
@pytest.mark.few(1)
def test_the_lipschitz_constant_is_audited_at_extreme_weights(name, dtype, size):
    net = NETS[name](0.9)
    for seed in range(3):
        noisy = jax.tree.map(
            lambda v, k=seed: (
                (size * jax.random.normal(jax.random.key(k), v.shape)).astype(dtype)
                if eqx.is_inexact_array(v)
                else v
            ),
            net,
        )
        product, _ = audit(noisy)
        assert product <= 0.9 * (1 + 100 * float(jnp.finfo(dtype).eps))


def test_weights_under_the_limit_are_left_alone():
    weight = jax.random.normal(KEY, (4, 4))
    weight = 0.5 * weight / jnp.linalg.norm(weight, 2)
    assert np.array_equal(limit_norm(weight, 0.6), weight)


@pytest.mark.parametrize("options", [{"activation": "relu"}, {"coefficient": 0.0}])
def test_what_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LipschitzNet.dense(3, (4,), key=KEY, **options)
    with pytest.raises(ValueError, match="height, width, channels"):
        LipschitzNet.convolutional((3, 2), (4,), key=KEY)


def bend(net):
    """The part of a network's output that no affine map of its input explains."""
    x = jax.random.normal(jax.random.key(5), (500, 2))
    last = jax.random.normal(jax.random.key(6), net.weights[-1].shape)  # zero in a fresh network
    y = np.asarray(jax.vmap(eqx.tree_at(lambda n: n.weights[-1], net, last).prepare())(x))
    design = np.column_stack([np.ones(len(x)), x])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float((left**2).sum() / ((y - y.mean(0)) ** 2).sum())


@pytest.mark.slow
def test_w16_bounded_networks_bend_from_their_start():
    """The recipes' networks are non-linear where data are; those of swishes are lines there."""
    for name in ("residual", "continuous"):
        flow = flows.build(name, KEY, 2)
        nets = [
            node
            for node in jax.tree.leaves(flow, is_leaf=lambda n: isinstance(n, LipschitzNet))
            if isinstance(node, LipschitzNet)
        ]
        assert [net.activation for net in nets] == ["sine"]
    bends = {
        name: bend(LipschitzNet.dense(2, (64, 64), key=KEY, coefficient=0.9, activation=name))
        for name in ("lipswish", "sine")
    }
    assert bends["sine"] > 0.1 > 0.02 > bends["lipswish"]


@pytest.mark.parametrize("hidden", [(6,), (6, 5), (4, 4, 4)])
@pytest.mark.few(1)
def test_w16_divergence_is_the_trace_of_the_jacobian(hidden):
    net = LipschitzNet.dense(3, hidden, key=KEY, coefficient=4.0, activation="sine", timed=True)
    noisy = jax.tree.map(lambda v: v + 0.3 * jax.random.normal(KEY, v.shape), net).prepare()
    x, time = jnp.array([0.3, -0.7, 1.1]), jnp.asarray(0.4)
    value, divergence = noisy.with_divergence(x, time)
    np.testing.assert_allclose(value, noisy(x, time), atol=1e-14)
    exact = np.trace(jax.jacrev(lambda at: noisy(at, time))(x))
    np.testing.assert_allclose(divergence, exact, atol=1e-13)
    assert abs(exact) > 1e-2


def test_sine_in_float32_is_the_sine():
    x = np.concatenate([np.linspace(-30, 30, 5001), [-1e3, 1e3]]).astype(np.float32)
    exact = np.sin(10.0 * x.astype(float)) / 10
    sine = ACTIVATIONS["sine"]
    np.testing.assert_allclose(sine(jnp.asarray(x[:-2])), exact[:-2], atol=3e-6)
    slopes = jax.vmap(jax.grad(sine))(jnp.asarray(x[:-2]))
    np.testing.assert_allclose(slopes, np.cos(10.0 * x[:-2].astype(float)), atol=3e-5)
    assert np.abs(sine(jnp.asarray([1e9, -1e20, 1e30], jnp.float32))).max() <= 0.1 + 1e-6

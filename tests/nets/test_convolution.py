"""The convolutional conditioner: what each pixel sees."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.nets import ConvolutionalNet, Linear
from thalweg.nets.windows import gather, scatter

KEY = jax.random.key(0)


def noisy(tree):
    return jax.tree.map(
        lambda a: a + 0.3 * jax.random.normal(KEY, a.shape) if eqx.is_inexact_array(a) else a, tree
    )


@pytest.mark.parametrize("positions", [(4, 5), (2, 2), (1, 4), (3, 1), (1, 1)])
def test_both_orders_are_the_convolution(positions):
    window = tuple(3 if size > 1 else 1 for size in positions)
    layer = noisy(Linear(2 * int(np.prod(window)), 3, key=KEY))
    x = jax.random.normal(KEY, (*positions, 2))
    expected = jax.lax.conv_general_dilated(
        x[None],
        layer.weight.reshape(*window, 2, 3),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[0]
    np.testing.assert_allclose(layer.at_pixels(gather(x)), expected + layer.bias, atol=1e-13)
    np.testing.assert_allclose(scatter(x, layer), expected + layer.bias, atol=1e-13)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_a_pixel_sees_its_windows_and_no_more(hidden):
    net = noisy(ConvolutionalNet(1, 1, hidden, positions=(9, 9), key=KEY))
    jacobian = jax.jacfwd(net)(jnp.zeros((9, 9, 1)))[4, 4, 0, :, :, 0]
    seen = np.zeros((9, 9), bool)
    reach = 2 if hidden else 1
    seen[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
    assert np.array_equal(np.abs(jacobian) > 0, seen)


def test_contexts():
    """One of the image's size is further channels, one of another shape joins every pixel."""
    x = jax.random.normal(KEY, (4, 4, 2))
    image = noisy(ConvolutionalNet(2, 1, (6,), positions=(4, 4), context_shape=(4, 4, 3), key=KEY))
    by_context = jax.jacfwd(lambda c: image(x, c))(jnp.ones((4, 4, 3)))
    assert (np.abs(by_context[0, 0, 0, :3, :3]) > 0).all()
    assert not by_context[0, 0, 0, 3, 3].any()
    flat = noisy(ConvolutionalNet(2, 1, (6,), positions=(4, 4), context_size=3, key=KEY))
    by_context = jax.jacfwd(lambda c: flat(x, c))(jnp.ones(3))
    assert (np.abs(by_context) > 0).all()


def test_starts_at_zero():
    net = ConvolutionalNet(2, 3, (4, 4), positions=(3, 3), context_size=2, key=KEY)
    assert not net(jax.random.normal(KEY, (3, 3, 2)), jnp.ones(2)).any()

"""Gated convolutions: their formula, the sizes they lead through, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.nets.gated_convolution import (
    ConvolutionalDecoder,
    ConvolutionalFeatures,
    GatedConvolution,
    levels,
)

KEY = jax.random.key(0)


def by_hand(layer, x, stride):
    """Sums over the window, pixel by pixel."""
    rows, columns, _ = x.shape
    weight, bias = np.asarray(layer.weight), np.asarray(layer.bias)
    out = np.zeros((-(-rows // stride), -(-columns // stride), len(bias)))
    # With a stride the window is centred as SAME padding has it.
    pad = [max((n - 1) * stride + 5 - m, 0) // 2 for n, m in zip(out.shape, x.shape, strict=False)]
    for i, j in np.ndindex(out.shape[:2]):
        for a, b in np.ndindex(5, 5):
            row, column = i * stride + a - pad[0], j * stride + b - pad[1]
            if 0 <= row < rows and 0 <= column < columns:
                out[i, j] += x[row, column] @ weight[a, b]
    value, gate = np.split(out + bias, 2, -1)
    return value / (1 + np.exp(-gate))


@pytest.mark.parametrize(
    ("down", "shape"), [(False, (6, 5, 2)), (True, (6, 6, 2)), (True, (7, 5, 1))]
)
def test_a_gated_convolution_is_its_formula(down, shape):
    layer = GatedConvolution(shape[2], 3, key=KEY, down=down)
    layer = jax.tree.map(lambda leaf: leaf + 0.1, layer)
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(
        layer(jnp.asarray(x)), by_hand(layer, x, 2 if down else 1), atol=1e-12
    )


def test_up_doubles():
    assert GatedConvolution(2, 3, key=KEY, up=True)(jnp.ones((4, 5, 2))).shape == (8, 10, 3)


@pytest.mark.parametrize("shape", [(28, 28), (7, 10), (5, 9, 3), (1, 1)])
@pytest.mark.parametrize("channels", [(), (4,), (4, 6)])
@pytest.mark.few(2)
def test_images_of_any_size_go_in_and_come_out(shape, channels):
    size = int(np.prod(shape))
    encoder = ConvolutionalFeatures(shape, channels, 7, key=KEY)
    assert encoder(jnp.ones(size)).shape == (7,) == (encoder.outputs,)
    start = jnp.arange(2.0 * size).reshape(2, size)
    decoder = ConvolutionalDecoder(3, shape, channels, start, key=KEY)
    theta = decoder(jnp.zeros(3))
    np.testing.assert_allclose(theta, start)  # without latent variables nothing is added
    gradient = jax.jacrev(decoder)(jnp.ones(3))
    assert gradient.shape == (2, size, 3)
    assert (np.abs(gradient).max((0, 1)) > 0).all()


def test_levels_round_up():
    assert levels((28, 10, 1), 3) == [(28, 10), (14, 5), (7, 3), (4, 2)]


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"convolutions are for images .* got \(64,\)"):
        ConvolutionalFeatures((64,), (4,), 5, key=KEY)

"""Convolutions as products are those of XLA, which knows them as windows."""

import jax
import numpy as np
import pytest
from jax import lax

from thalweg.nets.windows import convolve, convolve_up

AXES = ("NHWC", "HWIO", "NHWC")
SHAPES = [(6, 5, 2), (7, 4, 1), (1, 8, 3), (2, 2, 1), (1, 1, 2)]


def drawn(shape, size):
    one, two = jax.random.split(jax.random.key(0))
    return jax.random.normal(one, shape), jax.random.normal(two, (size, size, shape[-1], 3))


def agree(ours, theirs, x, weight):
    """Values and both gradients, along a direction that is not all ones."""
    weigh = jax.random.normal(jax.random.key(1), theirs(x, weight).shape)
    np.testing.assert_allclose(ours(x, weight), theirs(x, weight), atol=1e-12)

    def gradients(formula):
        return jax.grad(lambda x, w: (formula(x, w) * weigh).sum(), (0, 1))(x, weight)

    for got, expected in zip(gradients(ours), gradients(theirs), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.few(4)
def test_convolve(shape, stride, size):
    def theirs(x, weight):
        return lax.conv_general_dilated(
            x[None], weight, (stride, stride), "SAME", dimension_numbers=AXES
        )[0]

    agree(lambda x, w: convolve(x, w, stride), theirs, *drawn(shape, size))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.few(1)
def test_convolve_up(shape):
    def theirs(x, weight):
        return lax.conv_transpose(x[None], weight, (2, 2), "SAME", dimension_numbers=AXES)[0]

    agree(convolve_up, theirs, *drawn(shape, 5))

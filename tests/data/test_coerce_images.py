"""Arrays of images, as users have them, become observations or errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.data.coerce_images import as_observations
from thalweg.data.observations import Bits, Grey, Reals

BINARY = np.array([[0, 1, 1], [1, 0, 0]])


def rows(data):
    return np.asarray(data.rows(jnp.arange(len(data)), jax.random.key(0)))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_zeros_and_ones_stay(kind):
    data = as_observations(BINARY.astype(kind), "bernoulli")
    assert isinstance(data, Bits)
    np.testing.assert_array_equal(rows(data), BINARY)


def test_grey_images_are_binarised_as_it_is_said():
    grey = np.array([[0, 100, 255]], np.uint8)
    assert as_observations(grey, "bernoulli").binarisation == "dynamic"
    assert as_observations(grey / 255, "bernoulli", "threshold").binarisation == "threshold"
    np.testing.assert_array_equal(
        rows(as_observations(grey / 255, "bernoulli", "threshold")), [[0, 0, 1]]
    )


def test_bytes_become_numbers_inside_or_on_the_ends():
    grey = np.array([[0, 100, 255]], np.uint8)
    levels = as_observations(grey, "discretised_logistic")
    assert isinstance(levels, Grey)
    np.testing.assert_allclose(rows(levels), grey / 255, rtol=1e-6)
    inside = as_observations(grey, "logit_normal")
    assert isinstance(inside, Reals)
    np.testing.assert_allclose(rows(inside), (grey + 0.5) / 256)


def test_observations_stay_as_they_are():
    data = Bits.pack(BINARY)
    assert as_observations(data, "bernoulli") is data

"""Rows come back as they were, or as they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.data.observations import Bits, Grey, Reals

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 3), (28, 28)])
def test_bits_come_back(shape):
    rows = np.random.default_rng(0).integers(0, 2, (7, *shape))
    data = Bits.pack(rows)
    assert len(data) == 7
    assert data.packed.dtype == np.uint8
    assert data.packed.shape == (7, -(-data.size // 8))
    index = jnp.array([6, 0, 6])
    np.testing.assert_array_equal(data.rows(index, KEY), rows.reshape(7, -1)[index])
    np.testing.assert_allclose(data.mean(), rows.reshape(7, -1).mean(0))


def test_dynamic_binarisation_draws_afresh_with_the_grey_level_as_its_chance():
    values = np.tile(np.array([0, 51, 204, 255], np.uint8), (20_000, 1))
    data = Grey(values, "dynamic")
    index = jnp.arange(20_000)
    one, two = (np.asarray(data.rows(index, jax.random.key(i))) for i in range(2))
    assert set(np.unique(one)) == {0.0, 1.0}
    assert (one != two).any()
    np.testing.assert_allclose(one.mean(0), [0, 0.2, 0.8, 1], atol=0.015)
    np.testing.assert_allclose(data.mean(), [0, 0.2, 0.8, 1], atol=1e-6)


def test_a_threshold_cuts_at_a_half():
    data = Grey(np.array([[0, 127, 128, 255]], np.uint8), "threshold")
    np.testing.assert_array_equal(data.rows(jnp.array([0]), KEY), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(data.mean(), [0, 0, 1, 1])


def test_grey_levels_and_reals_are_as_they_are():
    values = np.array([[[0, 51], [102, 255]]], np.uint8)
    np.testing.assert_allclose(Grey(values).rows(jnp.array([0]), KEY), [[0, 0.2, 0.4, 1]])
    reals = np.array([[[0.5, -2.0]]])
    np.testing.assert_allclose(Reals(reals).rows(jnp.array([0]), KEY), [[0.5, -2.0]])
    assert Reals(reals).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bits.pack(np.array([[0, 2]])), "0 and 1 only"),
        (lambda: Bits(np.zeros((3, 2), np.uint8), (28, 28)), "98 bytes each"),
        (lambda: Bits(np.zeros((3, 98), np.int32), (28, 28)), "int32"),
        (lambda: Grey(np.zeros((3, 4))), "bytes"),
        (lambda: Grey(np.zeros((3, 4), np.uint8), "static"), "unknown binarisation 'static'"),
        (lambda: Reals(np.zeros(3)), "shape"),
    ],
)
def test_what_is_no_table_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()

"""Rows come back as they were, or as they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.data.observations import EDGE, Bits, Grey, Patches, Reals

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 3), (28, 28)])
@pytest.mark.few(2)
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


def test_patches_are_cut_anywhere_within_their_image():
    rows, columns, channels = np.meshgrid(range(5), range(7), range(3), indexing="ij")
    image = (100 * channels + 10 * rows + columns).astype(np.uint8)
    data = Patches(np.stack([image, 255 - image]), 3)
    assert (len(data), data.shape, data.size) == (2, (3, 3, 3), 27)
    index = jnp.tile(jnp.arange(2), 500)
    drawn = np.asarray(data.rows(index, KEY)).reshape(-1, 3, 3, 3)
    found = np.round(255 * (drawn - EDGE) / (1 - 2 * EDGE)).astype(int)
    found[1::2] = 255 - found[1::2]
    corners = found[:, 0, 0, 0]
    for patch, corner in zip(found, corners, strict=True):
        np.testing.assert_array_equal(patch - corner, image[:3, :3])
    places = {10 * row + column for row in range(3) for column in range(5)}
    assert set(corners) == places  # every place, and none beyond the edges
    assert ((drawn > 0) & (drawn < 1)).all()
    assert not np.array_equal(drawn, data.rows(index, jax.random.key(1)).reshape(drawn.shape))
    middle = Patches(np.full((2, 4, 4, 3), 51, np.uint8), 2)
    np.testing.assert_allclose(middle.mean(), middle.rows(jnp.array([1]), KEY)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bits.pack(np.array([[0, 2]])), "0 and 1 only"),
        (lambda: Bits(np.zeros((3, 2), np.uint8), (28, 28)), "98 bytes each"),
        (lambda: Bits(np.zeros((3, 98), np.int32), (28, 28)), "int32"),
        (lambda: Grey(np.zeros((3, 4))), "bytes"),
        (lambda: Grey(np.zeros((3, 4), np.uint8), "static"), "unknown binarisation 'static'"),
        (lambda: Reals(np.zeros(3)), "shape"),
        (lambda: Patches(np.zeros((3, 8, 8), np.uint8), 4), "(h, w, channels)"),
        (lambda: Patches(np.zeros((3, 8, 8, 1), np.uint8), 9), "patch of 9 pixels"),
    ],
)
def test_arrays_of_other_shapes_and_types_are_refused(make, says, unchecked_shapes):
    with pytest.raises(ValueError, match=says):
        make()


def test_vectors_have_a_spread_for_each_number_and_images_one_in_common():
    values = np.random.default_rng(0).normal(size=(500, 6)) * np.arange(6)
    np.testing.assert_allclose(Reals(values).spread(), [1, *values.std(0)[1:]], rtol=1e-6)
    images = Reals(values.reshape(500, 2, 3)).spread()
    np.testing.assert_allclose(images, np.sqrt(values.var(0).mean()), rtol=1e-6)

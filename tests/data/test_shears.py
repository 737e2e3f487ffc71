"""Slanted images: whole pixels move, lines by what the slant says, and never by more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.data.shears import MOVE, SLANT, sheared

SHAPE = (9, 12)


def drawn(image, chance=1.0, count=200, shape=SHAPE):
    x = jnp.broadcast_to(jnp.ravel(jnp.asarray(image, float)), (count, np.size(image)))
    return np.asarray(sheared(x, shape, chance, jax.random.key(0))).reshape(count, *shape)


def test_values_are_kept_and_none_is_mixed():
    image = np.random.default_rng(0).integers(0, 2, SHAPE)
    assert set(np.unique(drawn(image))) == {0.0, 1.0}
    everywhere = np.full(SHAPE, 0.3)
    np.testing.assert_array_equal(drawn(everywhere), np.broadcast_to(everywhere, (200, *SHAPE)))


def test_a_column_becomes_a_slanted_line():
    image = np.zeros(SHAPE)
    image[:, 6] = 1
    found = drawn(image)
    lit = found[:, 0].any(1) & found[:, -1].any(1)  # the second shear can take an end away
    where = found[lit].argmax(2)
    reach = SLANT * (SHAPE[0] - 1) / 2
    assert np.abs(where[:, [0, -1]] - 6).max() <= np.ceil(reach + MOVE)
    slants = np.abs(where[:, -1] - where[:, 0])
    assert slants.max() == round(2 * reach)
    assert 0 < slants.mean() < slants.max()


def test_a_pixel_moves_both_ways():
    image = np.zeros(SHAPE)
    image[4, 6] = 1
    found = drawn(image)
    # The middle line and, nearly, the middle column move by at most MOVE and half a slant more.
    rows, columns = np.nonzero(found.any(0))
    assert rows.min() == 3 and rows.max() == 5 and columns.min() == 5 and columns.max() == 7


@pytest.mark.parametrize(("chance", "least", "most"), [(0.0, 0, 0), (0.5, 0.3, 0.5), (1.0, 0.7, 1)])
def test_as_many_are_moved_as_the_probability_says(chance, least, most):
    image = np.random.default_rng(0).integers(0, 2, SHAPE)
    moved = (drawn(image, chance) != image).any((1, 2)).mean()
    assert least <= moved <= most


def test_colours_move_together():
    image = np.random.default_rng(0).uniform(size=(6, 5, 3))
    found = drawn(image, shape=(6, 5, 3))
    known = {tuple(pixel) for pixel in image.reshape(-1, 3).astype(found.dtype)}
    assert {tuple(pixel) for pixel in found.reshape(-1, 3)} <= known

"""Toy data: standardised, seeded, and where they should be."""

import numpy as np
import pytest

from thalweg.data import TOYS, toy


@pytest.mark.parametrize("name", TOYS)
def test_draws_are_centred_and_about_unit_size(name):
    points = toy(name, 50_000)
    assert points.shape == (50_000, 2)
    np.testing.assert_allclose(points.mean(0), 0, atol=0.12)
    assert 0.85 < points.std() < 1.2
    np.testing.assert_array_equal(points[:10], toy(name, 50_000)[:10])
    assert not np.array_equal(points, toy(name, 50_000, seed=1))


def test_circles_have_the_noise_and_the_radii_that_they_state():
    points = toy("circles", 200_000)
    np.testing.assert_allclose(points.std(0), 1, atol=0.01)
    radius = np.hypot(*points.T) * np.sqrt(0.5 * (1 + 0.25) / 2 + 0.05**2)
    outer = radius > 0.75
    np.testing.assert_allclose(outer.mean(), 0.5, atol=0.01)
    np.testing.assert_allclose(radius[outer].std(), 0.05, rtol=0.02)


def test_a_checkerboard_has_empty_squares():
    cells = np.floor(toy("checkerboard", 10_000)).astype(int)
    assert set((cells.sum(1) % 2).tolist()) == {0}


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="unknown data set 'moons'; known: checkerboard"):
        toy("moons", 3)
    with pytest.raises(ValueError, match="negative"):
        toy("circles", -1)
    assert toy("circles", 0).shape == (0, 2)

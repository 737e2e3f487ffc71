"""Lattices: in the cube, even, and with the moments of a standard normal."""

import numpy as np
import pytest

from thalweg.inference.fitting.lattice import lattice, lattice_noise


@pytest.mark.parametrize(("dim", "draws"), [(1, 64), (2, 256), (7, 2048), (16, 512), (3, 100)])
def test_points_fill_each_coordinate_evenly(dim, draws):
    points = lattice(np.random.default_rng(0), dim, draws)
    assert points.shape == (draws, dim)
    assert points.min() >= 0
    assert points.max() < 1
    # One point in each of as many equal parts, up to the shift.
    gaps = np.diff(np.sort(points, axis=0), axis=0)
    np.testing.assert_allclose(gaps, 1 / draws, atol=1e-9)


def test_integrals_of_smooth_functions_are_nearer_than_by_random_draws():
    rng = np.random.default_rng(0)

    def error(u):
        return abs(np.prod(1 + 0.5 * np.sin(2 * np.pi * u), axis=1).mean() - 1)

    even = np.mean([error(lattice(rng, 4, 512)) for _ in range(10)])
    random = np.mean([error(rng.random((512, 4))) for _ in range(10)])
    assert even < 0.05 * random


@pytest.mark.parametrize("dim", [1, 5, 16])
def test_noise_has_the_first_two_moments_of_a_standard_normal(dim):
    z = lattice_noise(np.random.default_rng(1), dim, 512)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(z.T @ z / 512, np.eye(dim), atol=1e-9)
    np.testing.assert_allclose((z**4).mean(0), 3, atol=0.6)

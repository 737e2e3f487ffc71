"""Two-dimensional toy data sets, of about mean 0 and unit size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "rows 2"]
Draw = Callable[[np.random.Generator, int], Points]


def two_moons(rng: np.random.Generator, rows: int) -> Points:
    """Two interleaving half circles with normal noise of 0.08."""
    angle = np.pi * rng.random(rows)
    lower = rng.random(rows) < 0.5
    x, y = np.where(lower, 1 - np.cos(angle), np.cos(angle)), np.sin(angle)
    points = np.stack([x - 0.5, np.where(lower, 0.5 - y, y) - 0.25], 1)
    return (points + 0.08 * rng.normal(size=points.shape)) / 0.68


def circles(rng: np.random.Generator, rows: int) -> Points:
    """Circles of radius 1 and 0.5, each with half of the points; noise 0.05; then standardised."""
    angle = 2 * np.pi * rng.random(rows)
    radius = np.where(rng.random(rows) < 0.5, 1.0, 0.5)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    # The variance of a coordinate: half the mean square radius, and the noise's.
    scale = np.sqrt(0.5 * (1 + 0.25) / 2 + 0.05**2)
    return (points + 0.05 * rng.normal(size=points.shape)) / scale


def checkerboard(rng: np.random.Generator, rows: int) -> Points:
    """Uniform on the dark squares of a board of 4 × 4 over [-2, 2]²."""
    column = rng.integers(0, 4, rows)
    row = 2 * rng.integers(0, 2, rows) + column % 2
    return np.stack([column, row], 1) + rng.random((rows, 2)) - 2.0


def pinwheel(rng: np.random.Generator, rows: int) -> Points:
    """Five blades that bend with the distance from the centre (Johnson et al. 2016)."""
    blade = 2 * np.pi * rng.integers(0, 5, rows) / 5
    out = 1 + 0.3 * rng.normal(size=rows)
    across = 0.1 * rng.normal(size=rows)
    turn = blade + 0.25 * np.exp(out)
    cos, sin = np.cos(turn), np.sin(turn)
    points = np.stack([out * cos - across * sin, out * sin + across * cos], 1)
    return points / 0.74


def eight_gaussians(rng: np.random.Generator, rows: int) -> Points:
    """Normals of standard deviation 0.2 on a circle of radius √2."""
    angle = 2 * np.pi * rng.integers(0, 8, rows) / 8
    centres = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1)
    return centres + 0.2 * rng.normal(size=(rows, 2))


def spirals(rng: np.random.Generator, rows: int) -> Points:
    """Two arms of one and a half turns, noise 0.1 of a turn's distance."""
    angle = 3 * np.pi * np.sqrt(rng.random(rows))
    arm = np.where(rng.random(rows) < 0.5, 1.0, -1.0)
    points = (arm * angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) / (3 * np.pi)
    return (points + 0.03 * rng.normal(size=points.shape)) / 0.5


TOYS: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (two_moons, circles, checkerboard, pinwheel, eight_gaussians, spirals)
}


def toy(name: str, rows: int, seed: int = 0) -> Points:
    """Draw points of a data set in the plane by name, the same for the same seed.

    Args:
        name: A name of `TOYS`.
        rows: How many points.
        seed: The seed of the draws.

    Returns:
        Points (rows, 2), of about mean 0 and unit size.

    Raises:
        ValueError: The name is unknown, or `rows` is negative.

    Example:
        >>> import thalweg as tw
        >>> tw.data.toy("two_moons", 100).shape
        (100, 2)
    """
    if name not in TOYS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(sorted(TOYS))}")
    if rows < 0:
        raise ValueError(f"rows must not be negative, got {rows}")
    return TOYS[name](np.random.default_rng(seed), rows)

"""Data augmentation: small shears and shifts of images by whole pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_real_number

SLANT, MOVE = 0.25, 1.0  # at most: pixels from line to line, and of all lines


def sheared(
    x: Float[Array, "rows n"],
    shape: tuple[int, ...],
    chance: Float[Array, ""] | float,
    key: PRNGKeyArray,
) -> Float[Array, "rows n"]:
    """Shear and shift flat images (h, w) or (h, w, channels), each with this probability.

    Line i moves by round(s (i − c) + t) pixels, c the middle line, s uniform in ± `SLANT` and t in
    ± `MOVE`; then the columns do. Two shears are nearly a rotation. Pixels move by whole steps and
    are not mixed with their neighbours, so that binary images stay binary; at the edges the last
    pixel is repeated.
    """
    rows, (height, width) = len(x), shape[:2]
    choose, *draws = jax.random.split(key, 5)
    chosen = (jax.random.uniform(choose, (rows, 1)) < chance).astype(x.dtype)

    def moves(lines: int, slant: Array, move: Array) -> Array:
        """Return by how many pixels each line of each image moves."""
        s = jax.random.uniform(slant, (rows, 1), x.dtype, -SLANT, SLANT)
        t = jax.random.uniform(move, (rows, 1), x.dtype, -MOVE, MOVE)
        middle = jnp.arange(lines) - (lines - 1) / 2
        return jnp.round(chosen * (s * middle + t)).astype(int)

    across = (jnp.arange(width) + moves(height, *draws[:2])[:, :, None]).clip(0, width - 1)
    down = (jnp.arange(height)[:, None] + moves(width, *draws[2:])[:, None, :]).clip(0, height - 1)
    image = x.reshape(rows, height, width, -1)
    image = jnp.take_along_axis(image, across[..., None], 2)
    return jnp.take_along_axis(image, down[..., None], 1).reshape(x.shape)


def check_augment(augment: float, until: float, shape: tuple[int, ...]) -> None:
    """Raise `ValueError` unless such a fraction of rows of this shape can be sheared so long."""
    check_real_number("augment", augment, least=0, most=1)
    if augment and len(shape) not in (2, 3):
        raise ValueError(f"augment is for images (h, w) or (h, w, c), got rows {shape}")
    if not until > 0:
        raise ValueError(f"until must be positive, got {until}")

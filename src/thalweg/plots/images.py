"""Figures of images in rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num

from thalweg.plots.style import LIGHT, Palette, colour_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tile_images(
    images: Num[np.ndarray, n * shape], columns: int
) -> Num[np.ndarray, "rows_of_pixels columns_of_pixels *channels"]:
    """Join images (n, h, w) or (n, h, w, c) into one, row by row, NaN between and after them.

    Arrays (n, k) become lines of k pixels.
    """
    images = np.asarray(images, np.float64)
    if images.ndim == 2:
        images = images[:, None, :]
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    whole = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *images.shape[3:]), np.nan)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        whole[top : top + height, left : left + width] = image
    return whole


def draw_images(
    axes: Axes, images: Num[np.ndarray, n * shape], columns: int, *, palette: Palette = LIGHT
) -> None:
    """Draw images with values from 0 to 1, in colour where their last axis has three channels."""
    whole = tile_images(images, columns)
    axes.set_axis_off()
    if whole.ndim == 3 and whole.shape[2] == 3:
        axes.imshow(np.nan_to_num(np.clip(whole, 0, 1), nan=1.0), interpolation="none")
        return
    whole = whole.mean(2) if whole.ndim == 3 else whole
    for group, colours in palette.maps:
        cmap = colour_map(colours)
        image = axes.imshow(whole, cmap=cmap, vmin=0.0, vmax=1.0, interpolation="none")
        if group:
            image.set_gid(group)

"""Arrays of images, checked and converted to observations."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.data.observations import BINARISATIONS, Bits, Grey, Observations, Reals

NOT_BINARY = "a Bernoulli likelihood needs zeros and ones: choose a binarisation"


def as_observations(images: Any, likelihood: str, binarisation: str | None = None) -> Observations:
    """Return observations for a likelihood, from an array of images or from observations.

    Args:
        images: An array (rows, *shape), or observations, which stay.
        likelihood: For "bernoulli", zeros and ones stay, and bytes and numbers in [0, 1] are
            binarised (numbers to 1/255). For the others bytes become numbers in [0, 1], and numbers
            stay; "discretised_logistic" needs them in [0, 1], "logit_normal" strictly inside.
        binarisation: "dynamic", "threshold" or "none", for "bernoulli"; "dynamic" where it is None.
            It is not used for zeros and ones.

    Returns:
        `Bits`, `Grey` or `Reals`.

    Raises:
        ValueError: The images are no numbers, not finite, out of range or not as the likelihood
            needs them.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> type(tw.data.as_observations(np.eye(4), "bernoulli")).__name__
        'Bits'
    """
    if isinstance(images, Observations):
        if likelihood == "bernoulli" and not images.binary:
            raise ValueError(NOT_BINARY)
        return images
    if binarisation is not None and binarisation not in BINARISATIONS:
        known = ", ".join(BINARISATIONS)
        raise ValueError(f"unknown binarisation {binarisation!r}; known: {known}")
    values = np.asarray(images)
    if values.ndim < 2 or not values.size:
        raise ValueError(f"images come as an array (rows, …), got shape {values.shape}")
    if values.dtype != bool and not np.issubdtype(values.dtype, np.number):
        raise ValueError(f"images are arrays of numbers, got {values.dtype}")
    if np.iscomplexobj(values):
        raise ValueError("images are arrays of real numbers, got complex ones")
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values.reshape(len(values), -1)).all(1))[0, 0])
        raise ValueError(f"image {row} holds values that are not finite")
    least, most = float(values.min()), float(values.max())
    grey = values.dtype == np.uint8 and most > 1
    if likelihood == "bernoulli":
        if not grey and np.isin(values, (0, 1)).all():
            return Bits.pack(values)
        if not grey:
            _check_range(least, most)
            values = np.round(255 * values).astype(np.uint8)
        kind = "dynamic" if binarisation is None else binarisation
        if kind == "none":
            raise ValueError(NOT_BINARY)
        return Grey(values, kind)
    if binarisation not in (None, "none"):
        raise ValueError(f"a {likelihood} likelihood takes images that are not binarised")
    if grey and likelihood != "logit_normal":
        return Grey(values)
    if grey:
        # Inside the ends, where the logit is infinite.
        return Reals((values + 0.5) / 256)
    if likelihood == "discretised_logistic":
        _check_range(least, most)
    if likelihood == "logit_normal" and not (least > 0 and most < 1):
        raise ValueError(
            f"a logit-normal likelihood needs values strictly between 0 and 1, got {least:g} to "
            f"{most:g}"
        )
    return Reals(values)


def _check_range(least: float, most: float) -> None:
    if least < 0 or most > 1:
        raise ValueError(
            f"pixels must lie in [0, 1] or be bytes, got values from {least:g} to {most:g}"
        )

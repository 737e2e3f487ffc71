"""Inverse-CDF maps from data, one coordinate at a time, without a parametric family."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Real
from scipy.special import ndtri

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Event, LogDet, Shape
from thalweg.tree import Frozen, default_float


class EmpiricalInverseCDF(Bijection):
    """x_i = F̂_i⁻¹(Φ(z_i)): maps standard normal coordinates to the marginals of a sample.

    F̂_i⁻¹ ∘ Φ is piecewise linear through `knots` quantiles of column i of the sample,
    evenly spread in probability, and is extended linearly; ln|det| is the
    sum of the logarithms of its slopes. Fixed.

    Args:
        sample: of shape (rows, d), finite.
        knots: how many quantiles of each column.

    Raises:
        ValueError: for fewer than two rows or knots, for values that are not finite, and for
            columns in which quantiles tie (a column of integers has no density).

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> import thalweg as tw
        >>> marginals = tw.bijections.EmpiricalInverseCDF(np.linspace([0.0], [1.0], 101), knots=16)
        >>> round(float(marginals.forward(jnp.zeros(1))[0]), 4)  # the median
        0.5
    """

    z: Frozen
    x: Frozen
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, sample: Real[ArrayLike, "rows d"], knots: int = 128):
        sample = np.asarray(sample, np.float64)
        if sample.ndim != 2 or len(sample) < 2 or knots < 2:
            raise ValueError(
                f"a sample (rows, d) of two rows or more and two knots or more are needed, got "
                f"shape {sample.shape} and {knots} knots"
            )
        if not np.all(np.isfinite(sample)):
            raise ValueError("the sample holds values that are not finite")
        levels = (np.arange(knots) + 0.5) / knots
        values = np.quantile(sample, levels, axis=0, method="hazen")
        flat = np.flatnonzero(np.any(np.diff(values, axis=0) <= 0, axis=0))
        if flat.size:
            raise ValueError(
                f"column {flat[0]} of the sample has equal quantiles: it has no density, or fewer "
                "knots are needed"
            )
        self.z = Frozen(jnp.asarray(ndtri(levels), default_float()))
        self.x = Frozen(jnp.asarray(values.T, default_float()))
        self.shape, self.context_shape = (sample.shape[1],), None

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        x, slopes = jax.vmap(_interpolated, in_axes=(None, 0, 0))(self.z(), self.x(), z)
        return x, jnp.sum(jnp.log(slopes))

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        z, slopes = jax.vmap(_interpolated, in_axes=(0, None, 0))(self.x(), self.z(), x)
        return z, jnp.sum(jnp.log(slopes))


def _interpolated(at: Array, values: Array, point: Array) -> tuple[Array, Array]:
    """Interpolate linearly through (at, values); return the value and the slope."""
    piece = jnp.clip(jnp.searchsorted(at, point), 1, at.size - 1)
    slope = (values[piece] - values[piece - 1]) / (at[piece] - at[piece - 1])
    return values[piece - 1] + slope * (point - at[piece - 1]), slope

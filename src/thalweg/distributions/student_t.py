"""Student's t: the base for heavy tails."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Shape,
    Vectors,
    as_events,
    draw_shape,
)
from thalweg.tree import default_float

SHIFT = 8  # s


class StudentT(Distribution):
    """Independent Student-t coordinates with trainable degrees of freedom ν = 1 + e^η > 1.

    ln q(x) = Σ ln Γ((ν+1)/2) − ln Γ(ν/2) − ½ ln(πν) − (ν+1)/2 ln(1 + x²/ν). Gradients flow through
    the draws, degrees of freedom included.

    Args:
        df: ν, (d,), or one number for all coordinates.
        dim: d, where `df` is a number.

    Raises:
        ValueError: df is no vector of numbers above 1.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> print(f"{tw.distributions.StudentT(3.0, dim=2).log_prob(jnp.zeros(2)):.3f}")
        -2.002
    """

    log_excess: Float[Array, " d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, df: Real[ArrayLike, "*#d"], dim: int | None = None):
        df = np.asarray(df, np.float64)  # on the host: nothing is compiled
        if dim is not None:
            df = np.broadcast_to(df, (dim,))
        if df.ndim != 1 or not np.all(df > 1):
            raise ValueError(f"a Student-t base needs a vector of df > 1, got {df}")
        self.log_excess = jnp.asarray(np.log(df - 1), default_float())
        self.shape, self.context_shape = df.shape, None

    @property
    def df(self) -> Float[Array, " d"]:
        """Degrees of freedom."""
        return 1 + jnp.exp(self.log_excess)

    def log_prob(self, x: Vectors, context: Context = None) -> LogProb:
        x, _ = as_events(x, self.shape, self.log_excess.dtype)
        df = self.df
        constant = log_gamma_ratio(df / 2) - 0.5 * jnp.log(jnp.pi * df)
        return jnp.sum(constant - (df + 1) / 2 * jnp.log1p(x**2 / df), -1)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        return jax.random.t(key, self.df, (*draw_shape(shape), *self.shape), self.log_excess.dtype)


def log_gamma_ratio(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return ln Γ(a + ½) − ln Γ(a) for a ≥ ½, without the rounding of a large difference.

    The series ln Γ(b + ½) − ln Γ(b) = ½ ln b − 1/(8b) + 1/(192b³) − 1/(640b⁵) + … at b = a + s
    (Tricomi & Erdélyi 1951), less Σ ln(1 + ½/(a + k)) over k < s. It and its derivative compile in
    a fraction of the time of ln Γ and its own.
    """
    below = jnp.log1p(0.5 / (a[..., None] + jnp.arange(SHIFT, dtype=a.dtype)))
    b = a + SHIFT
    inverse = 1 / b
    square = inverse * inverse
    series = (-1 / 8 + (1 / 192 - (1 / 640 - 17 / 14336 * square) * square) * square) * inverse
    return 0.5 * jnp.log(b) + series - jnp.sum(below, -1)

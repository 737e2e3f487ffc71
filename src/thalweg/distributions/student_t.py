"""Student's t: the base for heavy tails."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
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
        df = jnp.asarray(df, default_float())
        if dim is not None:
            df = jnp.broadcast_to(df, (dim,))
        if df.ndim != 1 or not bool(jnp.all(df > 1)):
            raise ValueError(f"a Student-t base needs a vector of df > 1, got {df}")
        self.log_excess = jnp.log(df - 1)
        self.shape, self.context_shape = df.shape, None

    @property
    def df(self) -> Float[Array, " d"]:
        """Degrees of freedom."""
        return 1 + jnp.exp(self.log_excess)

    def log_prob(self, x: Vectors, context: Context = None) -> LogProb:
        x, _ = as_events(x, self.shape, self.log_excess.dtype)
        df = self.df
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(jnp.pi * df)
        return jnp.sum(constant - (df + 1) / 2 * jnp.log1p(x**2 / df), -1)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        return jax.random.t(key, self.df, (*draw_shape(shape), *self.shape), self.log_excess.dtype)

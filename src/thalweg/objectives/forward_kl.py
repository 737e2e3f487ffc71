"""Forward KL: a density from data, by maximum likelihood."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.estimated import with_noise
from thalweg.distributions import Flow
from thalweg.objectives.objective import Estimate, Objective, Shared


class ForwardKL(Objective):
    """The negative log likelihood −mean ln q(x) of data, which is KL(p ‖ q) + the entropy of p.

    `data` (rows, *event) and, for conditional flows, `context` (rows, *context) stay on the
    device; each step draws `batch_size` rows of them with replacement, or takes all of them where
    `batch_size` is None. Nats a row. Raises `ValueError` for data without rows, contexts of
    another length, a batch that is not positive and a noise that is negative or not finite.

    `noise` is the standard deviation, in the units of the data, of normal noise drawn afresh for
    every row at every step, which keeps a flexible flow from learning single rows (Rothfuss et
    al. 2019); what is learned is the density blurred by as much. Values are of blurred rows then.
    """

    data: Shared
    batch_size: int | None = eqx.field(static=True)
    noise: float = eqx.field(static=True)

    def __init__(
        self,
        data: Float[Array, rows * event],
        batch_size: int | None = None,
        context: Float[Array, rows * context] | None = None,
        noise: float = 0.0,
    ):
        rows = len(data)
        if not rows:
            raise ValueError("there are no data to learn from: the table has no rows")
        if context is not None and len(context) != rows:
            raise ValueError(f"{rows} rows of data need as many contexts, got {len(context)}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise must be a number that is not negative, got {noise}")
        self.data = Shared((jnp.asarray(data), None if context is None else jnp.asarray(context)))
        self.batch_size, self.noise = batch_size, float(noise)

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        x, context = self.data.value
        if self.batch_size is not None:
            rows = jax.random.randint(key, (self.batch_size,), 0, x.shape[0])
            x, context = jax.tree.map(lambda leaf: leaf[rows], (x, context))
        if self.noise:
            draws = jax.random.normal(jax.random.fold_in(key, 2), x.shape, x.dtype)
            x = x + self.noise * draws
        model = with_noise(model, jax.random.fold_in(key, 1))
        value = -jnp.mean(model.log_prob(x, context))
        return Estimate(value, value)

    def settled(self, step: Array) -> Array:
        return jnp.asarray(True)

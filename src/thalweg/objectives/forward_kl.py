"""Forward KL: a density from data, by maximum likelihood."""

from __future__ import annotations

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
    another length, and a batch that is not positive.
    """

    data: Shared
    batch_size: int | None = eqx.field(static=True)

    def __init__(
        self,
        data: Float[Array, rows * event],
        batch_size: int | None = None,
        context: Float[Array, rows * context] | None = None,
    ):
        rows = len(data)
        if not rows:
            raise ValueError("there are no data to learn from: the table has no rows")
        if context is not None and len(context) != rows:
            raise ValueError(f"{rows} rows of data need as many contexts, got {len(context)}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        self.data = Shared((jnp.asarray(data), None if context is None else jnp.asarray(context)))
        self.batch_size = batch_size

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        x, context = self.data.value
        if self.batch_size is not None:
            rows = jax.random.randint(key, (self.batch_size,), 0, x.shape[0])
            x, context = jax.tree.map(lambda leaf: leaf[rows], (x, context))
        model = with_noise(model, jax.random.fold_in(key, 1))
        value = -jnp.mean(model.log_prob(x, context))
        return Estimate(value, value)

    def settled(self, step: Array) -> Array:
        return jnp.asarray(True)

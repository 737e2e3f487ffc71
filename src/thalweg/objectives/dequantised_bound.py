"""The dequantisation bound: probabilities of integers, by maximum likelihood."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, Real

from thalweg.argument_checks import check_whole_number
from thalweg.distributions import Dequantised
from thalweg.objectives.objective import Estimate, Objective, Shared

TOGETHER = 100  # held-out rows evaluated at once: networks on images take much memory


class DequantisedBound(Objective):
    """−E[ln p((x + u)/L) − ln q(u | x)] + D ln L ≥ −ln P(x) of rows of integers, in nats a row.

    The bound of a `Dequantised` model (Theis et al. 2016; Ho et al. 2019), by which its density and
    its noise learn together. Each step draws rows with replacement and one u for each.

    Args:
        data: integers (rows, *event), which stay on the device as they are, bytes as bytes.
        batch_size: rows of a step.
        held_out: validation rows; a fit keeps the parameters that do best on them.

    Raises:
        ValueError: the table has no rows, or the batch is no positive whole number.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> unit = tw.distributions.Uniform(jnp.zeros(2), jnp.ones(2))
        >>> bound = tw.objectives.DequantisedBound(jnp.zeros((9, 2), int), batch_size=4)
        >>> bytes_ = tw.distributions.Dequantised(unit)
        >>> print(f"{bound(bytes_, jax.random.key(0), jnp.array(0)).value:.2f}")  # 2 ln 256
        11.09
    """

    unit: ClassVar[str] = "nats a row"

    data: Shared
    validation: Shared | None
    batch_size: int = eqx.field(static=True)

    def __init__(
        self,
        data: Real[ArrayLike, "rows ..."],
        batch_size: int = 100,
        *,
        held_out: Real[ArrayLike, "held_out ..."] | None = None,
    ):
        data = jnp.asarray(data)
        if not len(data):
            raise ValueError("there are no rows to learn from")
        batch_size = check_whole_number("batch_size", batch_size)
        some = held_out is not None and jnp.shape(held_out)[0] > 0
        self.data, self.validation = Shared(data), Shared(jnp.asarray(held_out)) if some else None
        self.batch_size = batch_size

    @property
    def title(self) -> str:
        return "NLL bound"

    def __call__(self, model: Dequantised, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        pick, noise = jax.random.split(key)
        index = jax.random.randint(pick, (self.batch_size,), 0, len(self.data.value))
        value = -jnp.mean(model.log_prob_bound(noise, self.data.value[index]))
        return Estimate(value, value)

    def held_out(self, model: Dequantised, key: PRNGKeyArray) -> Float[Array, " held_out"] | None:
        if self.validation is None:
            return None
        rows = self.validation.value
        pairs = jax.random.split(key, len(rows)), rows
        bounds = jax.lax.map(lambda pair: model.log_prob_bound(*pair), pairs, batch_size=TOGETHER)
        return -jnp.asarray(bounds)

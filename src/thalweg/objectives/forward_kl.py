"""Forward KL: densities from data, by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, Real, Shaped

from thalweg.argument_checks import check_whole_number
from thalweg.bijections.estimated import in_training, with_noise
from thalweg.data.observations import Observations
from thalweg.data.shears import check_augment, sheared
from thalweg.distributions import Distribution, shuffled
from thalweg.distributions.distribution import Shape
from thalweg.nets.masks_by_degrees import check_reach
from thalweg.objectives.objective import Estimate, Objective, Shared
from thalweg.tree import default_float

Rows = Shaped[ArrayLike, "rows ..."] | Observations
Table = tuple[Any, Array | None]  # rows and their contexts


class ForwardKL(Objective):
    """The negative log likelihood −mean ln q(x) of data, which is KL(p ‖ q) + the entropy of p.

    In nats a row. Each step draws rows with replacement, or takes all of them. With several `masks`
    the steps cycle through `shuffled(model, mask_key(i))` and average over them (Germain et al.
    2015); held-out rows are evaluated under the first.

    Args:
        data: (rows, *event), or observations, whose rows are made when they are drawn; on the
            device throughout.
        batch_size: rows of a step; all of them by default.
        context: (rows, *context), for conditional densities.
        noise: standard deviations of normal noise drawn afresh for every row at every step, which
            keeps a flexible flow from overfitting single rows (Rothfuss et al. 2019); the density
            is then that of the blurred data. Several numbers are one for each restart.
        jitter: (k, d) dequantises a table of vectors: u @ jitter, u uniform in [0, 1)^k, is added
            to every row afresh at every step, to held-out rows always the same (Theis et al. 2016).
        held_out: validation rows; a fit keeps the parameters that do best on them.
        held_out_context: their contexts.
        masks: the number of masks of an autoregressive model.
        reorder: whether masks have other orders too.
        reach: how far masks are from each other; see `shuffled`.
        augment: the fraction of rows, images, that are sheared and shifted at step 0
            (`thalweg.data.shears`); it falls linearly to none at step `until`.
        until: that step; inf keeps the fraction as it is.
        per_restart: whether each restart has its own rows: `data`, `held_out`, their contexts and
            `jitter` then lead with the restart axis.

    Raises:
        ValueError: there are no rows, contexts are of another length, or an option is out of range.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> objective = tw.objectives.ForwardKL(jnp.zeros((10, 2)))
        >>> normal = tw.distributions.StandardNormal((2,))
        >>> print(f"{objective(normal, jax.random.key(0), jnp.array(0)).value:.3f}")
        1.838
    """

    unit: ClassVar[str] = "nats a row"

    data: Table | Shared
    validation: Table | Shared | None
    batch_size: int | None = eqx.field(static=True)
    noise: Shared | Float[Array, " restarts"] | None
    jitter: Array | Shared | None
    masks: int | None = eqx.field(static=True)
    reorder: bool = eqx.field(static=True)
    reach: float | None = eqx.field(static=True)
    augment: float = eqx.field(static=True)
    until: Shared

    def __init__(
        self,
        data: Rows,
        batch_size: int | None = None,
        context: Real[ArrayLike, "rows ..."] | None = None,
        noise: Real[ArrayLike, "*#restarts"] | Sequence[float] = 0.0,
        *,
        jitter: Float[ArrayLike, "*restarts k d"] | None = None,
        held_out: Shaped[ArrayLike, "held_out ..."] | Observations | None = None,
        held_out_context: Real[ArrayLike, "held_out ..."] | None = None,
        masks: int | None = None,
        reorder: bool = True,
        reach: float | None = None,
        augment: float = 0.0,
        until: float = math.inf,
        per_restart: bool = False,
    ):
        if batch_size is not None:
            batch_size = check_whole_number("batch_size", batch_size)
        levels = np.asarray(noise, float)
        if levels.ndim > 1 or not np.all((levels >= 0) & (levels < math.inf)):
            raise ValueError(f"noise must be numbers that are not negative, got {noise}")
        if masks is not None:
            masks = check_whole_number("masks", masks)
        # Rows in a plain table have no image shape: they are not known to be images.
        check_augment(augment, until, data.shape if isinstance(data, Observations) else ())
        wrap: Callable[[Any], Any] = (lambda value: value) if per_restart else Shared
        table = _table(data, context)
        if not len(table[0]):
            raise ValueError("there are no data to learn from: the table has no rows")
        self.data = wrap(table)
        self.validation = None if held_out is None else wrap(_table(held_out, held_out_context))
        self.batch_size, self.masks = batch_size, masks
        self.reorder, self.reach = reorder, check_reach(reach)
        several = jnp.asarray(levels, default_float())
        self.noise = (several if levels.ndim else Shared(several)) if np.any(levels) else None
        self.jitter = None if jitter is None else wrap(jnp.asarray(jitter))
        self.augment, self.until = float(augment), Shared(jnp.asarray(until, float))

    @property
    def title(self) -> str:
        return "NLL"

    def __call__(self, model: Distribution, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        table, index = _unshared(self.data), None
        if self.batch_size is not None:
            # A remainder favours no row by more than rows / 2³², and compiles in half the time.
            bits = jax.random.bits(key, (self.batch_size,), jnp.uint32)
            index = (bits % len(table[0])).astype(jnp.int32)
        x, context = _drawn(table, index, jax.random.fold_in(key, 3), model.shape)
        if self.augment:
            chance = self.augment * jnp.maximum(0.0, 1 - step / self.until.value)
            shape = table[0].shape
            rows = x.reshape(len(x), -1)
            x = sheared(rows, shape, chance, jax.random.fold_in(key, 4)).reshape(x.shape)
        x = self._dequantised(x, key)
        if self.noise is not None:
            draws = jax.random.normal(jax.random.fold_in(key, 2), x.shape, x.dtype)
            x = x + _unshared(self.noise).astype(x.dtype) * draws
        if self.masks is not None:
            model = self._masked(model, step % self.masks)
        model = with_noise(in_training(model), jax.random.fold_in(key, 1))
        value = -jnp.mean(model.log_prob(x, context))
        return Estimate(value, value)

    def held_out(self, model: Distribution, key: PRNGKeyArray) -> Float[Array, " held_out"] | None:
        if self.validation is None:
            return None
        if self.masks is not None:
            model = self._masked(model, 0)
        x, context = _drawn(_unshared(self.validation), None, key, model.shape)
        return -model.log_prob(self._dequantised(x, key), context)

    def _masked(self, model: Distribution, index: int | Int[Array, ""]) -> Distribution:
        return shuffled(model, mask_key(index), reorder=self.reorder, reach=self.reach)

    def _dequantised(self, x: Array, key: PRNGKeyArray) -> Array:
        if self.jitter is None:
            return x
        widths = _unshared(self.jitter)
        u = jax.random.uniform(jax.random.fold_in(key, 5), (len(x), len(widths)), widths.dtype)
        return x + u @ widths


def mask_key(index: int | Int[Array, ""]) -> PRNGKeyArray:
    """Return the key of the masks with this number, for `thalweg.distributions.shuffled`."""
    return jax.random.fold_in(jax.random.key(0), index)


def _unshared(value: Any) -> Any:
    """Return the value under a `Shared`, or the value itself."""
    return value.value if isinstance(value, Shared) else value


def _table(rows: Rows, context: ArrayLike | None) -> Table:
    rows = rows if isinstance(rows, Observations) else jnp.asarray(rows)
    context = None if context is None else jnp.asarray(context)
    if context is not None and len(context) != len(rows):
        raise ValueError(f"{len(rows)} rows of data need as many contexts, got {len(context)}")
    return rows, context


def _drawn(
    table: Table, index: Array | None, key: PRNGKeyArray, event: Shape
) -> tuple[Array, Array | None]:
    """Return the rows of an index, or all of them, with their contexts."""
    rows, context = table
    if isinstance(rows, Observations):
        index = jnp.arange(len(rows)) if index is None else index
        x = rows.rows(index, key).reshape(len(index), *event)
    else:
        x = rows if index is None else rows[index]
    return x, context if context is None or index is None else context[index]

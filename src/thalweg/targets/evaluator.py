"""A log density at many points, a block at a time, and a count of what was asked of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from thalweg.compiling import jit_few
from thalweg.targets.map_points import together
from thalweg.targets.target import LogDensity, Target
from thalweg.targets.traced import density_of
from thalweg.targets.work import Work, work_of
from thalweg.tree import default_float

BLOCK = 64  # points of one call, at most: of any number of points the program is the same
BLOCK_OUTSIDE = 8  # the same where those that fill a block cost as much as the others


class Evaluator:
    """ln p̃ and its gradient at points of the host, in the precision that JAX computes in.

    All stages of a fit share one program for values and one for gradients. Memory does not grow
    with the number of points.

    Args:
        target: A target, whose trace in that precision is evaluated, or ln p̃ (nats) of one point
            (d,), in JAX.

    Example:
        >>> import numpy as np
        >>> from thalweg.targets.evaluator import Evaluator
        >>> density = Evaluator(lambda x: -0.5 * (x**2).sum())
        >>> density.values(np.array([[1.0, 2.0]])).tolist(), density.value_count
        ([-2.5], 1)
    """

    def __init__(self, target: Target | LogDensity):
        self._target = target
        self.value_count = self.gradient_count = 0

    @property
    def log_density(self) -> LogDensity:
        """ln p̃ in the precision that JAX computes in."""
        return density_of(self._target) if isinstance(self._target, Target) else self._target

    def work(self, dim: int) -> Work:
        """Return what one value takes; where it is `dear`, stages ask for few."""
        return work_of(self.log_density, dim, default_float())

    def values(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return ln p̃ at each row, in float64."""
        self.value_count += len(x)
        found = [np.asarray(_values(self.log_density, block)) for block in self._blocks(x)]
        return np.concatenate(found)[: len(x)].astype(np.float64)

    def gradients(
        self, x: Float[np.ndarray, "n d"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n d"]]:
        """Return ln p̃ and its gradient at each row, in float64."""
        self.gradient_count += len(x)
        found = [jax.device_get(_gradients(self.log_density, b)) for b in self._blocks(x)]
        values, slopes = (np.concatenate(part)[: len(x)] for part in zip(*found, strict=True))
        return values.astype(np.float64), slopes.astype(np.float64)

    def _blocks(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the rows in blocks of one size; the last is filled with its own first row."""
        with np.errstate(over="ignore"):
            x = np.asarray(x, default_float())
        most = BLOCK_OUTSIDE if self.work(x.shape[1]).outside else BLOCK
        size = min(most, together(self.log_density, x.shape[1], x.dtype))
        found = [x[i : i + size] for i in range(0, len(x), size)]
        missing = size - len(found[-1])
        if missing:
            found[-1] = np.concatenate([found[-1], np.repeat(found[-1][:1], missing, 0)])
        return found


@jit_few
def _values(log_density: LogDensity, x: Float[ArrayLike, "n d"]) -> Float[Array, " n"]:
    found: Array = jnp.asarray(jax.vmap(log_density)(jnp.asarray(x)))
    return found


@jit_few
def _gradients(
    log_density: LogDensity, x: Float[ArrayLike, "n d"]
) -> tuple[Float[Array, " n"], Float[Array, "n d"]]:
    found: tuple[Array, Array] = jax.vmap(jax.value_and_grad(log_density))(x)
    return found

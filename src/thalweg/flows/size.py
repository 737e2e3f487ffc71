"""A check that a model fits the memory of this machine, before any of it is made."""

from __future__ import annotations

import math

import equinox as eqx
import jax
from jaxtyping import PyTree

from thalweg.files.memory import check_memory, format_count

# Of each parameter a fit holds at least the value, the best value so far, its gradient and two
# moments of it.
_COPIES = 5


def check_size(model: PyTree, count: int = 1, batch: int = 0, numbers: int = 0) -> None:
    """Raise `ValueError` where fitting `count` models like this takes more memory than there is.

    Only the shapes of the model's arrays count, which may be abstract. Added to them are `batch`
    events of `numbers` numbers each, which the fit of each model draws or reads at every step.
    """
    leaves = [
        leaf
        for leaf in jax.tree.leaves(model)
        if eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
    ]
    size = sum(math.prod(leaf.shape) for leaf in leaves)
    width = 8 if jax.config.read("jax_enable_x64") else 4
    flows = "flow" if count == 1 else "flows"
    check_memory(
        width * count * (_COPIES * size + 2 * batch * numbers),
        f"a fit of {format_count(count)} {flows} with {size} parameters each"
        + (f" and batches of {format_count(batch)}" if batch else ""),
    )

"""Initialised flows, as many as a fit needs, from one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg.compiling import jit_once
from thalweg.distributions import Flow
from thalweg.flows.checks import check_size
from thalweg.flows.recipe import build


@dataclass(frozen=True)
class FlowRecipe:
    """Makes a flow from a recipe's name and options; equal ones share compiled programs."""

    name: str
    dim: int
    options: tuple[tuple[str, Any], ...] = ()
    context_dim: int | None = None

    @classmethod
    def from_options(
        cls, name: str, dim: int, options: Mapping[str, Any], context_dim: int | None = None
    ) -> FlowRecipe:
        """Return the recipe for options of a user, in which lists may stand for tuples.

        Raises `ValueError` for values that are neither numbers nor words nor lists of them.
        """
        frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        for option, value in frozen.items():
            try:
                hash(value)
            except TypeError:
                raise ValueError(
                    f"option {option!r} of flow {name!r} cannot be {value!r:.80}"
                ) from None
        return cls(name, dim, tuple(sorted(frozen.items())), context_dim)

    def __call__(self, key: PRNGKeyArray) -> Flow:
        return build(self.name, key, self.dim, self.context_dim, **dict(self.options))


@jit_once
def stacked(make: Callable[[PRNGKeyArray], Flow], keys: Array) -> PyTree:
    """A flow from each key, stacked along a leading axis; equal makers share one program."""
    made = eqx.filter_vmap(make)(keys)
    check_size(made)  # of shapes: nothing is allocated before the program runs
    return made

"""The flows of an ensemble: made, grouped, and averaged in the coordinates of one fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from thalweg.compiling import jit_once
from thalweg.density.ensemble.folds import Fold
from thalweg.distributions import Distribution, Ensemble, Flow, StandardNormal, StudentT
from thalweg.flows.fresh import FlowRecipe, stacked
from thalweg.gaussians import Gaussian
from thalweg.tree import pick

DF = 30.0  # degrees of freedom that a base with heavy tails begins with


class Members(NamedTuple):
    """Stacked flows, each in the coordinates of its fold: the fold's index, and its noise."""

    flows: PyTree
    fold: Int[np.ndarray, " members"]
    noise: Float[np.ndarray, " members"]


class Heavy(eqx.Module):
    """A maker of flows of a recipe with a Student t base in place of the normal one."""

    recipe: FlowRecipe = eqx.field(static=True)
    base: StudentT

    def __call__(self, key: PRNGKeyArray) -> Flow:
        built = self.recipe(key)
        if not isinstance(built.base, StandardNormal):
            name = self.recipe.name
            raise ValueError(f"flow {name!r} has a base of its own: base must be 'recipe'")
        return Flow(self.base, built.bijection)


def make_flows(
    key: PRNGKeyArray,
    count: int,
    flow: str,
    base: str,
    options: dict[str, Any],
    shapes: tuple[int, int | None],
) -> PyTree:
    """Make `count` stacked flows, each with its own initial parameters.

    `shapes` are the numbers of coordinates of rows and of contexts, or None for none.
    """
    dim, width = shapes
    recipe = FlowRecipe.from_options(flow, dim, options, width)
    make = Heavy(recipe, StudentT(DF, dim)) if base == "student_t" else recipe
    return stacked(make, jax.random.split(key, count))


def by_noise(members: Members) -> list[Members]:
    """Split members by the size of their noise, the least first."""
    groups = (np.flatnonzero(members.noise == one) for one in np.unique(members.noise))
    return [select_members(members, which) for which in groups]


def select_members(members: Members, which: Int[np.ndarray, " some"]) -> Members:
    """Return the members of an index."""
    arrays, static = eqx.partition(members.flows, eqx.is_array)
    kept = jax.tree.map(lambda leaf: jnp.asarray(leaf[which]), jax.device_get(arrays))
    return Members(eqx.combine(kept, static), members.fold[which], members.noise[which])


def average_members(members: Members, folds: Sequence[Fold]) -> Distribution:
    """Return the mean of the densities, in the coordinates of the first fold."""
    if members.fold.any():
        loc = jnp.asarray(np.stack([folds[i].loc for i in members.fold]))
        factor = jnp.asarray(np.stack([folds[i].factor for i in members.fold]))
        return Ensemble(_shift(members.flows, loc, factor))
    if len(members.fold) == 1:
        alone: Distribution = pick(0, members.flows)
        return alone
    return Ensemble(members.flows)


@jit_once
def _shift(
    flows: PyTree, loc: Float[Array, "members d"], factor: Float[Array, "members d d"]
) -> PyTree:
    """Follow each flow by its own affine map."""

    def one(flow: Flow, loc: Array, factor: Array) -> Flow:
        return flow.then(Gaussian(loc, factor).as_bijection())

    return eqx.filter_vmap(one)(flows, loc, factor)

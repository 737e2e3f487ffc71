"""A base with components at each mode, where a search found several.

A continuous map of one normal must tear it to reach modes that lie apart; of a mixture with
components at each it need only bend them. There are two at each, one as wide as the curvature at
the top says and one wider, since modes are seldom as light in their tails as a normal, or as
symmetric. Their weights are learned with the flow.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from scipy.special import logsumexp

from thalweg.compiling import jit_once
from thalweg.distributions import Flow, GaussianMixture
from thalweg.gaussians import Gaussian, union
from thalweg.inference.search.modes import FAINT
from thalweg.inference.search.start import Start, gaussian_log_weights
from thalweg.targets.evaluator import Evaluator
from thalweg.tree import default_float, pick

MODES = 64  # at most so many
WIDER, SHARE = 1.5, 0.25  # a second component at each mode: how wide, and its part of the weight
LEAST = 1e-4  # part of the mass below which a component is left out


class ModeMixture(NamedTuple):
    """Gaussians around modes, and the part of the mass that each seems to have."""

    locs: Float[np.ndarray, "m d"]
    factors: Float[np.ndarray, "m d d"]
    weights: Float[np.ndarray, " m"]

    def frame(self) -> Gaussian:
        """Return the Gaussian with the moments of all together."""
        return union(self.locs, self.factors, np.log(self.weights))


def mixture_of_modes(
    density: Evaluator, start: Start, rng: np.random.Generator
) -> ModeMixture | None:
    """Return the modes with a part of the mass; None for one, or for too many to list.

    The part of a mode is its evidence by importance sampling from its Laplace approximation,
    which counts what the curvature at the top does not know.
    """
    volumes = start.found.log_volumes
    order = [i for i in np.argsort(-volumes)[:MODES] if volumes[i] > volumes.max() - FAINT]
    if len(order) < 2 or not start.found.listed:
        return None
    gaussians = [start.found.gaussians[i] for i in order]
    evidence = logsumexp(gaussian_log_weights(density, gaussians, rng), 1)
    total = logsumexp(evidence)
    if not np.isfinite(total):
        return None
    weights = np.exp(evidence - total)
    kept = np.flatnonzero(weights > LEAST)
    if kept.size < 2:
        return None
    locs, factors = (np.array(part)[kept] for part in zip(*gaussians, strict=True))
    weights = weights[kept] / weights[kept].sum()
    return ModeMixture(
        np.concatenate([locs, locs]),
        np.concatenate([factors, WIDER * factors]),
        np.concatenate([(1 - SHARE) * weights, SHARE * weights]),
    )


@jit_once
def _seen_from_base(
    flow: Flow, locs: Float[Array, "m d"], factors: Float[Array, "m d d"]
) -> tuple[Array, Array]:
    """Return Gaussians in the coordinates of the base, where the flow is linear around each."""

    def one(args: tuple[Array, Array]) -> tuple[Array, Array]:
        loc, factor = args
        slope = jax.jacfwd(flow.bijection.inverse)(loc) @ factor
        return flow.bijection.inverse(loc), jnp.linalg.cholesky(slope @ slope.T)

    return jax.lax.map(one, (locs, factors))


def based_on(mixture: ModeMixture, flows: PyTree, at_modes: list[bool]) -> PyTree:
    """Return stacked flows with a mixture for a base: of the modes, or of standard normals.

    All have as many components, so that they train in one program.
    """
    dtype = default_float()
    count, dim = mixture.locs.shape
    at, around = jnp.asarray(mixture.locs, dtype), jnp.asarray(mixture.factors, dtype)
    weights = jnp.asarray(mixture.weights, dtype)
    apart = GaussianMixture(jnp.full(count, 1 / count), jnp.zeros((count, dim)), 1.0)
    bases = [
        GaussianMixture(weights, *_seen_from_base(pick(i, flows), at, around)) if here else apart
        for i, here in enumerate(at_modes)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *bases)
    return eqx.tree_at(lambda flow: flow.base, flows, stacked)

"""Continuous flows (Chen et al. 2018; Grathwohl et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Continuous
from thalweg.bijections.bijection import Shape
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base
from thalweg.nets.lipschitz import LipschitzNet


@recipe(
    "continuous",
    paper="Grathwohl et al. 2019",
    sampling="an ODE: some hundred passes of a network",
    density="an ODE: some hundred passes of a network and its trace",
    log_det="to the tolerance of the solver; estimates in training on request",
    best_for="smooth densities in low dimensions; few parameters",
)
def _continuous(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    hidden: Sequence[int] = (64, 64),
    max_rate: float = 5.0,
    log_det: str = "exact",
    solver: str = "dopri8",  # at so fine a tolerance a third of the steps of dopri5
    tolerance: float = 1e-12,
) -> Bijection:
    """No distance grows or shrinks by more than e^`max_rate`.

    `solver` and `tolerance` are those of densities and draws; in training the steps are fixed.
    """
    base, weights, noise = jax.random.split(key, 3)
    field = LipschitzNet.dense(
        dim,
        hidden,
        key=weights,
        coefficient=max_rate,
        context_shape=context_shape,
        activation="sine",  # swishes stay in their straight part, where a field is linear
        timed=True,
    )
    moves = Continuous(field, key=noise, log_det=log_det, solver=solver, tolerance=tolerance)
    return on_diagonal_base(base, dim, context_shape, [moves])

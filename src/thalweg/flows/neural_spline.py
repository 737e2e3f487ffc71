"""Neural spline flows: couplings and autoregressive maps whose transformer is a spline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import LinearRational, RationalQuadratic
from thalweg.flows.autoregressive import autoregressive_stack
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import coupling_stack

MANY = 10  # coordinates from which on orders drawn anew describe tables better than reversed ones


def _make_couplings(
    spline: type[RationalQuadratic] | type[LinearRational],
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    bins: int = 8,
    bound: float = 5.0,
) -> Bijection:
    transformer = spline(bins, bound)
    return coupling_stack(
        key, dim, context_shape, transformer, layers=layers, hidden=hidden, inverse=True
    )


recipe(
    "neural_spline_coupling",
    paper="Durkan et al. 2019",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="densities and posteriors where both directions must be fast",
)(partial(_make_couplings, RationalQuadratic))


recipe(
    "linear_rational_spline",
    paper="Dolatabadi et al. 2020",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="as neural_spline_coupling; its inverse needs no root",
)(partial(_make_couplings, LinearRational))


@recipe(
    "neural_spline_autoregressive",
    paper="Durkan et al. 2019",
    sampling="K passes, coordinate by coordinate",
    density="K passes of a network",
    best_for="densities of tables: the most exact of the affordable",
)
def _neural_spline_autoregressive(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    bins: int = 8,
    bound: float = 5.0,
    groups: int | None = None,
    order: str = "auto",
) -> Bijection:
    return autoregressive_stack(
        key,
        dim,
        context_shape,
        RationalQuadratic(bins, bound),
        layers=layers,
        hidden=hidden,
        groups=groups,
        order=("random" if dim >= MANY else "reversed") if order == "auto" else order,
        inverse=True,
    )

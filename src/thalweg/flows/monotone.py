"""Autoregressive flows of general monotone maps: sigmoids, integrals, polynomials.

Densities take one pass a layer; draws solve for one coordinate after another.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import UMNN, Bernstein, DeepSigmoidal, SumOfSquares
from thalweg.flows.autoregressive import autoregressive_stack
from thalweg.flows.recipe import MakeFlow, recipe

SAMPLING = "K passes, a scalar root a coordinate"
DENSITY = "K passes of a network"


@recipe(
    "naf",
    paper="Huang et al. 2018",
    sampling=SAMPLING,
    density=DENSITY,
    best_for="densities with many modes a coordinate",
)
def _naf(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    units: int = 8,
    depth: int = 1,
    groups: int | None = None,
) -> Bijection:
    """`units` sigmoids in each of the `depth` maps that a layer applies to a coordinate."""
    return autoregressive_stack(
        key,
        dim,
        context_shape,
        DeepSigmoidal(units, depth),
        layers=layers,
        hidden=hidden,
        groups=groups,
        inverse=True,
    )


@recipe(
    "umnn",
    paper="Wehenkel & Louppe 2019",
    sampling=SAMPLING,
    density=f"{DENSITY}, and of the integrand at the nodes",
    best_for="densities whose coordinates need many shapes from few parameters",
)
def _umnn(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    embedding: int = 16,
    integrand: Sequence[int] = (32,),
    nodes: int = 32,
    bound: float = 5.0,
    groups: int | None = None,
) -> Bijection:
    """`integrand` lists the widths of the network that is integrated."""
    inner, outer = jax.random.split(key)
    return autoregressive_stack(
        outer,
        dim,
        context_shape,
        UMNN(embedding, key=inner, hidden=integrand, nodes=nodes, bound=bound),
        layers=layers,
        hidden=hidden,
        groups=groups,
        inverse=True,
    )


def _make_polynomials(
    polynomial: type[SumOfSquares] | type[Bernstein], default_degree: int
) -> MakeFlow:
    def make(
        key: PRNGKeyArray,
        dim: int,
        context_shape: Shape | None,
        *,
        layers: int = 5,
        hidden: Sequence[int] = (64, 64),
        degree: int = default_degree,
        bound: float = 5.0,
        groups: int | None = None,
    ) -> Bijection:
        return autoregressive_stack(
            key,
            dim,
            context_shape,
            polynomial(degree, bound),
            layers=layers,
            hidden=hidden,
            groups=groups,
            inverse=True,
        )

    return make


recipe(
    "sos",
    paper="Jaini et al. 2019",
    sampling=SAMPLING,
    density=DENSITY,
    best_for="smooth densities of tables",
)(_make_polynomials(SumOfSquares, 4))


recipe(
    "bernstein",
    paper="Ramasinghe et al. 2021",
    sampling=SAMPLING,
    density=DENSITY,
    best_for="smooth densities of tables; robust to noise in the parameters",
)(_make_polynomials(Bernstein, 12))

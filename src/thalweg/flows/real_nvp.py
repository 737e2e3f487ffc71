"""RealNVP (Dinh et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import Affine
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import coupling_stack


@recipe(
    "real_nvp",
    paper="Dinh et al. 2017",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="posteriors of any dimension: the default for inference",
)
def _real_nvp(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 3.0,
) -> Bijection:
    transformer = Affine(max_log_scale=max_log_scale)
    return coupling_stack(key, dim, context_shape, transformer, layers=layers, hidden=hidden)

"""Gaussian baselines: mean-field and full-rank."""

from __future__ import annotations

from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, ElementwiseAffine, TriangularAffine
from thalweg.bijections.bijection import Shape
from thalweg.flows.recipe import recipe


@recipe(
    "mean_field",
    paper="Jordan et al. 1999",
    sampling="O(d)",
    density="O(d)",
    best_for="a baseline; nearly independent coordinates",
)
def _mean_field(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    return ElementwiseAffine((dim,), key=key, context_shape=context_shape)


@recipe(
    "gaussian",
    paper="Titsias & Lázaro-Gredilla 2014",
    sampling="O(d²)",
    density="O(d²)",
    best_for="a baseline; posteriors of regular models with much data",
)
def _gaussian(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    return TriangularAffine(dim, key=key, context_shape=context_shape)

"""Recipes: flows by the names of their papers.

`build("planar", key, dim=2, layers=32)` gives a `Flow` near the identity on a standard normal
base. A recipe is a dozen lines over the bijections; add one with the `recipe` decorator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import (
    Bijection,
    Chain,
    Coupling,
    ElementwiseAffine,
    FixedRotation,
    Permutation,
    Planar,
    Radial,
    Repeat,
    Scaling,
    TriangularAffine,
)
from thalweg.bijections.bijection import check_dim
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.transformers import Affine, Shift, Transformer
from thalweg.distributions import Flow, StandardNormal

Shape = tuple[int, ...]
MakeFlow = Callable[..., Bijection]


@dataclass(frozen=True)
class Recipe:
    """A named flow: what makes it, where it is from, what its directions cost, when to use it."""

    name: str
    make: MakeFlow
    paper: str
    sampling: str
    density: str
    log_det: str
    best_for: str

    @property
    def options(self) -> dict[str, object]:
        """The options and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


RECIPES: dict[str, Recipe] = {}


def recipe(
    name: str, *, paper: str, sampling: str, density: str, best_for: str, log_det: str = "exact"
) -> Callable[[MakeFlow], MakeFlow]:
    """Register `make(key, dim, context_shape, *, options...) -> Bijection` under a name."""

    def register(make: MakeFlow) -> MakeFlow:
        RECIPES[name] = Recipe(name, make, paper, sampling, density, log_det, best_for)
        return make

    return register


def names() -> list[str]:
    """Every recipe."""
    return sorted(RECIPES)


def find(name: str) -> Recipe:
    """The recipe of that name; raises `ValueError` that lists the known ones."""
    if name not in RECIPES:
        raise ValueError(f"unknown flow {name!r}; known flows: {', '.join(names())}")
    return RECIPES[name]


def build(
    name: str, key: PRNGKeyArray, dim: int, context_dim: int | None = None, **options: object
) -> Flow:
    """A fresh flow on R^dim, conditional on a context of `context_dim` numbers where given.

    Options are the recipe's own (`layers`, `hidden`, …). Raises `ValueError` for an unknown name
    or option, a dimension or a number of layers that is not positive.
    """
    found = find(name)
    check_dim(dim)
    unknown = sorted(set(options) - set(found.options))
    if unknown:
        known = ", ".join(found.options) or "none"
        raise ValueError(f"flow {name!r} has no option {unknown[0]!r}; its options: {known}")
    layers = options.get("layers", 1)
    if isinstance(layers, bool) or not isinstance(layers, int) or layers < 1:
        raise ValueError(f"layers must be a positive integer, got {layers!r}")
    context_shape = None if context_dim is None else (context_dim,)
    return Flow(StandardNormal((dim,)), found.make(key, dim, context_shape, **options))


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


def _on_diagonal_base(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, maps: Sequence[Bijection]
) -> Bijection:
    """The maps after a trainable location and scale: the diagonal normal q₀ of the paper."""
    base = ElementwiseAffine((dim,), key=key, context_shape=context_shape)
    return Chain([base, *maps])


@recipe(
    "planar",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd) and one scalar root a layer",
    best_for="cheap amortised posteriors; low dimensions",
)
def _planar(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 16,
    nonlinearity: str = "tanh",
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray) -> Bijection:
        return Planar(dim, key=k, context_shape=context_shape, nonlinearity=nonlinearity)

    return _on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])


@recipe(
    "radial",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd)",
    best_for="bumps and holes around points; low dimensions",
)
def _radial(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, *, layers: int = 16
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray) -> Bijection:
        return Radial(dim, key=k, context_shape=context_shape)

    return _on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])


def _pairs(
    make_layer: Callable[[PRNGKeyArray, int], Bijection], key: PRNGKeyArray, layers: int
) -> list[Bijection]:
    """`layers` layers of two kinds in turn (0, 1, 0, …), the pairs scanned."""
    stack, last = jax.random.split(key)

    def pair(k: PRNGKeyArray) -> Bijection:
        even, odd = jax.random.split(k)
        return Chain([make_layer(even, 0), make_layer(odd, 1)])

    maps: list[Bijection] = [Repeat.create(pair, stack, layers // 2)] if layers > 1 else []
    return [*maps, make_layer(last, 0)] if layers % 2 else maps


@recipe(
    "planar_radial",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd) and one scalar root every other layer",
    best_for="low dimensions where neither family alone is enough",
)
def _planar_radial(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, *, layers: int = 16
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        family = Planar if kind == 0 else Radial
        return family(dim, key=k, context_shape=context_shape)

    return _on_diagonal_base(base, dim, context_shape, _pairs(layer, stack, layers))


def _coupling(
    dim: int, transformer: Transformer, context_shape: Shape | None, hidden: Sequence[int]
) -> Callable[[PRNGKeyArray, int], Bijection]:
    def layer(key: PRNGKeyArray, kind: int) -> Bijection:
        mask = half_mask(dim, first=kind == 1)
        return Coupling(mask, transformer, key=key, context_shape=context_shape, hidden=hidden)

    return layer


def _mixed_nice(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    layers: int,
    hidden: Sequence[int],
    diagonal: bool,
    mixer: Callable[[PRNGKeyArray], Bijection] | None,
) -> Bijection:
    base, stack, top = jax.random.split(key, 3)
    coupling = _coupling(dim, Shift(), context_shape, hidden)
    if mixer is None:
        maps = _pairs(coupling, stack, layers)
    else:

        def mixed(k: PRNGKeyArray) -> Bijection:
            mix, couple = jax.random.split(k)
            return Chain([mixer(mix), coupling(couple, 0)])

        maps = [Repeat.create(mixed, stack, layers)]
    if diagonal:
        maps = [*maps, Scaling((dim,), key=top, context_shape=context_shape)]
    return _on_diagonal_base(base, dim, context_shape, maps)


@recipe(
    "nice",
    paper="Dinh et al. 2014",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="volume-preserving maps; the paper's comparison",
)
def _nice(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    diagonal: bool = False,
) -> Bijection:
    return _mixed_nice(key, dim, context_shape, layers, hidden, diagonal, None)


@recipe(
    "nice_perm",
    paper="Rezende & Mohamed 2015",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="the paper's NICE with random fixed permutations",
)
def _nice_perm(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    diagonal: bool = False,
) -> Bijection:
    def mixer(k: PRNGKeyArray) -> Bijection:
        return Permutation.random(dim, key=k)

    return _mixed_nice(key, dim, context_shape, layers, hidden, diagonal, mixer)


@recipe(
    "nice_orth",
    paper="Rezende & Mohamed 2015",
    sampling="K passes of a network, O(Kd²) mixing",
    density="K passes of a network, O(Kd²) mixing",
    best_for="the paper's NICE with random fixed rotations",
)
def _nice_orth(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    diagonal: bool = False,
) -> Bijection:
    def mixer(k: PRNGKeyArray) -> Bijection:
        return FixedRotation(dim, key=k)

    return _mixed_nice(key, dim, context_shape, layers, hidden, diagonal, mixer)


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
    base, stack = jax.random.split(key)
    coupling = _coupling(dim, Affine(max_log_scale=max_log_scale), context_shape, hidden)

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        if kind == 1 or dim == 1:
            return coupling(k, kind)
        # A new order before each pair, so that every two coordinates meet in some coupling.
        mix, couple = jax.random.split(k)
        return Chain([Permutation.random(dim, key=mix), coupling(couple, kind)])

    return _on_diagonal_base(base, dim, context_shape, _pairs(layer, stack, layers))

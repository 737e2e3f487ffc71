"""What a recipe is, the list of them, and building a flow from one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection
from thalweg.bijections.bijection import check_dim
from thalweg.distributions import Distribution, Flow, StandardNormal

MakeFlow = Callable[..., Bijection]
MakeBase = Callable[[int], Distribution]


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
    base: MakeBase

    @property
    def options(self) -> dict[str, object]:
        """The options and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


WIDEST = 2**31 - 1  # units of a hidden layer, whatever the memory

RECIPES: dict[str, Recipe] = {}


def _standard_normal(dim: int) -> Distribution:
    return StandardNormal((dim,))


def recipe(
    name: str,
    *,
    paper: str,
    sampling: str,
    density: str,
    best_for: str,
    log_det: str = "exact",
    base: MakeBase = _standard_normal,
) -> Callable[[MakeFlow], MakeFlow]:
    """Register `make(key, dim, context_shape, *, options...) -> Bijection` under a name."""

    def register(make: MakeFlow) -> MakeFlow:
        RECIPES[name] = Recipe(name, make, paper, sampling, density, log_det, best_for, base)
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


def check_widths(hidden: object) -> tuple[int, ...]:
    """The widths of hidden layers; raises `ValueError` unless they are a list of positive ones."""
    if not isinstance(hidden, (tuple, list)) or not all(_positive(width) for width in hidden):
        raise ValueError(f"hidden must list positive widths, got {hidden!r}")
    widest = max(map(int, hidden), default=0)
    if widest > WIDEST:
        raise ValueError(f"hidden layers can have {WIDEST} units at most, got {widest!r:.40}")
    return tuple(map(int, hidden))


def _positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return int(value) > 0


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
    if not _positive(layers):
        raise ValueError(f"layers must be a positive integer, got {layers!r}")
    if "hidden" in options:
        options["hidden"] = check_widths(options["hidden"])
    context_shape = None if context_dim is None else (context_dim,)
    return Flow(found.base(dim), found.make(key, dim, context_shape, **options))

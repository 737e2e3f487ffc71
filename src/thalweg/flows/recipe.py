"""Recipes of flows: their registry, and building a flow from one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection
from thalweg.bijections.bijection import check_dim
from thalweg.distributions import Distribution, Flow, StandardNormal
from thalweg.flows.checks import check_option, check_size
from thalweg.tree import default_float

MakeFlow = Callable[..., Bijection]
MakeBase = Callable[[int], Distribution]


@dataclass(frozen=True)
class Recipe:
    """A named flow: its maker, its paper, the cost of both directions, and when to use it.

    Args:
        name: of the recipe.
        make: `make(key, dim, context_shape, **options) -> Bijection`.
        paper: its authors and year.
        sampling: the cost of draws.
        density: the cost of densities.
        log_det: whether log-determinants are exact.
        best_for: the use that it suits.
        base: the base density of d numbers.

    Example:
        >>> import thalweg as tw
        >>> recipe = tw.flows.find("planar")
        >>> recipe.paper, recipe.options["layers"]
        ('Rezende & Mohamed 2015', 16)
    """

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


BATCH = 256  # events that a step of a fit has at least, to estimate its memory
LARGE = 2**11  # a dimension or width from which on a flow may not fit the memory

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
    """Register `make(key, dim, context_shape, *, options...) -> Bijection` under a name.

    Args:
        name: of the recipe.
        paper: its authors and year.
        sampling: the cost of draws.
        density: the cost of densities.
        best_for: the use that it suits.
        log_det: whether log-determinants are exact.
        base: the base density of d numbers; by default standard normal.

    Returns:
        A decorator, which returns `make` as it is.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.flows.recipe import RECIPES
        >>> facts = {"paper": "-", "sampling": "O(d)", "density": "O(d)", "best_for": "a test"}
        >>> @tw.flows.recipe("shift", **facts)
        ... def make(key, dim, context_shape):
        ...     return tw.bijections.ElementwiseAffine((dim,), key=key, context_shape=context_shape)
        >>> RECIPES.pop("shift").make is make
        True
    """

    def register(make: MakeFlow) -> MakeFlow:
        RECIPES[name] = Recipe(name, make, paper, sampling, density, log_det, best_for, base)
        return make

    return register


def names() -> list[str]:
    """Return the names of all recipes.

    Returns:
        Their names, sorted.

    Example:
        >>> import thalweg as tw
        >>> "planar" in tw.flows.names()
        True
    """
    return sorted(RECIPES)


def find(name: str) -> Recipe:
    """Return the recipe of that name.

    Args:
        name: of the recipe.

    Returns:
        The recipe.

    Raises:
        ValueError: for an unknown name; it lists the known ones.

    Example:
        >>> import thalweg as tw
        >>> tw.flows.find("maf").density
        'K passes of a network'
    """
    if name not in RECIPES:
        raise ValueError(f"unknown flow {name!r}; known flows: {', '.join(names())}")
    return RECIPES[name]


def build(
    name: str, key: PRNGKeyArray, dim: int, context_dim: int | None = None, **options: object
) -> Flow:
    """Return a fresh flow on R^dim, conditional on a context of `context_dim` numbers where given.

    Args:
        name: of the recipe, one of `names()`.
        key: a PRNG key for the parameters.
        dim: d.
        context_dim: how many numbers a context has; None for none.
        **options: the recipe's own (`layers`, `hidden`, …), as in `find(name).options`.

    Returns:
        The flow, near the identity on its base.

    Raises:
        ValueError: for an unknown name or option, a value that makes no sense, and a flow that does
            not fit the memory.

    Example:
        >>> import jax
        >>> import thalweg as tw
        >>> flow = tw.flows.build("planar", jax.random.key(0), dim=2, layers=4)
        >>> flow.sample(jax.random.key(1), (5,)).shape
        (5, 2)
    """
    found = find(name)
    dim = check_dim(dim)
    defaults = found.options
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        known = ", ".join(defaults) or "none"
        raise ValueError(f"flow {name!r} has no option {unknown[0]!r}; its options: {known}")
    numbers = max(dim, context_dim or 0)
    check_size(jax.ShapeDtypeStruct((dim,), default_float()), batch=BATCH, numbers=numbers)
    given = {
        option: check_option(option, value, defaults[option]) for option, value in options.items()
    }
    context_shape = None if context_dim is None else (context_dim,)

    def made(key: PRNGKeyArray) -> Flow:
        return Flow(found.base(dim), found.make(key, dim, context_shape, **given))

    if max([numbers, *_widths({**defaults, **given})]) > LARGE:
        check_size(eqx.filter_eval_shape(made, key))  # before anything is allocated
    return made(key)


def _widths(options: dict[str, object]) -> list[int]:
    return [w for value in options.values() if isinstance(value, tuple) for w in value]

"""Arguments of `infer`, checked and converted for the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg import targets
from thalweg.distributions import Flow
from thalweg.flows.checks import check_size
from thalweg.flows.fresh import FlowRecipe
from thalweg.inference.fitting.flow import MakeFlow
from thalweg.objectives import Annealing
from thalweg.parameters import Parameters
from thalweg.precision import PRECISIONS
from thalweg.supports import Support
from thalweg.targets import Target
from thalweg.tree import default_float


def as_target(
    target: Callable[[Any], Any] | Target | str,
    dim: int | None,
    parameters: Mapping[str, Any] | Parameters | None = None,
    supports: Mapping[str, str | Support] | None = None,
    data: Mapping[str, Any] | str | Path | None = None,
) -> Target:
    """Return a `Target`; `ValueError` where the dimension is missing or wrong.

    `data` are those of a Stan program, whose name ends in .stan.
    """
    named = parameters is not None or supports is not None
    if named and (isinstance(target, (str, Target)) or not callable(target)):
        raise ValueError("parameters and supports go with a function; this target has its own")
    if isinstance(target, str) and target.endswith(".stan"):
        return as_target(targets.from_stan(target, data), dim)
    if data is not None:
        raise ValueError("data go with a Stan program, whose file ends in .stan")
    if isinstance(target, str):
        if ":" in target or target.endswith(".py"):
            return targets.from_file(target, dim)
        options = {} if dim is None else {"dim": dim}
        return targets.get(target, **options)
    if isinstance(target, Target):
        if dim is not None and dim != target.dim:
            raise ValueError(f"dim={dim} was given for a target of dimension {target.dim}")
        return target
    if not callable(target):
        raise ValueError(
            f"the target must be a function, a Target or a name, got {type(target).__name__}"
        )
    return targets.from_function(target, dim, parameters=parameters, supports=supports)


def as_flow(
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow],
    dim: int,
    options: dict[str, Any],
    restarts: int = 1,
    batch_size: int = 0,
) -> tuple[str | None, MakeFlow]:
    """Return the recipe's name (None for a `Flow` or a function) and a function key -> fresh flow.

    Raises `ValueError` also where `restarts` of them, fitted with so many draws a step, need more
    memory than there is.
    """
    if isinstance(flow, str):
        recipe = FlowRecipe.from_options(flow, dim, options)
        # Unknown names and options speak now.
        shapes = eqx.filter_eval_shape(recipe, jax.random.key(0))
        check_size(shapes, restarts, batch_size, dim)
        return flow, recipe
    if options:
        raise ValueError(f"options such as {sorted(options)[0]!r} go with a recipe's name")
    make = (lambda key: _as_here(flow)) if isinstance(flow, Flow) else (lambda key: flow(key, dim))
    try:
        made = make(jax.random.key(0))
    except Exception as error:
        raise ValueError(f"the function that makes the flow raised {error!r}") from error
    if not isinstance(made, Flow) or made.shape != (dim,) or made.context_shape is not None:
        got = type(made).__name__
        if isinstance(made, Flow):
            got = f"one on {made.shape}, context {made.context_shape}"
        raise ValueError(f"the flow must be a Flow on ({dim},) without a context, got {got}")
    return None, make


def _as_here(flow: Flow) -> Flow:
    """Return the flow with floats of the precision that JAX computes in."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(default_float()) if eqx.is_inexact_array(leaf) else leaf

    here: Flow = jax.tree.map(cast, flow)
    return here


def check_precision(precision: Any) -> str | None:
    """Return the precision asked for, None for "auto"; `ValueError` for anything else."""
    known = ("auto", *PRECISIONS)
    if precision not in known:
        raise ValueError(f"precision must be one of {', '.join(known)}, got {precision!r:.40}")
    return None if precision == "auto" else str(precision)


def check_annealing(annealing: Any, restarts: int) -> None:
    """Raise `ValueError` unless it is a bool or an `Annealing` that fits the restarts."""
    if isinstance(annealing, bool):
        return
    if not isinstance(annealing, Annealing):
        raise ValueError(f"annealing must be True, False or an Annealing, got {annealing!r:.80}")
    shape = annealing.start.shape
    if shape not in ((), (restarts,)):
        raise ValueError(f"the annealing is for {shape[0]} restarts, the fit has {restarts}")
    if not bool(np.all(np.asarray(annealing.start) >= 0) & np.all(np.asarray(annealing.steps) > 0)):
        raise ValueError("an annealing needs start ≥ 0 and steps > 0")

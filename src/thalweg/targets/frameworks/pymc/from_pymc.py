"""Targets from PyMC models: free variables become named parameters, with PyMC's own transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from thalweg import supports
from thalweg.parameters import Parameters
from thalweg.supports.support import Shape, Support
from thalweg.targets.frameworks.pymc.agreement import disagreement_with_pymc
from thalweg.targets.frameworks.pymc.pytensor_graphs import (
    JaxFunction,
    frozen,
    line_of_node,
    random_inputs,
)
from thalweg.targets.frameworks.pymc.transforms import Transformed
from thalweg.targets.size import dimension
from thalweg.targets.target import LogDensity, Target
from thalweg.targets.tracebacks import place, what
from thalweg.tree import default_float, x64_enabled

PYMC = "a PyMC model"


def from_pymc(model: Any) -> Target:
    """A target from a PyMC model, the `pm.Model` itself, with its data as they are now.

    Every free random variable is a parameter of its name and shape; coordinates are those of
    PyMC's transforms, in the model's order, and the density is PyMC's joint log density of them
    with their Jacobian (nats), run by JAX; that it is PyMC's is checked at random points.
    Deterministic variables are not among the parameters.
    Raises `ValueError` in one sentence, with the variable's name, for discrete free variables,
    ones on a circle, ones that add up to 0 in float32, minibatches, a model without data (nothing
    is observed and there is no potential), one without free variables, an operation that JAX
    cannot run; for what is no `pm.Model`; and where PyMC is not installed.
    """
    try:
        import pymc as pm
    except ModuleNotFoundError as error:
        raise ValueError(f"a PyMC model needs {error.name}: pip install 'thalweg[pymc]'") from None
    if not isinstance(model, pm.Model):
        kind = getattr(model, "__name__", type(model).__name__)
        raise ValueError(f"a PyMC target is made of a pm.Model, got {kind}")
    name = model.name or "model"
    _check_variables(model, f"the model {name!r}")
    try:
        return _target(model, name)
    except _RefusedError as refused:
        raise ValueError(f"the model {name!r} {refused}") from refused.__cause__


class _RefusedError(Exception):
    """What is wrong with the model, as a sentence that begins with it."""


def _target(model: Any, name: str) -> Target:
    shapes = _shapes(model)
    variables = list(model.free_RVs)
    # Variables in the place of PyMC's own, of shapes that are known.
    values = {one: _sized(model.rvs_to_values[one], shapes) for one in variables}
    free = {model.rvs_to_values[one]: value for one, value in values.items()}
    parts = {one.name: _support(model, one, values, shapes) for one in variables}
    declared = Parameters({one.name: shapes[one.name] for one in variables}, parts)
    if declared.dim == 0:
        raise _RefusedError("has no parameters: its free variables are of size 0")
    try:
        graph = frozen([model.logp(jacobian=True)], free)
        if random_inputs(graph):
            raise _RefusedError("has a density with random numbers in it, not one of its variables")
        inputs = list(values.values())
        density = JaxFunction(inputs, graph, "its density", checks=model.check_bounds)
    except Exception as error:
        if isinstance(error, _RefusedError):
            raise
        where = place(error) or line_of_node(error)
        raise _RefusedError(f"has no density of its own: {what(error)}{where}") from error
    sizes = [shapes[value.name] for value in values.values()]
    ends = np.cumsum([int(np.prod(size)) for size in sizes])[:-1].tolist()

    def log_density(u: Array) -> Array:
        pieces = [part.reshape(size) for part, size in zip(jnp.split(u, ends), sizes, strict=True)]
        return density(*pieces)[0]

    dimension(declared.dim)
    _try_run(declared, log_density)
    disagrees = disagreement_with_pymc(model, name, declared, log_density)
    if disagrees is not None:
        raise ValueError(disagrees)
    return Target(name, declared.dim, log_density, source=PYMC, parameters=declared)


def _try_run(parameters: Parameters, log_density: LogDensity) -> None:
    """Let JAX go through the model once, without numbers; `_RefusedError` where it cannot."""

    def everything(u: Array) -> Any:
        flat = parameters.by_name(parameters.constrain(u)[0])
        back = [parameters.supports[name].unconstrain(flat[name], flat) for name in flat]
        return log_density(u), back

    try:
        jax.eval_shape(everything, jax.ShapeDtypeStruct((parameters.dim,), default_float()))
    except ValueError as error:
        raise _RefusedError(f"is beyond JAX: {error}") from error


# --- what the model consists of ------------------------------------------------------------------


def _check_variables(model: Any, name: str) -> None:
    """`ValueError` for free variables that cannot be parameters, and for a lack of data."""
    from pymc.distributions.transforms import ZeroSumTransform
    from pymc.logprob.transforms import CircularTransform
    from pytensor.graph.traversal import ancestors

    if not model.free_RVs:
        raise ValueError(f"{name} has no parameters: it has no free random variable")
    for variable in model.free_RVs:
        if not str(variable.dtype).startswith("float"):
            raise ValueError(
                f"variable {variable.name!r} of {name} is discrete; a flow needs continuous "
                "parameters: sum it out of the density (pymc_extras.marginalize)"
            )
        transform = model.rvs_to_transforms[variable]
        if isinstance(transform, ZeroSumTransform) and not x64_enabled():
            raise ValueError(
                f"variable {variable.name!r} of {name} must add up to 0 within 1e-9 for PyMC, "
                "which float32 cannot hold; turn on float64: "
                "jax.config.update('jax_enable_x64', True)"
            )
        if isinstance(transform, CircularTransform):
            raise ValueError(
                f"variable {variable.name!r} of {name} lies on a circle, whose density repeats "
                "for ever in PyMC's coordinate; cut it open with default_transform="
                "pm.distributions.transforms.Interval(-np.pi, np.pi)"
            )
    if not model.observed_RVs and not model.potentials:
        listed = ", ".join(variable.name for variable in model.free_RVs)
        raise ValueError(
            f"{name} has no data: none of its variables ({listed}) is observed and it has no "
            "pm.Potential; pass the data with observed=…"
        )
    for variable in [*model.observed_RVs, *model.potentials]:
        whole = [variable, model.rvs_to_values.get(variable, variable)]
        if any(_is_minibatch(one) for one in ancestors(whole)):
            raise ValueError(
                f"variable {variable.name!r} of {name} takes a minibatch; a density needs all rows"
            )


def _is_minibatch(variable: Any) -> bool:
    made_by = type(getattr(variable.owner, "op", None)).__name__
    return made_by in ("MinibatchOp", "MinibatchIndexRV")


def _shapes(model: Any) -> dict[str, Shape]:
    """Shapes of free variables and of their coordinates, by their names in PyMC."""
    known = {one.name: one.type.shape for one in (*model.free_RVs, *model.value_vars)}
    if any(size is None for shape in known.values() for size in shape):
        # Named dimensions and data may change their lengths: ask for what they are now.
        try:
            known = model.eval_rv_shapes()
        except Exception as error:
            raise _RefusedError(f"has variables of unknown shapes: {what(error)}") from error
    return {name: tuple(int(size) for size in shape) for name, shape in known.items()}


def _sized(variable: Any, shapes: Mapping[str, Shape]) -> Any:
    """A variable of the same name and type, of a known shape."""
    return variable.type.clone(shape=shapes[variable.name])(name=variable.name)


# --- supports ------------------------------------------------------------------------------------


def _support(model: Any, variable: Any, values: Mapping[Any, Any], shapes: Any) -> Support:
    """The support of a free variable: one of thalweg's where the map is the same."""
    transform = model.rvs_to_transforms[variable]
    if transform is None:
        return supports.real
    inputs = variable.owner.inputs
    try:
        known = _of_ours(transform, inputs)
    except ValueError as error:
        raise _RefusedError(f"has a variable {variable.name!r} of no support: {error}") from error
    if known is not None:
        return known
    subject = f"the transform of {variable.name!r}"
    value, x = values[variable], _sized(variable, shapes)
    others = {one: _sized(one, shapes) for one in values if one is not variable}
    observed = {one: model.rvs_to_values[one] for one in model.observed_RVs}
    try:
        # The variable itself is not among its own inputs, so that x may stand for it.
        maps = [
            transform.backward(value, *inputs),
            transform.log_jac_det(value, *inputs),
            transform.forward(x, *inputs),
        ]
        # Twice: what was observed may itself be data, which the second pass makes constant.
        back, log_det, forth = frozen(frozen(maps, {**others, **observed}), {})
        needs = [one for one in others if others[one] in _inputs([back, log_det, forth])]
        given = [others[one] for one in needs]
        return Transformed(
            type(transform).__name__.removesuffix("Transform"),
            (shapes[value.name], shapes[variable.name]),
            tuple(one.name for one in needs),
            JaxFunction([value, *given], [back, log_det], subject),
            JaxFunction([x, *given], [forth], subject),
        )
    except Exception as error:
        why = f"{subject} raised {what(error)}{place(error)}"
        raise _RefusedError(f"cannot be mapped: {why}") from error


def _inputs(outputs: list[Any]) -> set[Any]:
    from pytensor.graph.traversal import graph_inputs

    return set(graph_inputs(outputs))


def _of_ours(transform: Any, inputs: Any) -> Support | None:
    """The support of thalweg whose map is the same; None where there is none."""
    from pymc.distributions.transforms import Interval, Ordered
    from pymc.logprob import transforms as theirs

    kind = type(transform)  # a class derived from one of these may map otherwise
    if kind is theirs.LogTransform:
        return supports.positive
    if kind is theirs.LogOddsTransform:
        return supports.unit_interval
    if kind is Ordered and getattr(transform, "ascending", True):
        return supports.positive_ordered if transform.positive else supports.ordered
    if kind in (Interval, theirs.IntervalTransform):
        low, high = transform.args_fn(*inputs)
        below = -np.inf if low is None else _number(low)
        above = np.inf if high is None else _number(high)
        return None if below is None or above is None else _between(below, above)
    return None


def _number(bound: Any) -> float | None:
    """A bound that is one number; None where there are several, or it has to be computed."""
    from pytensor.tensor.basic import get_underlying_scalar_constant_value as constant
    from pytensor.tensor.exceptions import NotScalarConstantError

    try:
        return float(constant(bound))
    except NotScalarConstantError:
        return None


def _between(low: float, high: float) -> Support:
    if np.isinf(low) and np.isinf(high):
        return supports.real
    if np.isinf(high):
        return supports.greater_than(low)
    return supports.less_than(high) if np.isinf(low) else supports.interval(low, high)

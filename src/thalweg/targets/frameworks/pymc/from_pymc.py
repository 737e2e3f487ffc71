"""Targets from PyMC models: free variables become named parameters, with PyMC's own transforms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg import supports
from thalweg.parameters import Parameters
from thalweg.supports.support import Shape, Support
from thalweg.targets.frameworks.pymc.agreement import check_agreement
from thalweg.targets.frameworks.pymc.pytensor_graphs import (
    JaxFunction,
    freeze,
    has_random_inputs,
    line_of_node,
)
from thalweg.targets.frameworks.pymc.transforms import Transformed
from thalweg.targets.target import Target, check_dimension
from thalweg.targets.tracebacks import place, what
from thalweg.tree import default_float, x64_enabled

PYMC = "a PyMC model"


def from_pymc(model: Any) -> Target:
    """A target from a PyMC model, with its data as they are now.

    Every free random variable is a parameter of its name and shape; coordinates are those of PyMC's
    transforms, in the model's order, and the density is PyMC's joint log density of them with their
    Jacobian (nats), run by JAX; that it is PyMC's is checked at random points. Deterministic
    variables are not among the parameters.

    Args:
        model: The `pm.Model` itself.

    Returns:
        The target, of PyMC's unconstrained coordinates.

    Raises:
        ValueError: A free variable, which is named, is discrete, on a circle, or adds up to 0 in
            float32; the model takes minibatches, has no data (nothing is observed and there is no
            potential) or no free variable, or an operation that JAX cannot run; the argument is no
            `pm.Model`; or PyMC is not installed.

    Example:
        >>> import pymc as pm  # doctest: +SKIP
        >>> with pm.Model() as model:  # doctest: +SKIP
        ...     rate = pm.Gamma("rate", 2, 1)
        ...     pm.Poisson("y", rate, observed=3)
        >>> tw.targets.from_pymc(model).parameters.names  # doctest: +SKIP
        ('rate',)
    """
    try:
        import pymc as pm
    except ModuleNotFoundError as error:
        raise ValueError(f"a PyMC model needs {error.name}: pip install 'thalweg[pymc]'") from None
    if not isinstance(model, pm.Model):
        kind = getattr(model, "__name__", type(model).__name__)
        raise ValueError(f"a PyMC target is made of a pm.Model, got {kind}")
    name = model.name or "model"
    subject = f"the model {name!r}"
    _check_variables(model, subject)
    shapes = _shapes(model, subject)
    # Variables in the place of PyMC's own, of shapes that are known.
    values = {one: _sized(model.rvs_to_values[one], shapes) for one in model.free_RVs}
    free = {model.rvs_to_values[one]: value for one, value in values.items()}
    parts = {one.name: _support(model, one, values, shapes, subject) for one in values}
    declared = Parameters({name: shapes[name] for name in parts}, parts)
    if declared.dim == 0:
        raise ValueError(f"{subject} has no parameters: its free variables are of size 0")
    check_dimension(declared.dim)
    inputs = list(values.values())
    try:
        graph = freeze([model.logp(jacobian=True)], free)
        noise = has_random_inputs(graph)
        density = noise or JaxFunction(inputs, graph, "its density", checks=model.check_bounds)
    except Exception as error:
        where = place(error) or line_of_node(error)
        raise ValueError(f"{subject} has no density of its own: {what(error)}{where}") from error
    if not isinstance(density, JaxFunction):
        raise ValueError(
            f"{subject} has a density with random numbers in it, not one of its variables"
        )
    sizes = [shapes[value.name] for value in inputs]
    ends = np.cumsum([math.prod(size) for size in sizes])[:-1].tolist()

    def log_density(u: Float[Array, " d"]) -> Float[Array, ""]:
        pieces = [part.reshape(size) for part, size in zip(jnp.split(u, ends), sizes, strict=True)]
        return density(*pieces)[0]

    def everything(u: Array) -> Any:
        flat = declared.by_name(declared.constrain(u)[0])
        back = [declared.supports[name].unconstrain(flat[name], flat) for name in flat]
        return log_density(u), back

    try:  # JAX goes through the model once, without numbers
        jax.eval_shape(everything, jax.ShapeDtypeStruct((declared.dim,), default_float()))
    except ValueError as error:
        raise ValueError(f"{subject} is beyond JAX: {error}") from error
    check_agreement(model, subject, declared, log_density)
    return Target(name, declared.dim, log_density, source=PYMC, parameters=declared)


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


def _shapes(model: Any, subject: str) -> dict[str, Shape]:
    """Shapes of free variables and of their coordinates, by their names in PyMC."""
    known = {one.name: one.type.shape for one in (*model.free_RVs, *model.value_vars)}
    if any(size is None for shape in known.values() for size in shape):
        # Named dimensions and data may change their lengths: ask for what they are now.
        try:
            known = model.eval_rv_shapes()
        except Exception as error:
            raise ValueError(f"{subject} has variables of unknown shapes: {what(error)}") from error
    return {name: tuple(int(size) for size in shape) for name, shape in known.items()}


def _sized(variable: Any, shapes: Mapping[str, Shape]) -> Any:
    """A variable of the same name and type, of a known shape."""
    return variable.type.clone(shape=shapes[variable.name])(name=variable.name)


# --- supports ------------------------------------------------------------------------------------


def _support(
    model: Any, variable: Any, values: Mapping[Any, Any], shapes: Any, name: str
) -> Support:
    """The support of a free variable: one of thalweg's where the map is the same."""
    from pytensor.graph.traversal import graph_inputs

    transform = model.rvs_to_transforms[variable]
    if transform is None:
        return supports.real
    inputs = variable.owner.inputs
    try:
        known = _of_ours(transform, inputs)
    except ValueError as error:
        raise ValueError(
            f"{name} has a variable {variable.name!r} of no support: {error}"
        ) from error
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
        back, log_det, forth = freeze(freeze(maps, {**others, **observed}), {})
        used = set(graph_inputs([back, log_det, forth]))
        needs = [one for one in others if others[one] in used]
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
        raise ValueError(f"{name} cannot be mapped: {why}") from error


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

"""Checks of a target, before any time is spent on a fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from thalweg.targets.evaluator import Evaluator
from thalweg.targets.target import Target
from thalweg.targets.tracebacks import came_through, failure, place, what
from thalweg.tree import default_float

_MOST_NAN = 0.5
_MOST_NAN_GRADIENTS = 0.1
# From so many points on, one coordinate without any gradient is no accident.
_ENOUGH_FOR_COORDINATES = 8


class _RefusedError(Exception):
    """A sentence for the user, on its way out of JAX's tracing."""


class FailsAtPointsError(ValueError):
    """A density that can be traced and differentiated, and raises at some of the points."""


def check_target(target: Target, points: Float[ArrayLike, "n d"]) -> Bool[np.ndarray, " n"]:
    """Refuse a target that cannot be fitted, in one sentence; return which points are usable.

    Values of −inf at some points (a
    bounded support) and a few NaN are accepted.

    Args:
        target: A log density of d coordinates.
        points: Where a fit would start, (n, d).

    Returns:
        Whether the value and the gradient are both finite, (n,).

    Raises:
        ValueError: The density raises, cannot be traced or cannot be differentiated by JAX; it does
            not return one real floating-point number (integers and booleans have no gradient); a
            value is +inf; more than half of the values are NaN, or no value is finite; more than a
            tenth of the gradients at finite values are not finite; the gradient is exactly zero at
            all of two or more finite values, or one of its coordinates is at all of eight or more.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> target = tw.targets.from_function(lambda x: jnp.log(x).sum() - x.sum(), dim=2)
        >>> points = jnp.array([[1.0, 2.0], [3.0, 4.0], [-1.0, 1.0]])
        >>> tw.targets.check_target(target, points).tolist()
        [True, True, False]
    """
    x = np.asarray(points, default_float())
    if x.ndim != 2 or x.shape[1] != target.dim or len(x) == 0:
        raise ValueError(f"points must have shape (n, {target.dim}), n > 0, got {x.shape}")
    values, gradients = _evaluate(target, x)
    for fault in _faults(target, x, values, gradients):
        raise ValueError(f"the log density {target.name!r} {fault}")
    return np.isfinite(values) & np.isfinite(gradients).all(1)


def _evaluate(target: Target, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # All that the user's code can do wrong happens inside `density`; whatever escapes from JAX
    # after it has returned is about derivatives or about running the compiled program.
    name, traced = f"the log density {target.name!r}", False

    def density(point: Float[Array, " d"]) -> Float[Array, ""]:
        nonlocal traced
        try:
            out = target.log_density(point)
        except BaseException as error:  # SystemExit among them: a density may call sys.exit()
            raise _RefusedError(f"{name} {_raised(target, error)}") from error
        try:
            fault, cause = _not_one_float(out, target.dim), None
        except Exception as error:
            fault, cause = f"returned an object of type {type(out).__name__}, not one number", error
        if fault:
            raise _RefusedError(f"{name} {fault}") from cause
        traced = True
        return jnp.asarray(out)

    try:
        jax.eval_shape(jax.value_and_grad(density), jax.ShapeDtypeStruct(x.shape[1:], x.dtype))
        return Evaluator(target).gradients(x)
    except _RefusedError as refused:
        raise ValueError(str(refused)) from refused.__cause__
    except BaseException as error:
        if not traced:
            raise
        if isinstance(error, jax.errors.JaxRuntimeError):
            said = failure(error) or what(error)
            raise FailsAtPointsError(f"{name} failed when it ran: {said}") from error
        raise ValueError(f"{name} cannot be differentiated by JAX: {what(error)}") from error


def _raised(target: Target, error: BaseException) -> str:
    """The fault of a density that raises."""
    where = place(error, target.log_density)
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return (
            f"cannot be traced by JAX: it branches on a value with if, while, and, or{where}; "
            "write it with jnp.where"
        )
    converted = (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError)
    if isinstance(error, converted):
        return (
            "cannot be traced by JAX: it turns its input into a NumPy array or a Python number"
            f"{where}; write it with jax.numpy"
        )
    called = f"raised {what(error)}{where}, called with one point of shape ({target.dim},)"
    if came_through(error, "numpyro/primitives.py"):
        called += "; a NumPyro model becomes a target by thalweg.targets.from_numpyro(model, data)"
    return called


def _not_one_float(out: Any, dim: int) -> str | None:
    """The fault of a result that is not one real number; raises where it is no array."""
    if out is None:
        return "returned None; it must end in `return` and one number"
    if isinstance(out, tuple | list):
        return f"returned a {type(out).__name__} of {len(out)} values, not one"
    value = jnp.asarray(out)
    if value.shape != ():
        hint = "; reduce it with jnp.sum?" if value.shape in ((dim,), (1,)) else ""
        return (
            f"returned an array of shape {value.shape} for one point of shape ({dim},); it must "
            f"return one number{hint}"
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return (
            f"returned a value of type {value.dtype}; it must return a real floating-point number"
        )
    return None


def _faults(
    target: Target, x: np.ndarray, values: np.ndarray, gradients: np.ndarray
) -> Iterator[str]:
    """Faults of values (n,) and gradients (n, d) at points (n, d), the gravest first."""
    n, finite, nan, high = len(x), np.isfinite(values), np.isnan(values), np.isposinf(values)
    if target.explain is not None and not finite.any() and (own_words := target.explain(x)):
        yield (
            f"rejects all {n} points tried; it says: {own_words}; where it accepts a point, start "
            "there with init=…"
        )
    if high.any():
        yield f"is +inf at {_point(x[high])}; a log density must be below +inf everywhere"
    if nan.sum() > _MOST_NAN * n:
        yield (
            f"is NaN at {_share(nan.sum(), n)} of the points tried, for example at "
            f"{_point(x[nan])}; return -jnp.inf outside its support"
        )
    if not finite.any():
        yield (
            f"is -inf at every point tried ({n}, for example {_point(x)}); give a start where it "
            "is finite with init=…, or shift and scale its coordinates"
        )
    rough = finite & ~np.isfinite(gradients).all(1)
    if rough.sum() > _MOST_NAN_GRADIENTS * finite.sum():
        yield (
            f"is finite at {_point(x[rough])} but its gradient is "
            f"{format_numbers(gradients[rough][0])} there ({_share(rough.sum(), finite.sum())} of "
            "the finite points): a norm at 0, or the branch of a jnp.where that is not taken, does "
            "this"
        )
    usable = finite & ~rough
    slopes, count = gradients[usable], int(usable.sum())
    if count > 1 and not slopes.any():
        kind = "constant" if np.ptp(values[usable]) == 0 else "piecewise constant"
        yield (
            f"has gradient exactly 0 at all {count} finite points tried: it is {kind} there, or "
            "its gradient is stopped"
        )
    still = np.flatnonzero(~slopes.any(0))
    if count >= _ENOUGH_FOR_COORDINATES and len(still):
        yield (
            f"does not depend on {target.parameter_names[still[0]]} at any of {count} points "
            f"tried; such a density cannot be normalised, so is dim = {target.dim} right?"
        )


def _share(part: int, whole: int) -> str:
    return f"all {whole}" if part == whole else f"{part} of {whole}"


def format_numbers(values: Float[np.ndarray, " d"]) -> str:
    """Return "(1, 2, 3, 4, …)": the first four numbers of a point or a gradient."""
    shown = ", ".join(f"{v:.4g}" for v in values[:4])
    return f"({shown}{', …' if len(values) > 4 else ''})"


def _point(points: np.ndarray) -> str:
    return f"x = {format_numbers(points[0])}"

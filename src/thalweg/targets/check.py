"""What is checked of a target before any time is spent on it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

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

    Values and gradients are evaluated in one compiled batch. Values of −inf at some points (a
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
        >>> tw.targets.check_target(target, [[1.0, 2.0], [3.0, 4.0], [-1.0, 1.0]]).tolist()
        [True, True, False]
    """
    x = np.asarray(points, default_float())
    if x.ndim != 2 or x.shape[1] != target.dim or len(x) == 0:
        raise ValueError(f"points must have shape (n, {target.dim}), n > 0, got {x.shape}")
    name = f"the log density {target.name!r}"
    values, gradients = _evaluate(target, name, x)
    _check_values(target, name, x, values)
    finite = np.isfinite(values)
    smooth = np.all(np.isfinite(gradients), 1)
    rough = finite & ~smooth
    if rough.sum() > _MOST_NAN_GRADIENTS * finite.sum():
        raise ValueError(
            f"{name} is finite at {_point(x[rough][0])} but its gradient is "
            f"{format_numbers(gradients[rough][0])} there ({_share(rough.sum(), finite.sum())} of "
            "the finite points): a norm at 0, or the branch of a jnp.where that is not taken, does "
            "this"
        )
    usable = finite & smooth
    _check_slopes(name, target, values[usable], gradients[usable])
    return usable


def _evaluate(target: Target, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # All that the user's code can do wrong happens inside `density`; whatever escapes from JAX
    # after it has returned is about derivatives or about running the compiled program.
    traced = False

    def density(point: Float[Array, " d"]) -> Float[Array, ""]:
        nonlocal traced
        try:
            out = target.log_density(point)
        except BaseException as error:  # SystemExit among them: a density may call sys.exit()
            raise _RefusedError(_raised(target, name, error)) from error
        value = _one_float(name, out, target.dim)
        traced = True
        return value

    try:
        values, gradients = jax.jit(jax.vmap(jax.value_and_grad(density)))(x)
        return np.asarray(values, float), np.asarray(gradients, float)
    except _RefusedError as refused:
        raise ValueError(str(refused)) from refused.__cause__
    except BaseException as error:
        if not traced:
            raise
        if isinstance(error, jax.errors.JaxRuntimeError):
            said = failure(error) or what(error)
            raise FailsAtPointsError(f"{name} failed when it ran: {said}") from error
        raise ValueError(f"{name} cannot be differentiated by JAX: {what(error)}") from error


def _raised(target: Target, name: str, error: BaseException) -> str:
    where = place(error, target.log_density)
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return (
            f"{name} cannot be traced by JAX: it branches on a value with if, while, and, or{where}"
            "; write it with jnp.where"
        )
    converted = (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError)
    if isinstance(error, converted):
        return (
            f"{name} cannot be traced by JAX: it turns its input into a NumPy array or a Python "
            f"number{where}; write it with jax.numpy"
        )
    called = f"{name} raised {what(error)}{where}, called with one point of shape ({target.dim},)"
    if came_through(error, "numpyro/primitives.py"):
        called += "; a NumPyro model becomes a target by thalweg.targets.from_numpyro(model, data)"
    return called


def _one_float(name: str, out: Any, dim: int) -> Float[Array, ""]:
    """`out` as an array if it is one real number, else the sentence that says what it is."""
    if out is None:
        raise _RefusedError(f"{name} returned None; it must end in `return` and one number")
    if isinstance(out, tuple | list):
        raise _RefusedError(f"{name} returned a {type(out).__name__} of {len(out)} values, not one")
    try:
        value = jnp.asarray(out)
    except Exception as error:
        kind = type(out).__name__
        raise _RefusedError(f"{name} returned an object of type {kind}, not one number") from error
    if value.shape != ():
        hint = "; reduce it with jnp.sum?" if value.shape in ((dim,), (1,)) else ""
        raise _RefusedError(
            f"{name} returned an array of shape {value.shape} for one point of shape ({dim},); "
            f"it must return one number{hint}"
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise _RefusedError(
            f"{name} returned a value of type {value.dtype}; it must return a real floating-point "
            "number"
        )
    return value


def _check_values(target: Target, name: str, x: np.ndarray, values: np.ndarray) -> None:
    n = len(values)
    if target.explain is not None and not np.isfinite(values).any():
        own_words = target.explain(x)
        if own_words:
            raise ValueError(
                f"{name} rejects all {n} points tried; it says: {own_words}; where it accepts a "
                "point, start there with init=…"
            )
    high = np.isposinf(values)
    if high.any():
        raise ValueError(
            f"{name} is +inf at {_point(x[high][0])}; a log density must be below +inf everywhere"
        )
    nan = np.isnan(values)
    if nan.sum() > _MOST_NAN * n:
        raise ValueError(
            f"{name} is NaN at {_share(nan.sum(), n)} of the points tried, for example at "
            f"{_point(x[nan][0])}; return -jnp.inf outside its support"
        )
    if not np.isfinite(values).any():
        raise ValueError(
            f"{name} is -inf at every point tried ({n}, for example {_point(x[0])}); give a start "
            "where it is finite with init=…, or shift and scale its coordinates"
        )


def _check_slopes(name: str, target: Target, values: np.ndarray, gradients: np.ndarray) -> None:
    if len(values) < 2:
        return
    if not gradients.any():
        kind = "constant" if np.ptp(values) == 0 else "piecewise constant"
        raise ValueError(
            f"{name} has gradient exactly 0 at all {len(values)} finite points tried: it is {kind} "
            "there, or its gradient is stopped"
        )
    still = np.flatnonzero(~gradients.any(0))
    if len(values) >= _ENOUGH_FOR_COORDINATES and len(still):
        coordinate = target.parameter_names[still[0]]
        raise ValueError(
            f"{name} does not depend on {coordinate} at any of {len(values)} points tried; such a "
            f"density cannot be normalised, so is dim = {target.dim} right?"
        )


def _share(part: int, whole: int) -> str:
    return f"all {whole}" if part == whole else f"{part} of {whole}"


def format_numbers(values: Float[np.ndarray, " d"]) -> str:
    """Return "(1, 2, 3, 4, …)": the first four numbers of a point or a gradient."""
    shown = ", ".join(f"{v:.4g}" for v in values[:4])
    return f"({shown}{', …' if len(values) > 4 else ''})"


def _point(x: np.ndarray) -> str:
    return f"x = {format_numbers(x)}"

"""Targets from a log density that is a function in memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from thalweg.parameters import Parameters
from thalweg.supports import Support
from thalweg.targets.target import LogDensity, Target, check_dimension


def from_function(
    log_density: Callable[[Any], Any],
    dim: int | None = None,
    name: str | None = None,
    *,
    parameters: Mapping[str, Any] | Parameters | None = None,
    supports: Mapping[str, str | Support] | None = None,
) -> Target:
    """A target from ln p̃ (nats, any constant) of one point, written in JAX.

    With `parameters`, the determinant of the map from unconstrained coordinates is added here, so
    ln p̃ is the density of the parameters as they are. Nothing is evaluated here: `check_target`
    does.

    Args:
        log_density: A function of a vector (dim,), or, with `parameters`, of a dictionary of arrays
            by name, each within its support.
        dim: The number of coordinates; not needed with `parameters`.
        name: The name of the target; that of the function where it is None.
        parameters: Shapes by name, as in `Parameters.declare`, or declared parameters.
        supports: Supports by name, for parameters that are not any real numbers.

    Returns:
        The target, of unconstrained coordinates.

    Raises:
        ValueError: `log_density` cannot be called, `dim` is missing, not positive or another than
            that of the parameters, or the parameters are not well declared.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> def rate(p):
        ...     return 2 * jnp.log(p["rate"]) - 5 * p["rate"]
        >>> target = tw.targets.from_function(
        ...     rate, parameters={"rate": ()}, supports={"rate": "positive"}
        ... )
        >>> target.dim, float(target.log_density(jnp.zeros(1)))
        (1, -5.0)
    """
    if not callable(log_density):
        raise ValueError(
            f"the log density must be a function, got {with_article(type(log_density).__name__)}"
        )
    own = getattr(log_density, "__name__", type(log_density).__name__)
    if parameters is None:
        if supports:
            raise ValueError("supports go with parameters={name: shape}, which are not given")
        if dim is None:
            raise ValueError("a function needs dim=…, the number of its parameters")
        return Target(name or own, check_dimension(dim), log_density, source="user")
    if isinstance(parameters, Parameters):
        if supports:
            raise ValueError("these parameters have their supports already")
        declared = parameters
    else:
        declared = Parameters.declare(parameters, supports)
    if dim is not None and dim != declared.dim:
        raise ValueError(f"dim={dim} was given for parameters of {declared.dim} free numbers")
    return Target(
        name or own,
        declared.dim,
        unconstrained(log_density, declared),
        source="user",
        parameters=declared,
    )


def unconstrained(log_density: Callable[[Any], Any], parameters: Parameters) -> LogDensity:
    """ln p̃ of unconstrained coordinates: that of the parameters, plus ln|det| of the map."""

    @functools.wraps(log_density)
    def of_coordinates(u: Array) -> Array:
        tree, log_det = parameters.constrain(u)
        value = log_density(tree)
        # What is not one real number goes on as it is: `check_target` says so in words.
        array = isinstance(value, (float, np.ndarray, np.generic, jax.Array))
        single = (
            array
            and jnp.shape(value) == ()
            and jnp.issubdtype(jnp.result_type(value), jnp.floating)
        )
        return value + log_det if single else value

    return of_coordinates


def with_article(noun: str) -> str:
    """Return "a noun" or "an adverb"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

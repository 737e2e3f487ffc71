"""What is checked of a model that came from a file, which anyone may have written.

Fields hold what their classes declare, and sizes are within reason: a file can then neither make a
class do what it is not meant for, nor ask for work without end. Whether the parts fit each other is
found out where evaluating the model fails (`check_evaluates`): to know it in advance would cost
every reader of an honest file as much time as the first draw.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import AbstractDtype, Array

from thalweg.bijections.bijection import Bijection
from thalweg.distributions import Distribution
from thalweg.tree import Module, default_float

MOST_MODULES = 20_000
MOST_VALUES = 2**26  # numbers of one event
_MOST = 2**24
# Whole numbers that say how often something is done, or how much is made at once.
_MOST_BY_NAME = {
    **dict.fromkeys(("degree", "depth", "units", "nodes", "terms", "bins", "window"), 2**9),
    **{"max_steps": 2**16, "levels": 2**16},
}


def check_field(kind: type[Module], name: str, value: Any) -> None:
    """Raise `ValueError` where the value of a field is not what its class declares."""
    hint = _hints(kind).get(name, Any)
    if not _is(value, hint):
        raise ValueError(f"{kind.__name__}.{name} cannot be a {type(value).__name__}")
    most = _MOST_BY_NAME.get(name, _MOST)
    if not _within(value, most):
        raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which makes no sense")
    if name in ("shape", "context_shape") and value is not None:
        if not isinstance(value, tuple) or not all(type(n) is int and n >= 0 for n in value):
            raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which is no shape")
        if math.prod(value) > MOST_VALUES:
            raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which makes no sense")


@functools.cache
def _hints(kind: type[Module]) -> dict[str, Any]:
    """The declared types of fields; Any for those that only a type checker can resolve."""
    found: dict[str, Any] = {}
    for owner in reversed(kind.__mro__):
        space = dict(vars(sys.modules[owner.__module__]))
        for name, written in inspect.get_annotations(owner).items():
            try:
                found[name] = eval(written, space) if isinstance(written, str) else written
            except Exception:
                found[name] = Any
    return {field.name: found.get(field.name, Any) for field in dataclasses.fields(kind)}


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type, as far as that can be told from one value alone."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_is(one, arguments[0]) for one in value)
        return len(value) == len(arguments) and all(map(_is, value, arguments))
    if hint in (int, bool, str):
        return type(value) is hint
    if hint is float:
        return type(value) in (int, float)
    if hint is Array or (isinstance(hint, type) and issubclass(hint, AbstractDtype | Array)):
        return value is None or eqx.is_array(value)  # what is prepared lets go of its weights
    if isinstance(hint, type) and issubclass(hint, Module):
        return isinstance(value, hint)
    return not callable(value) or isinstance(value, Module)


def _within(value: Any, most: int) -> bool:
    if isinstance(value, tuple | list):
        return all(_within(one, most) for one in value)
    return not isinstance(value, int) or abs(value) <= most


def check_evaluates(model: Module) -> None:
    """Raise `ValueError` where a distribution or bijection cannot be evaluated.

    Densities and draws, or both directions, are traced for one event: parts whose shapes do not fit
    each other are found out, and nothing is computed.
    """
    if isinstance(model, Distribution):
        check_traces(_both_of_a_distribution, model)
    elif isinstance(model, Bijection):
        check_traces(_both_directions, model)


def check_traces(function: Callable[[Any], Any], model: Module) -> Any:
    """Shapes of what a function makes of a model; `ValueError` where it makes nothing of it."""
    try:
        return eqx.filter_eval_shape(function, model)
    except ImportError as error:
        raise ValueError(f"this model cannot be used here: {error}") from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        why = f"{type(error).__name__}: {lines[0]}"
        raise ValueError(f"the parts of the model do not fit together ({why:.200})") from None


def _both_of_a_distribution(model: Distribution) -> Any:
    key, context = jax.random.key(0), _context(model)
    drawn = model.sample(key, (), context)
    if drawn.shape != model.shape:
        raise ValueError(f"draws have shape {drawn.shape}, and events {model.shape}")
    return model.log_prob(drawn, context)


def _both_directions(model: Bijection) -> Any:
    at, context = jnp.zeros(model.shape, default_float()), _context(model)
    x, _ = model.forward_and_log_det(at, context)
    if x.shape != model.shape:
        raise ValueError(f"the map gives shape {x.shape} for events of shape {model.shape}")
    return model.inverse_and_log_det(x, context)


def _context(model: Any) -> Array | None:
    shape = model.context_shape
    return None if shape is None else jnp.zeros(shape, default_float())

"""The parameters of an estimator, checked in one place before anything is learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from sys import float_info
from typing import Any

import numpy as np

from thalweg.density.defaults import FLOW, base_of
from thalweg.density.table import MISSING

MAPS = "'positive', ('interval', 0, 1), or a dictionary of such maps by column"
Check = Callable[[str, Any], None]


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise a `ValueError` that names the first parameter which cannot be, and says what can."""
    for name, check in CHECKS.items():
        check(name, parameters[name])


def _flow(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must name a recipe, such as {FLOW!r}, got {value!r:.80}")


def _positive(name: str, value: Any) -> None:
    if value is not None and (not _is_whole(value) or value < 1):
        raise ValueError(f"{name} must be a positive integer or None, got {value!r:.80}")


def _members(name: str, value: Any) -> None:
    if value is not None and (not _is_whole(value) or value < 1):
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r:.80}")


def _above_zero(name: str, value: Any) -> None:
    if value is not None and not (_is_number(value) and value > 0):
        raise ValueError(f"{name} must be a positive number or None, got {value!r:.80}")


def _not_negative(name: str, value: Any) -> None:
    if not (_is_number(value) and value >= 0):
        raise ValueError(f"{name} must be a number that is not negative, got {value!r:.80}")


def _noise(name: str, value: Any) -> None:
    if value is not None and not (_is_number(value) and value >= 0):
        raise ValueError(f"{name} must be non-negative numbers or None, got {value!r:.80}")


def _fraction(name: str, value: Any) -> None:
    if not (_is_number(value) and 0 <= value < 1):
        raise ValueError(f"{name} must be in [0, 1), got {value!r:.80}")


def _switch(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)) and not (_is_whole(value) and value in (0, 1)):
        raise ValueError(f"{name} must be True or False, got {value!r:.80}")


def _options(name: str, value: Any) -> None:
    if value is not None and not (
        isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    ):
        raise ValueError(f"{name} must be a dictionary of options or None, got {value!r:.80}")


def _base(name: str, value: Any) -> None:
    base_of(FLOW, value)


def _missing(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in MISSING:
        raise ValueError(f"{name} must be 'error' or 'drop', got {value!r:.80}")


def _marginals(name: str, value: Any) -> None:
    each = value.values() if isinstance(value, Mapping) else [value]
    for one in each:
        words = isinstance(one, (tuple, list)) and len(one) > 0 and isinstance(one[0], str)
        if not (isinstance(one, str) or (words and all(map(_is_number, one[1:])))):
            raise ValueError(f"{name} must be 'identity', {MAPS}, got {one!r:.80}")


def _discrete(name: str, value: Any) -> None:
    names = isinstance(value, (Sequence, np.ndarray)) and all(isinstance(one, str) for one in value)
    if not (isinstance(value, str) or names):
        raise ValueError(
            f"{name} must be 'auto', 'none' or a list of names of columns, got {value!r:.80}"
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return bool(-float_info.max <= value <= float_info.max)


# `hidden` is a matter of the recipe, `random_state` of scikit-learn: they say it themselves.
CHECKS: dict[str, Check] = {
    "flow": _flow,
    "layers": _positive,
    "flow_options": _options,
    "base": _base,
    "members": _members,
    "marginals": _marginals,
    "discrete": _discrete,
    "whiten": _switch,
    "missing": _missing,
    "noise": _noise,
    "gaussian": _switch,
    "valid_fraction": _fraction,
    "steps": _positive,
    "batch_size": _positive,
    "learning_rate": _above_zero,
    "weight_decay": _not_negative,
    "verbose": _switch,
}

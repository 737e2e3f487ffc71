"""Checks of the parameters of an estimator, before a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.density.defaults import FLOW, check_base
from thalweg.density.rows.table import MISSING

MAPS = "'positive', ('interval', 0, 1), or a dictionary of such maps by column"
Check = Callable[[str, Any], object]


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise `ValueError` that names the first bad parameter and says what is accepted."""
    for name, check in CHECKS.items():
        check(name, parameters[name])


def _flow(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must name a recipe, such as {FLOW!r}, got {value!r:.80}")


def _switch(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_, Integral)) or value not in (0, 1):
        raise ValueError(f"{name} must be True or False, got {value!r:.80}")


def _options(name: str, value: Any) -> None:
    if value is not None and not (
        isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    ):
        raise ValueError(f"{name} must be a dictionary of options or None, got {value!r:.80}")


def _missing(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in MISSING:
        raise ValueError(f"{name} must be 'error' or 'drop', got {value!r:.80}")


def _marginals(name: str, value: Any) -> None:
    each = value.values() if isinstance(value, Mapping) else [value]
    for one in each:
        words = isinstance(one, (tuple, list)) and len(one) > 0 and isinstance(one[0], str)
        if not (isinstance(one, str) or words):
            raise ValueError(f"{name} must be 'identity', {MAPS}, got {one!r:.80}")
        for end in one[1:] if words else ():
            check_real_number(f"each end in {name}", end)


def _discrete(name: str, value: Any) -> None:
    names = isinstance(value, (Sequence, np.ndarray)) and all(isinstance(one, str) for one in value)
    if not (isinstance(value, str) or names):
        raise ValueError(
            f"{name} must be 'auto', 'none' or a list of names of columns, got {value!r:.80}"
        )


def _optional(check: Check) -> Check:
    """Return the check of a parameter that may be None."""
    return lambda name, value: None if value is None else check(name, value)


_count = _optional(check_whole_number)
_above_zero = partial(check_real_number, above=0)
_not_negative = partial(check_real_number, least=0)

# The recipe checks `hidden`, and scikit-learn `random_state`.
CHECKS: dict[str, Check] = {
    "flow": _flow,
    "layers": _count,
    "flow_options": _options,
    "base": lambda name, value: check_base(FLOW, value),
    "members": _count,
    "marginals": _marginals,
    "discrete": _discrete,
    "whiten": _switch,
    "missing": _missing,
    "noise": _optional(_not_negative),
    "gaussian": _switch,
    "valid_fraction": partial(check_real_number, least=0, below=1),
    "steps": _count,
    "batch_size": _count,
    "learning_rate": _optional(_above_zero),
    "weight_decay": _not_negative,
    "verbose": _switch,
}

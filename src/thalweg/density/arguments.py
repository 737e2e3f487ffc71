"""Checks of the parameters of an estimator, before a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.density.defaults import FLOW, check_base
from thalweg.density.rows.table import MISSING
from thalweg.training import check_effort

MAPS = "'positive', ('interval', 0, 1), or a dictionary of such maps by column"
Check = Callable[[str, Any], object]


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise `ValueError` that names the first bad parameter and says what is accepted."""
    for name, check in CHECKS.items():
        check(name, parameters[name])


def _expect(words: str, accepts: Callable[[Any], bool]) -> Check:
    """Return the check of a parameter that must be what the words say."""

    def check(name: str, value: Any) -> None:
        if not accepts(value):
            raise ValueError(f"{name} must {words}, got {value!r:.80}")

    return check


def _all_text(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _marginals(name: str, value: Any) -> None:
    each = value.values() if isinstance(value, Mapping) else [value]
    for one in each:
        words = isinstance(one, (tuple, list)) and len(one) > 0 and isinstance(one[0], str)
        if not (isinstance(one, str) or words):
            raise ValueError(f"{name} must be 'identity', {MAPS}, got {one!r:.80}")
        for end in one[1:] if words else ():
            check_real_number(f"each end in {name}", end)


def _optional(check: Check) -> Check:
    """Return the check of a parameter that may be None."""
    return lambda name, value: None if value is None else check(name, value)


_count = _optional(check_whole_number)
_above_zero = partial(check_real_number, above=0)
_not_negative = partial(check_real_number, least=0)
_switch = _expect(
    "be True or False",
    lambda value: isinstance(value, (bool, np.bool_, Integral)) and value in (0, 1),
)

# The recipe checks `hidden`, and scikit-learn `random_state`.
CHECKS: dict[str, Check] = {
    "flow": _expect(f"name a recipe, such as {FLOW!r}", lambda value: isinstance(value, str)),
    "layers": _count,
    "flow_options": _expect(
        "be a dictionary of options or None",
        lambda value: value is None or (isinstance(value, Mapping) and _all_text(value)),
    ),
    "base": lambda name, value: check_base(FLOW, value),
    "members": _count,
    "marginals": _marginals,
    "discrete": _expect(
        "be 'auto', 'none' or a list of names of columns",
        lambda value: isinstance(value, (Sequence, np.ndarray)) and _all_text(value),
    ),
    "whiten": _switch,
    "missing": _expect(
        "be 'error' or 'drop'", lambda value: isinstance(value, str) and value in MISSING
    ),
    "noise": _optional(_not_negative),
    "gaussian": _switch,
    "valid_fraction": partial(check_real_number, least=0, below=1),
    "steps": _count,
    "batch_size": _count,
    "learning_rate": _optional(_above_zero),
    "weight_decay": _not_negative,
    "time_limit": _optional(_above_zero),
    "effort": lambda name, value: check_effort(value),
    "verbose": _switch,
}

"""Data of a Stan program: read, held against what the program declares, and written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def read_data(data: Mapping[str, Any] | str | Path | None) -> Mapping[str, Any]:
    """Return a dictionary: the given one, that of a JSON file, or an empty one for None."""
    if data is None:
        return {}
    if isinstance(data, Mapping):
        return data
    if not isinstance(data, (str, Path)):
        kind = type(data).__name__
        raise ValueError(f"data must be a dictionary, the path of a JSON file or None, got {kind}")
    path = Path(data).expanduser()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no such data file: {data}") from None
    except OSError as error:
        raise ValueError(f"cannot read the data file {data}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the data file {data} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"the data file {data} must hold one JSON object of names and values")
    return found


def as_json(data: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """The data that program `name` declares, as JSON; what it does not declare is left out.

    Raises `ValueError` that names the variable where one is missing, is of another kind, or has
    another number of axes. How long axes are only the program itself can say.
    """
    found = {}
    for variable, declared in inputs.items():
        kind, axes = declared["type"], declared["dimensions"]
        if variable not in data:
            has = f"they have {', '.join(map(str, data))}" if data else "there are none"
            raise ValueError(f"the data lack {variable!r}, which {name} declares; {has}")
        found[variable] = _plain(variable, data[variable], kind, axes, name)
    return json.dumps(found)


def _plain(variable: str, value: Any, kind: Any, axes: int, name: str) -> Any:
    if kind not in ("int", "real"):  # a tuple, a complex number: Stan reads them as JSON has them
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"data variable {variable!r} is not rectangular") from None
    if array.size == 0:
        return array.tolist()
    if array.dtype.kind not in "biuf":
        array = _special(variable, value)
    if array.ndim != axes:
        known = {0: "a single number", 1: "an array with one axis"}
        wanted = known.get(axes, f"an array with {axes} axes")
        raise ValueError(
            f"data variable {variable!r} must be {wanted} for {name}, got shape {array.shape}"
        )
    if kind == "real":
        return array.astype(float).tolist()
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.round(array))):
        raise ValueError(f"data variable {variable!r} must be whole numbers for {name}")
    return array.astype(np.int64).tolist()


def _special(variable: str, value: Any) -> np.ndarray:
    """Read numbers with "NaN", "Inf" or "-Inf" among them, as Stan's JSON writes them."""
    entries = np.asarray(value, dtype=object)
    try:
        numbers = entries.astype(float)
    except (TypeError, ValueError):
        numbers = None
    words = [isinstance(entry, str) or entry is None for entry in entries.flat]
    if numbers is None or None in entries.flat or np.isfinite(numbers.ravel()[words]).any():
        raise ValueError(f"data variable {variable!r} must be numbers, got {value!r:.40}")
    return numbers

"""Shapes, supports and arrays of parameters: checked, and split into batches and numbers."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float

from thalweg.argument_checks import check_whole_numbers
from thalweg.parameters.labels import Shape
from thalweg.parameters.nested import Path, by_name, nested
from thalweg.supports import Support, as_support, real


def read_shapes(parameters: Any) -> dict[str, Shape]:
    """Return shapes by dotted name; `ValueError` for what are no names and shapes."""
    if not isinstance(parameters, Mapping) or not parameters:
        raise ValueError(f"parameters are a dictionary of names and shapes, got {parameters!r:.60}")
    shapes = {name: _shape(name, shape) for name, shape in by_name(parameters).items()}
    if not shapes:
        raise ValueError(f"these dictionaries hold no parameter: {parameters!r:.60}")
    return shapes


def _shape(name: str, shape: Any) -> Shape:
    try:
        return check_whole_numbers("sizes", shape if isinstance(shape, tuple | list) else (shape,))
    except ValueError:
        raise ValueError(
            f"the shape of {name!r} must be a tuple of positive whole numbers, such as () or (8,), "
            f"got {shape!r:.60}"
        ) from None


def read_supports(shapes: Mapping[str, Shape], supports: Any) -> dict[str, Support]:
    """Return the support of each name, real by default.

    Raises:
        ValueError: a support is unknown, does not fit the shape, or is of no parameter.
    """
    supports = {} if supports is None else supports
    if not isinstance(supports, Mapping):
        raise ValueError(
            "supports are a dictionary of names and supports, such as {'tau': 'positive'}, got "
            f"{supports!r:.60}"
        )
    asked = by_name(supports)
    for name in asked:
        if name not in shapes:
            close = difflib.get_close_matches(name, list(shapes), 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(
                f"a support is given for {name!r}, which is no parameter{hint}; parameters: "
                f"{', '.join(shapes)}"
            )
    found = {}
    for name, shape in shapes.items():
        try:
            found[name] = as_support(asked.get(name, real))
            found[name].free(shape)
        except ValueError as error:
            raise ValueError(f"parameter {name!r}: {error}") from None
    return found


def read_names(tree: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return entries by dotted name; `ValueError` where one is missing or no parameter."""
    given = by_name(tree)
    missing = [name for name in shapes if name not in given]
    extra = [name for name in given if name not in shapes]
    if missing or extra:
        found = f"{missing[0]!r} is missing" if missing else f"{extra[0]!r} is none"
        raise ValueError(f"parameters are {', '.join(shapes)}; {found}")
    return given


def split_batch(
    arrays: Mapping[str, Float[Array, "*_array"]], shapes: Mapping[str, Shape]
) -> tuple[Shape, dict[str, Array]]:
    """Return the batch shape of arrays (*batch, *shape), and arrays (n, *shape) by name.

    Raises:
        ValueError: an array is of another shape, or the batches differ.
    """
    batches = set()
    for name, x in arrays.items():
        shape = shapes[name]
        batches.add(x.shape[: x.ndim - len(shape)])
        if x.shape[x.ndim - len(shape) :] != shape or x.ndim < len(shape) or len(batches) > 1:
            raise ValueError(
                f"parameter {name!r} has shape {shape}, with the same batch in front as the "
                f"others, got {x.shape}"
            )
    batch = batches.pop()
    n = math.prod(batch)  # not −1: a parameter may have no numbers at all
    return batch, {name: x.reshape(n, *shapes[name]) for name, x in arrays.items()}


def split_numbers(
    rows: Float[Array, "*batch size"], shapes: Mapping[str, Shape]
) -> dict[str, Array]:
    """Return the numbers of each parameter, (*batch, *shape) by name."""
    found, begin = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        found[name] = rows[..., begin : begin + size].reshape(*rows.shape[:-1], *shape)
        begin += size
    return found


def read_record(
    record: Mapping[str, Any] | None,
) -> tuple[dict[str, Shape], dict[str, Support], dict[str, Path]] | None:
    """Return shapes, supports and paths of a record; None where one is missing or unnamed."""
    if record is None:
        return None
    try:
        supports = {name: as_support(word) for name, word in record["supports"].items()}
    except ValueError:
        return None
    shapes = {name: tuple(shape) for name, shape in record["shapes"].items()}
    # In old records without paths all dots are those of nested dictionaries.
    split = {name: name.split(".") for name in shapes if "." in name}
    paths = {name: tuple(path) for name, path in record.get("paths", split).items()}
    if not all(paths.values()) or by_name(nested(shapes, paths)).keys() != shapes.keys():
        raise ValueError("the paths of the parameters do not lead to their names")
    return shapes, supports, paths

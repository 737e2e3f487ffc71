"""Chains as ArviZ objects, of ArviZ 0.x and 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.parameters import Parameters


def arviz_of(
    draws: Float[np.ndarray, "chains n d"],
    names: tuple[str, ...],
    parameters: Parameters | None,
    facts: Mapping[str, Any],
) -> Any:
    """Return InferenceData (ArviZ 0.x) or a DataTree (1.x), with `facts` as its attributes.

    Variables are the named parameters, or one for each coordinate; in a DataTree, whose names hold
    no slashes, these become dots. Raises `ValueError` where ArviZ is not installed.
    """
    chains, n, dim = draws.shape
    flat: Mapping[str, Any]
    if parameters is None:
        flat = {name: draws[..., i] for i, name in enumerate(names)}
    else:
        trees = parameters.trees(draws.reshape(-1, dim))
        flat = parameters.by_name(trees)
    arrays = {k: np.asarray(v).reshape(chains, n, *_event(v, parameters)) for k, v in flat.items()}
    try:
        found = _from_dict(arrays)
    except ModuleNotFoundError as error:
        raise ValueError(f"to_arviz needs {error.name}: pip install 'thalweg[arviz]'") from None
    found["posterior"].attrs.update(inference_library="thalweg", **facts)
    return found


def _event(value: Any, parameters: Parameters | None) -> tuple[int, ...]:
    return () if parameters is None else tuple(np.shape(value)[1:])


def _from_dict(chains: dict[str, np.ndarray]) -> Any:
    try:
        from arviz_base import from_dict  # ArviZ 1.x
    except ModuleNotFoundError:
        from arviz import from_dict  # 0.x

        return from_dict(posterior=chains)
    # Variables of a DataTree have no slashes in their names, since those are paths there.
    names = {name: name.replace("/", ".") for name in chains}
    if len(set(names.values())) < len(names):
        raise ValueError("names of parameters with '/' would be the same as others with '.'")
    return from_dict({"posterior": {names[name]: draws for name, draws in chains.items()}})

"""Model files: tensors and a JSON description, without executable content.

A file has the format of safetensors. Its metadata hold a JSON tree of class *names* and plain
values; loading looks each name up in `Module.registry` (old names go through `renamed.CLASSES`) and
fills the fields, so a file from a stranger can at worst fail to load. Writing goes to a temporary
name first, which then becomes the file's.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from thalweg.files.reading import shown
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.renamed import CLASSES
from thalweg.serialization.loaded_models import MOST_MODULES, check_field
from thalweg.tree import Module

FORMAT = "thalweg-1"


def _encode(node: Any, tensors: dict[str, np.ndarray], path: str) -> Any:
    if isinstance(node, Module):
        fields = {
            f.name: _encode(getattr(node, f.name), tensors, f"{path}.{f.name}")
            for f in dataclasses.fields(node)
        }
        return {"module": type(node).__name__, "fields": fields}
    if isinstance(node, (jax.Array, np.ndarray)):
        tensors[path] = np.asarray(node)
        return {"tensor": path}
    if isinstance(node, dict):
        items = {key: _encode(value, tensors, f"{path}.{key}") for key, value in node.items()}
        return {"dict": items}
    if isinstance(node, (list, tuple)) and not hasattr(node, "_fields"):
        kind = "tuple" if isinstance(node, tuple) else "list"
        return {kind: [_encode(v, tensors, f"{path}.{i}") for i, v in enumerate(node)]}
    if node is None or isinstance(node, (bool, int, float, str)):
        return {"value": node}
    raise TypeError(f"cannot save {path}: a {type(node).__name__} has no place in a model file")


class _Decoder:
    """Builds a model from its description; every array is used once, as it was saved."""

    def __init__(self, tensors: Mapping[str, np.ndarray], where: str):
        self.left, self.where, self.modules = dict(tensors), where, 0

    def decode(self, spec: Any) -> Any:
        where = self.where
        if not isinstance(spec, dict) or len(spec.keys() - {"fields"}) != 1:
            raise ValueError(f"{where}: the description is malformed")
        if "value" in spec:
            value = spec["value"]
            if value is not None and not isinstance(value, (bool, int, float, str)):
                raise ValueError(f"{where}: a value is a {type(value).__name__}")
            return value
        if "tensor" in spec:
            if spec["tensor"] not in self.left:
                raise ValueError(f"{where}: tensor {spec['tensor']!r:.80} is missing")
            return jnp.asarray(self.left.pop(spec["tensor"]))
        if "dict" in spec:
            return {key: self.decode(value) for key, value in spec["dict"].items()}
        if "list" in spec:
            return [self.decode(value) for value in _entries(spec["list"])]
        if "tuple" in spec:
            return tuple(self.decode(value) for value in _entries(spec["tuple"]))
        return self.module(spec)

    def module(self, spec: dict[str, Any]) -> Module:
        where, name = self.where, spec.get("module")
        kind = _find_class(name) if isinstance(name, str) else None
        if kind is None:
            raise ValueError(
                f"{where} holds a {name!r:.80}, which is not known here; "
                "import the module that defines it and load again"
            )
        if inspect.isabstract(kind):
            raise ValueError(f"{where} holds a {name}, of which there are only special cases")
        self.modules += 1
        if self.modules > MOST_MODULES:
            raise ValueError(f"{where} holds more than {MOST_MODULES} parts")
        expected = {f.name for f in dataclasses.fields(kind)}
        if expected != set(spec.get("fields", {})):
            raise ValueError(f"{where}: {name} was saved with other fields than it has now")
        module = object.__new__(kind)
        for field, said in spec["fields"].items():
            value = self.decode(said)
            try:
                check_field(kind, field, value)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            object.__setattr__(module, field, value)
        return module


def _find_class(name: str) -> type[Module] | None:
    """Return the class of a name, or the renamed class that had it."""
    return Module.registry.get(name) or Module.registry.get(CLASSES.get(name, ""))


def _entries(node: Any) -> list[Any]:
    if not isinstance(node, list):
        raise TypeError(f"a {type(node).__name__} is no list")
    return node


def save(path: str | Path, obj: Module) -> None:
    """Save a flow, bijection or distribution to one file.

    Raises `TypeError` for what is none of these and `OSError` where the path cannot be written.
    """
    if not isinstance(obj, Module):
        raise TypeError(
            f"only flows, bijections and distributions can be saved, got {type(obj).__name__}"
        )
    tensors: dict[str, np.ndarray] = {}
    spec = _encode(obj, tensors, "root")
    write_tensors(path, tensors, {"format": FORMAT, "spec": json.dumps(spec)})


def load(path: str | Path) -> Any:
    """Load what `save` wrote: bit-identical arrays, and no code from the file is ever run.

    Raises `ValueError` in one sentence for a file that is missing, damaged or of another kind.
    """
    # A file may name the classes that have been imported.
    import thalweg.bijections
    import thalweg.distributions
    import thalweg.nets  # noqa: F401

    tensors, metadata = read_tensors(path)
    where = shown(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{where} is not a thalweg model file")
    try:
        spec = json.loads(metadata["spec"])
    except (KeyError, ValueError, RecursionError):
        raise ValueError(f"{where}: the description is malformed") from None
    decoder = _Decoder(tensors, where)
    try:
        loaded = decoder.decode(spec)
    except (TypeError, AttributeError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{where}: the description is malformed ({type(error).__name__} {error!s:.100})"
        ) from None
    if not isinstance(loaded, Module):
        raise ValueError(f"{where} holds no model")
    if decoder.left:
        raise ValueError(f"{where}: tensor {min(decoder.left)!r:.80} has no place in the model")
    return loaded


def save_leaves(path: str | Path, tree: PyTree, metadata: Mapping[str, str]) -> None:
    """Write the array leaves of a tree in order: a checkpoint, read back into the same tree."""
    leaves = [_raw(leaf) for leaf in jax.tree.leaves(tree)]
    tensors = {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    write_tensors(path, tensors, metadata)


def load_leaves(path: str | Path, like: PyTree) -> tuple[PyTree, dict[str, str]]:
    """Read what `save_leaves` wrote into a tree like `like`.

    Raises `ValueError` where the file does not fit the tree.
    """
    tensors, metadata = read_tensors(path)
    leaves, structure = jax.tree.flatten(like)
    values = [tensors.get(f"{i:05d}") for i in range(len(leaves))]
    fits = len(tensors) == len(leaves) and all(
        value is not None and value.shape == _raw(leaf).shape and value.dtype == _raw(leaf).dtype
        for value, leaf in zip(values, leaves, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{path} does not belong to this run, or another version of thalweg wrote it: its "
            "arrays have other shapes; remove the run and begin it anew"
        )
    filled = [
        jax.random.wrap_key_data(jnp.asarray(value)) if _is_key(leaf) else jnp.asarray(value)
        for value, leaf in zip(values, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, filled), metadata


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf

"""Model files: tensors and a JSON description, and nothing that runs.

A file is a safetensors archive. Its metadata holds a JSON tree of class *names* and plain values;
loading looks each name up in `Module.registry` and fills the fields, so a file from a stranger
can at worst fail to load. Writing goes to a temporary name first and is renamed into place.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from thalweg.tree import Module

FORMAT = "thalweg-1"


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, rename it into place.

    A reader, or a run killed in the middle, sees the old file or the new one and never half of
    one. Raises `OSError` (a full disk, a folder that cannot be written) and leaves nothing.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; a result need not be
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_tensors(
    path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file atomically."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    # A contiguous copy of a scalar has one axis; safetensors keeps the shape it is given.
    shaped = {name: contiguous[name].reshape(np.shape(tensors[name])) for name in tensors}
    write_atomically(path, lambda temporary: save_file(shaped, temporary, dict(metadata)))


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file; `ValueError` in one sentence if it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as archive:
            metadata = archive.metadata() or {}
            return {name: archive.get_tensor(name) for name in archive.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged or not a model file ({error})") from None


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


def _decode(spec: Any, tensors: Mapping[str, np.ndarray], where: str) -> Any:
    if not isinstance(spec, dict) or len(spec.keys() - {"fields"}) != 1:
        raise ValueError(f"{where}: the description is malformed")
    if "value" in spec:
        return spec["value"]
    if "tensor" in spec:
        if spec["tensor"] not in tensors:
            raise ValueError(f"{where}: tensor {spec['tensor']!r} is missing")
        return jnp.asarray(tensors[spec["tensor"]])
    if "dict" in spec:
        return {key: _decode(value, tensors, where) for key, value in spec["dict"].items()}
    if "list" in spec:
        return [_decode(value, tensors, where) for value in spec["list"]]
    if "tuple" in spec:
        return tuple(_decode(value, tensors, where) for value in spec["tuple"])
    name = spec.get("module")
    if name not in Module.registry:
        raise ValueError(
            f"{where} holds a {name!r}, which is not known here; "
            "import the module that defines it and load again"
        )
    kind = Module.registry[name]
    expected = {f.name for f in dataclasses.fields(kind)}
    if expected != set(spec.get("fields", {})):
        raise ValueError(f"{where}: {name} was saved with other fields than it has now")
    module = object.__new__(kind)
    for field, value in spec["fields"].items():
        object.__setattr__(module, field, _decode(value, tensors, where))
    return module


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
    # The classes a file may name are those that have been imported.
    import thalweg.bijections.registry
    import thalweg.distributions
    import thalweg.nets  # noqa: F401

    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is not a thalweg model file")
    try:
        spec = json.loads(metadata["spec"])
    except (KeyError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{path}: the description is malformed") from None
    try:
        loaded = _decode(spec, tensors, str(path))
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path}: the description is malformed ({error})") from None
    if not isinstance(loaded, Module):
        raise ValueError(f"{path} holds no model")
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
        raise ValueError(f"{path} does not belong to this run: its arrays have other shapes")
    filled = [
        jax.random.wrap_key_data(jnp.asarray(value)) if _is_key(leaf) else jnp.asarray(value)
        for value, leaf in zip(values, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, filled), metadata


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf

"""Trees of parameters: modules, frozen leaves, names of leaves."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

Tree = TypeVar("Tree")


class Module(eqx.Module):
    """An Equinox module whose class can be found again by name when a model file is read.

    Subclassing is all it takes: a saved model stores class *names*, and loading looks them up
    here, so a file can never make Python import anything.
    """

    registry: ClassVar[dict[str, type[Module]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = Module.registry.get(cls.__name__)
        same_place = known is not None and known.__module__ == cls.__module__
        # A notebook cell that is run twice redefines its class; two classes of one name in two
        # modules would make model files ambiguous.
        if known is not None and not same_place and known.__module__.startswith("thalweg."):
            raise TypeError(
                f"the class name {cls.__name__!r} is taken by {known.__module__}; "
                "model files find classes by name, so choose another"
            )
        Module.registry[cls.__name__] = cls


class Frozen(Module):
    """Arrays that are saved with the model and never trained. Calling it gives the value.

    A stop-gradient alone would still let weight decay move them, so `split_trainable` also
    leaves them out of what the optimiser sees.
    """

    value: PyTree

    def __call__(self) -> PyTree:
        return jax.lax.stop_gradient(self.value)


def _is_frozen(node: Any) -> bool:
    return isinstance(node, Frozen)


def split_trainable(tree: PyTree) -> tuple[PyTree, PyTree]:
    """Split a tree into trainable leaves and the rest; `eqx.combine` joins them again.

    Trainable are the floating-point arrays that are not under a `Frozen`.
    """

    def mark(node: Any) -> Any:
        if _is_frozen(node):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    return eqx.partition(tree, jax.tree.map(mark, tree, is_leaf=_is_frozen))


def leaf_names(tree: PyTree) -> list[str]:
    """Return the dotted names of the leaves, in the order of `jax.tree.leaves`."""
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [jax.tree_util.keystr(path).lstrip(".") for path, _ in paths]


def count_parameters(tree: PyTree) -> int:
    """Return the number of trainable numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(split_trainable(tree)[0]))


def stack_of_one(tree: PyTree) -> PyTree:
    """Add a leading axis of one to every array leaf: a stack of one restart for `train`."""
    return jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, tree)


def pick(index: int, tree: PyTree) -> PyTree:
    """Return entry `index` of every array leaf's leading axis, via the host (no compiling)."""
    arrays, static = eqx.partition(tree, eqx.is_array)
    chosen = jax.tree.map(lambda leaf: np.asarray(leaf[index]), jax.device_get(arrays))
    return eqx.combine(jax.device_put(chosen), static)


def replace_fields(module: Tree, **fields: Any) -> Tree:
    """Return a copy of a module with other values in some fields, static ones too."""
    copy = object.__new__(type(module))
    for field in dataclasses.fields(module):  # type: ignore[arg-type]
        value = fields.get(field.name, getattr(module, field.name))
        object.__setattr__(copy, field.name, value)
    return copy


def x64_enabled() -> bool:
    """Return whether JAX's x64 mode is on."""
    return bool(cast(Any, jax.config).jax_enable_x64)


def default_float() -> jnp.dtype:
    """Return float64 when JAX's x64 mode is on, else float32."""
    return jnp.dtype(jnp.float64 if x64_enabled() else jnp.float32)


def float_dtype(tree: PyTree) -> jnp.dtype:
    """Return the floating-point type of a model's arrays; JAX's default where it has none."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    return jnp.result_type(*dtypes) if dtypes else default_float()

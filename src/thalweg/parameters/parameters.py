"""Parameters with names, shapes and supports, over a flat unconstrained vector."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from thalweg.argument_checks import check_whole_numbers
from thalweg.parameters.labels import Shape as Shape
from thalweg.parameters.labels import labels, titles
from thalweg.parameters.nested import Path, by_name, nested, paths
from thalweg.supports import Support, as_support, real
from thalweg.tree import default_float

Tree = dict[str, Any]  # a dict of arrays, or of such dicts


@dataclass(frozen=True)
class Parameters:
    """Names with the shapes and supports of the parameters of a model.

    `shapes` and `supports` go by name, in the order of declaration. The constrained view is a
    dictionary of arrays, the unconstrained one a flat vector of `dim` numbers, all real. A name is
    an opaque key, whatever is in it. `paths` has the keys of parameters declared in nested
    dictionaries; the name is then these keys, joined by dots. Make one with `Parameters.declare`.
    """

    shapes: Mapping[str, Shape]
    supports: Mapping[str, Support]
    paths: Mapping[str, Path] = field(default_factory=dict, kw_only=True)

    @classmethod
    def declare(
        cls,
        parameters: Mapping[str, Any],
        supports: Mapping[str, str | Support] | None = None,
    ) -> Parameters:
        """Return parameters for {"mu": (), "theta": (8,)} and {"mu": "positive"}; real by default.

        A shape is a tuple or a whole number; dictionaries may be nested, supports then too or by
        dotted names. Raises `ValueError` that names the parameter for names that are no strings,
        invalid shapes, shapes that do not fit the support, and supports of no parameter.
        """
        if not isinstance(parameters, Mapping) or not parameters:
            raise ValueError(
                f"parameters are a dictionary of names and shapes, got {parameters!r:.60}"
            )
        shapes = {name: _shape(name, shape) for name, shape in by_name(parameters).items()}
        if not shapes:
            raise ValueError(f"these dictionaries hold no parameter: {parameters!r:.60}")
        if supports is not None and not isinstance(supports, Mapping):
            raise ValueError(
                "supports are a dictionary of names and supports, such as {'tau': 'positive'}, got "
                f"{supports!r:.60}"
            )
        asked = by_name(supports or {})
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
        return cls(shapes, found, paths=paths(parameters))

    # --- sizes and names -------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """The number of unconstrained numbers."""
        return sum(math.prod(shape) for shape in self._free.values())

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every constrained number: mu, theta[0], theta[1], L[0,0]; all different."""
        title = titles(self.shapes, self._free)
        shapes = self.shapes.items()
        return tuple(label for name, shape in shapes for label in labels(title[name], shape))

    @property
    def coordinates(self) -> tuple[str, ...]:
        """A name for every unconstrained number; u(…) where it is not the parameter itself."""
        found: list[str] = []
        title = titles(self.shapes, self._free)
        for name, shape in self._free.items():
            own = labels(title[name], shape)
            found += own if self.supports[name] == real else [f"u({label})" for label in own]
        return tuple(found)

    @property
    def _free(self) -> dict[str, Shape]:
        return {name: self.supports[name].free(shape) for name, shape in self.shapes.items()}

    # --- there and back --------------------------------------------------------------------------

    def constrain(self, u: Float[Array, " dim"]) -> tuple[Tree, Float[Array, ""]]:
        """Return the parameters at a flat point, and ln|det| of the map there, in nats."""
        u = jnp.asarray(u)
        if u.shape != (self.dim,):
            raise ValueError(f"unconstrained parameters have shape ({self.dim},), got {u.shape}")
        flat: dict[str, Array] = {}
        total = jnp.zeros((), u.dtype)
        for name, piece in self.pieces(u).items():
            flat[name], log_det = self.supports[name].constrain(piece, flat)
            total = total + log_det
        return nested(flat, self.paths), total

    def pieces(self, u: Float[Array, " dim"]) -> dict[str, Array]:
        """Split a flat point into the unconstrained numbers of each parameter, in their shapes."""
        found, begin = {}, 0
        for name, shape in self._free.items():
            size = math.prod(shape)
            found[name] = u[begin : begin + size].reshape(shape)
            begin += size
        return found

    def unconstrain(self, tree: Mapping[str, Any]) -> Float[Array, "*batch dim"]:
        """Return the flat points of parameters (*batch, *shape).

        Raises `ValueError` that names the parameter where one is missing, is of another shape, or
        lies outside its support.
        """
        batch, rows = self._by_row(tree)
        u, inside = jax.vmap(self._unconstrained)(rows)
        for name in self.shapes:
            if not bool(jnp.all(inside[name])):
                wrong = np.asarray(rows[name][int(jnp.argmin(inside[name]))])
                shown = np.array2string(wrong, precision=4, threshold=6)
                raise ValueError(
                    f"parameter {name!r} is {shown}, outside its support {self.supports[name]}"
                )
        return u.reshape(*batch, self.dim)

    def _by_row(self, tree: Mapping[str, Any]) -> tuple[Shape, dict[str, Array]]:
        """Return the batch shape, and arrays (n, *shape) by name; `ValueError` for other shapes."""
        flat = self._flat(tree)
        batches = set()
        for name, x in flat.items():
            shape = self.shapes[name]
            batches.add(x.shape[: x.ndim - len(shape)])
            if x.shape[x.ndim - len(shape) :] != shape or x.ndim < len(shape) or len(batches) > 1:
                raise ValueError(
                    f"parameter {name!r} has shape {shape}, with the same batch in front as the "
                    f"others, got {x.shape}"
                )
        batch = batches.pop()
        n = math.prod(batch)  # not −1: a parameter may have no numbers at all
        return batch, {name: x.reshape(n, *self.shapes[name]) for name, x in flat.items()}

    def _unconstrained(self, flat: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return the flat point, and which parameters lie in their supports."""
        parts, inside = [], {}
        given: dict[str, Array] = {}
        for name in self.shapes:  # JAX sorts dictionaries
            x = flat[name]
            inside[name] = self.supports[name].holds(x, given)
            parts.append(jnp.ravel(self.supports[name].unconstrain(x, given)))
            given[name] = x
        return jnp.concatenate(parts), inside

    def log_det(self, u: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """ln|det| of the map from unconstrained points to parameters, in nats."""
        found = jax.vmap(lambda point: self.constrain(point)[1])(u.reshape(-1, self.dim))
        return found.reshape(u.shape[:-1])

    def trees(self, u: Float[ArrayLike, "n dim"]) -> Tree:
        """Return parameters of many points: arrays (n, *shape)."""
        return jax.vmap(lambda point: self.constrain(point)[0])(jnp.asarray(u, default_float()))

    def by_name(self, tree: Mapping[str, Any]) -> dict[str, Array]:
        """Arrays by name, in the order of declaration."""
        return self._flat(tree)

    def rows(self, tree: Mapping[str, Any]) -> Float[np.ndarray, "n size"]:
        """Return parameters of many points as rows of numbers, with columns by `names`."""
        flat = self._flat(tree).values()
        wide = [np.asarray(x) for x in flat]
        return np.concatenate([x.reshape(len(x), math.prod(x.shape[1:])) for x in wide], axis=1)

    def from_rows(self, rows: Float[ArrayLike, "n size"]) -> Tree:
        """The inverse of `rows`."""
        values = jnp.asarray(rows, default_float())
        flat, begin = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            flat[name] = values[:, begin : begin + size].reshape(len(values), *shape)
            begin += size
        return nested(flat, self.paths)

    def _flat(self, tree: Mapping[str, Any]) -> dict[str, Array]:
        """Arrays by name, in the order of declaration."""
        given = by_name(tree)
        missing = [name for name in self.shapes if name not in given]
        extra = [name for name in given if name not in self.shapes]
        if missing or extra:
            said = f"{missing[0]!r} is missing" if missing else f"{extra[0]!r} is none"
            raise ValueError(f"parameters are {', '.join(self.shapes)}; {said}")
        return {name: jnp.asarray(given[name], default_float()) for name in self.shapes}

    # --- records ---------------------------------------------------------------------------------

    def to_record(self) -> dict[str, Any]:
        """Return the parameters for JSON; bounds that are functions are only mentioned."""
        return {
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "supports": {name: str(support) for name, support in self.supports.items()},
            "paths": {name: list(path) for name, path in self.paths.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Parameters | None:
        """The inverse of `to_record`; None for no record, and where a support has no name."""
        if record is None:
            return None
        try:
            supports = {name: as_support(word) for name, word in record["supports"].items()}
        except ValueError:
            return None
        shapes = {name: tuple(shape) for name, shape in record["shapes"].items()}
        # In old records without paths all dots are those of nested dictionaries.
        split = {name: name.split(".") for name in shapes if "." in name}
        stored = record.get("paths", split)
        found = cls(shapes, supports, paths={name: tuple(path) for name, path in stored.items()})
        empty = any(not path for path in found.paths.values())
        if empty or by_name(nested(shapes, found.paths)).keys() != shapes.keys():
            raise ValueError("the paths of the parameters do not lead to their names")
        return found

    def __str__(self) -> str:
        parts = [
            f"{name} {self.supports[name]}{list(shape) if shape else ''}"
            for name, shape in self.shapes.items()
        ]
        return ", ".join(parts)


def _shape(name: str, shape: Any) -> Shape:
    given = (shape,) if isinstance(shape, (int, np.integer)) else shape
    try:
        return check_whole_numbers("sizes", given)
    except ValueError:
        raise ValueError(
            f"the shape of {name!r} must be a tuple of positive whole numbers, such as () or (8,), "
            f"got {shape!r:.60}"
        ) from None

"""Parameters with names, shapes and supports, over a flat unconstrained vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from thalweg.parameters.checks import (
    read_names,
    read_record,
    read_shapes,
    read_supports,
    split_batch,
    split_numbers,
)
from thalweg.parameters.labels import Shape as Shape
from thalweg.parameters.labels import labels, titles
from thalweg.parameters.nested import Path, nested, paths
from thalweg.supports import Support, real
from thalweg.tree import default_float

Tree = dict[str, Any]  # a dict of arrays, or of such dicts


@dataclass(frozen=True)
class Parameters:
    """Names with the shapes and supports of the parameters of a model.

    The constrained view is a dictionary of arrays, the unconstrained one a flat vector of `dim`
    real numbers. A name is an opaque key. Make one with `Parameters.declare`.

    Args:
        shapes: the shape of each name, in the order of declaration.
        supports: the support of each name.
        paths: the keys of parameters in nested dictionaries; joined by dots they are names.

    Example:
        >>> import thalweg as tw
        >>> parameters = tw.Parameters.declare({"mu": (), "tau": (2,)}, {"tau": "positive"})
        >>> parameters.dim, parameters.names
        (3, ('mu', 'tau[0]', 'tau[1]'))
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

        Args:
            parameters: shapes by name, tuples or whole numbers; dictionaries may be nested.
            supports: supports by name, nested in the same way or by dotted names.

        Raises:
            ValueError: a name, a shape or a support is invalid, or they do not fit.
        """
        shapes = read_shapes(parameters)
        return cls(shapes, read_supports(shapes, supports), paths=paths(parameters))

    @property
    def dim(self) -> int:
        """The number of unconstrained numbers."""
        return sum(math.prod(shape) for shape in self._free.values())

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every constrained number: mu, theta[0], theta[1], L[0,0]; all different."""
        title = titles(self.shapes, self._free)
        return tuple(label for name in title for label in labels(title[name], self.shapes[name]))

    @property
    def coordinates(self) -> tuple[str, ...]:
        """A name for every unconstrained number; u(…) where it is not the parameter itself."""
        title = titles(self.shapes, self._free)
        free = ((name, label) for name in title for label in labels(title[name], self._free[name]))
        return tuple(
            label if self.supports[name] == real else f"u({label})" for name, label in free
        )

    @property
    def _free(self) -> dict[str, Shape]:
        return {name: self.supports[name].free(shape) for name, shape in self.shapes.items()}

    def constrain(self, u: Float[Array, " dim"]) -> tuple[Tree, Float[Array, ""]]:
        """Return the parameters at a flat point.

        Args:
            u: the point (dim,).

        Returns:
            Arrays by name, nested as they were declared, and ln|det| of the map in nats.

        Raises:
            ValueError: the point is of another shape.

        Example:
            >>> import jax.numpy as jnp, thalweg as tw
            >>> parameters = tw.Parameters.declare({"tau": ()}, {"tau": "positive"})
            >>> tree, log_det = parameters.constrain(jnp.zeros(1))
            >>> float(tree["tau"]), float(log_det)
            (1.0, 0.0)
        """
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
        """Split a flat point into the unconstrained numbers of each parameter.

        Args:
            u: the point (dim,).

        Returns:
            Arrays by name, in the shapes of what is free.

        Example:
            >>> import jax.numpy as jnp, thalweg as tw
            >>> tw.Parameters.declare({"p": (3,)}, {"p": "simplex"}).pieces(jnp.zeros(2))["p"].shape
            (2,)
        """
        return split_numbers(u, self._free)

    def unconstrain(self, tree: Mapping[str, Any]) -> Float[Array, "*batch dim"]:
        """Return the flat points of parameters.

        Args:
            tree: arrays (*batch, *shape) by name.

        Returns:
            Points (*batch, dim).

        Raises:
            ValueError: a parameter is missing, of another shape, or outside its support.

        Example:
            >>> import thalweg as tw
            >>> parameters = tw.Parameters.declare({"tau": ()}, {"tau": "positive"})
            >>> parameters.unconstrain({"tau": [1.0, 1.0]}).tolist()
            [[0.0], [0.0]]
        """
        batch, rows = split_batch(self.by_name(tree), self.shapes)
        u, inside = jax.vmap(self._unconstrained)(rows)
        for name in self.shapes:
            if not bool(jnp.all(inside[name])):
                wrong = np.asarray(rows[name][int(jnp.argmin(inside[name]))])
                shown = np.array2string(wrong, precision=4, threshold=6)
                raise ValueError(
                    f"parameter {name!r} is {shown}, outside its support {self.supports[name]}"
                )
        return u.reshape(*batch, self.dim)

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
        """Return ln|det| of the map from unconstrained points to parameters.

        Args:
            u: points (*batch, dim).

        Returns:
            Nats (*batch,).

        Example:
            >>> import jax.numpy as jnp, thalweg as tw
            >>> parameters = tw.Parameters.declare({"tau": ()}, {"tau": "positive"})
            >>> parameters.log_det(jnp.array([[0.0], [2.0]])).tolist()
            [0.0, 2.0]
        """
        found = jax.vmap(lambda point: self.constrain(point)[1])(u.reshape(-1, self.dim))
        return found.reshape(u.shape[:-1])

    def trees(self, u: Float[ArrayLike, "n dim"]) -> Tree:
        """Return the parameters of many points.

        Args:
            u: points (n, dim).

        Returns:
            Arrays (n, *shape) by name, nested as they were declared.

        Example:
            >>> import numpy as np, thalweg as tw
            >>> tw.Parameters.declare({"a": (), "b": (8,)}).trees(np.zeros((5, 9)))["b"].shape
            (5, 8)
        """
        return jax.vmap(lambda point: self.constrain(point)[0])(jnp.asarray(u, default_float()))

    def by_name(self, tree: Mapping[str, Any]) -> dict[str, Array]:
        """Return arrays by dotted name.

        Args:
            tree: arrays by name, nested or not.

        Returns:
            The arrays in the order of declaration.

        Raises:
            ValueError: a parameter is missing, or a name is none.

        Example:
            >>> import thalweg as tw
            >>> flat = tw.Parameters.declare({"b": {"x": ()}, "a": ()}).by_name
            >>> list(flat({"a": 1.0, "b": {"x": 2.0}}))
            ['b.x', 'a']
        """
        given = read_names(tree, self.shapes)
        return {name: jnp.asarray(given[name], default_float()) for name in self.shapes}

    def rows(self, tree: Mapping[str, Any]) -> Float[np.ndarray, "n size"]:
        """Return parameters of many points as rows of numbers.

        Args:
            tree: arrays (n, *shape) by name.

        Returns:
            Rows (n, size), with columns by `names`.

        Example:
            >>> import numpy as np, thalweg as tw
            >>> parameters = tw.Parameters.declare({"mu": (), "theta": (2,)})
            >>> parameters.rows({"mu": np.zeros(3), "theta": np.ones((3, 2))})[0].tolist()
            [0.0, 1.0, 1.0]
        """
        wide = [np.asarray(x) for x in self.by_name(tree).values()]
        return np.concatenate([x.reshape(len(x), math.prod(x.shape[1:])) for x in wide], axis=1)

    def from_rows(self, rows: Float[ArrayLike, "n size"]) -> Tree:
        """Return the parameters of rows of numbers: the inverse of `rows`.

        Args:
            rows: (n, size), with columns by `names`.

        Returns:
            Arrays (n, *shape) by name, nested as they were declared.

        Example:
            >>> import numpy as np, thalweg as tw
            >>> tw.Parameters.declare({"a": (), "b": (2,)}).from_rows(np.zeros((3, 3)))["b"].shape
            (3, 2)
        """
        values = jnp.asarray(rows, default_float())
        return nested(split_numbers(values, self.shapes), self.paths)

    def to_record(self) -> dict[str, Any]:
        """Return the parameters for JSON.

        Returns:
            Shapes, supports and paths by name; bounds that are functions are only mentioned.

        Example:
            >>> import thalweg as tw
            >>> tw.Parameters.declare({"tau": ()}, {"tau": "positive"}).to_record()["supports"]
            {'tau': 'positive'}
        """
        return {
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "supports": {name: str(support) for name, support in self.supports.items()},
            "paths": {name: list(path) for name, path in self.paths.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Parameters | None:
        """Return the parameters of a record; None without one, and where a support has no name."""
        found = read_record(record)
        return None if found is None else cls(found[0], found[1], paths=found[2])

    def __str__(self) -> str:
        parts = [
            f"{name} {self.supports[name]}{list(shape) if shape else ''}"
            for name, shape in self.shapes.items()
        ]
        return ", ".join(parts)

"""Parameters of a Stan program whose maps only the program knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from thalweg.parameters import Parameters, Shape, Tree
from thalweg.parameters.checks import split_batch
from thalweg.supports import Support, real
from thalweg.supports.support import Given
from thalweg.targets.frameworks.stan.callbacks import call_outside
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel
from thalweg.tree import default_float


@dataclass(frozen=True)
class ByStan(Support):
    """A support that only the program knows: its map needs all of the parameters at once.

    `size` is how many unconstrained numbers there are; `itself` says that they are the parameter's
    own in another order.
    """

    size: int
    itself: bool = False

    def free(self, shape: Shape) -> Shape:
        return (self.size,)

    def constrain(self, u: Any, given: Given) -> NoReturn:
        raise TypeError("the map of a Stan program is not one of single parameters")

    def unconstrain(self, x: Any, given: Given) -> NoReturn:
        self.constrain(x, given)

    def holds(self, x: Any, given: Given) -> NoReturn:
        self.constrain(x, given)

    def __str__(self) -> str:
        return "a support of Stan"


@dataclass(frozen=True)
class StanParameters(Parameters):
    """Parameters whose maps are those of a compiled program, in calls out of JAX.

    As `Parameters`, but `constrain` has no derivative, `log_det` is the difference of the log
    densities with and without the determinant (NaN where the density is 0), and there is no saying
    what they are without the program.
    """

    model: CompiledModel

    @property
    def coordinates(self) -> tuple[str, ...]:
        labels = [_label(name) for name in self.model.unconstrained_names]
        plain = {
            name
            for name, support in self.supports.items()
            if support == real or (isinstance(support, ByStan) and support.itself)
        }
        return tuple(
            label if label.partition("[")[0] in plain else f"u({label})" for label in labels
        )

    def constrain(self, u: Float[Array, " dim"]) -> tuple[Tree, Float[Array, ""]]:
        u = jnp.asarray(u)
        if u.shape != (self.dim,):
            raise ValueError(f"unconstrained parameters have shape ({self.dim},), got {u.shape}")
        u = u if jnp.issubdtype(u.dtype, jnp.floating) else u.astype(default_float())
        size = len(self.names)
        row, log_det = call_outside(lambda x: (self._row(x), self._log_det(x)), u, (size,), ())
        tree, begin = {}, 0
        for name, shape in self.shapes.items():
            tree[name] = row[begin : begin + math.prod(shape)].reshape(shape)
            begin += math.prod(shape)
        return tree, log_det

    def log_det(self, u: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        x = np.asarray(u, np.float64)
        return jnp.asarray(self._log_det(x.reshape(-1, self.dim)).reshape(x.shape[:-1]), u.dtype)

    def trees(self, u: Float[ArrayLike, "n dim"]) -> Tree:
        return self.from_rows(self._row(np.asarray(u, np.float64)))

    def unconstrain(self, tree: Mapping[str, Any]) -> Float[Array, "*batch dim"]:
        batch, rows = split_batch(self.by_name(tree), self.shapes)
        parts = [np.asarray(x, np.float64).reshape(len(x), -1) for x in rows.values()]
        row = np.concatenate(parts, axis=1)
        stans = np.empty_like(row)
        stans[:, order_in_stan(self.model, self.shapes)] = row
        try:
            u = self.model.unconstrain(stans)
        except ValueError as error:
            raise ValueError(f"parameters outside their supports: {error}") from None
        return jnp.asarray(u.reshape((*batch, self.dim)), default_float())

    def _row(self, points: np.ndarray) -> np.ndarray:
        """Rows of numbers by `names`, of unconstrained points."""
        return self.model.constrain(points)[:, order_in_stan(self.model, self.shapes)]

    def _log_det(self, points: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # −inf on both sides
            return self.model.values(points) - self.model.values(points, jacobian=False)


def order_in_stan(model: CompiledModel, shapes: Mapping[str, Shape]) -> np.ndarray:
    """Return the place of each number of our rows, in C order, in a row of Stan's."""
    where = {_label(name): i for i, name in enumerate(model.constrained_names)}
    ours = Parameters(shapes, {name: real for name in shapes}).names
    return np.array([where[label] for label in ours])


def _label(name: str) -> str:
    """Return theta[0,1] for theta.1.2, which is counted from 1."""
    head, *numbers = name.split(".")
    return f"{head}[{','.join(str(int(n) - 1) for n in numbers)}]" if numbers else head

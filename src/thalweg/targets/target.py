"""An unnormalised density, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.parameters import Parameters, Tree
from thalweg.targets.size import dimension

LogDensity = Callable[[Float[Array, " d"]], Float[Array, ""]]
Simulate = Callable[[PRNGKeyArray, Tree], dict[str, Array]]


@dataclass(frozen=True)
class Target:
    """ln p̃(x) for one point x of shape (dim,), with the facts that make it a test.

    `log_density` is written in JAX and takes one point; batches come from `jax.vmap`. Facts that
    are not known are None: `log_z` = ln ∫ p̃ (nats), `mean` and `covariance` (of the normalised
    density), `sample(key, n) -> (n, dim)` exact draws. `modes` (m, dim) lists the centres of
    well-separated modes. `box` is the window that holds nearly all mass, ((low, high), …), for
    pictures. `source` says where the density and its facts come from. `parameter_names` name the
    coordinates in tables and pictures. `parameters` are those that the coordinates stand for, where
    they have names, shapes and supports: the density is then one of unconstrained coordinates, with
    the determinant of the map. `reference` is how to find the density again: "built-in"
    (by name and `options`), "file.py:function", or None for a function in memory.
    `files` are the SHA-256 digests, by path, of the files it was made from.
    `simulate(key, point)` draws data from the model at one point, a dictionary of parameters, where
    the density is that of a model that can; `explain(points)` says in the model's own words why it
    rejects points (n, dim), or gives None where it has none.
    """

    name: str
    dim: int
    log_density: LogDensity
    log_z: float | None = None
    mean: np.ndarray | None = None
    covariance: np.ndarray | None = None
    sample: Callable[[PRNGKeyArray, int], Array] | None = None
    modes: np.ndarray | None = None
    box: tuple[tuple[float, float], ...] | None = None
    source: str = ""
    parameter_names: tuple[str, ...] = ()
    parameters: Parameters | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    reference: str | None = None
    simulate: Simulate | None = None
    explain: Callable[[np.ndarray], str | None] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dimension(self.dim)
        owner = getattr(self.log_density, "__self__", self.log_density)
        if isinstance(owner, eqx.Module):
            # A module holds arrays; a plain function can be compared and compiled into a program.
            bound = self.log_density
            object.__setattr__(self, "log_density", lambda x: bound(x))
        if self.parameters is not None:
            object.__setattr__(self, "parameter_names", self.parameters.coordinates)
        if not self.parameter_names:
            names = tuple(f"x{i}" for i in range(1, self.dim + 1))
            object.__setattr__(self, "parameter_names", names)

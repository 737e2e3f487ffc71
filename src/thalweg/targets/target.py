"""An unnormalised density, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
from thalweg.files.memory import format_bytes, format_count, memory
from thalweg.parameters import Parameters, Tree

LogDensity = Callable[[Float[Array, " d"]], Float[Array, ""]]
Simulate = Callable[[PRNGKeyArray, Tree], dict[str, Array]]

# Copies of a d × d matrix in float32 that a fit holds at once: candidates for a start, each a
# Gaussian with a factor of its own.
_COPIES = 20


@dataclass(frozen=True)
class Target:
    """An unnormalised log density ln p̃(x) of points x of shape (dim,), with what is known about it.

    Facts that are not known are None.

    Args:
        name: What it is called in tables and reports.
        dim: The number of coordinates d.
        log_density: ln p̃ (nats) of one point (d,), written in JAX; batches come from `jax.vmap`.
        log_z: ln ∫ p̃ (nats).
        mean: The mean (d,) of the normalised density.
        covariance: Its covariance (d, d).
        sample: Exact draws (n, d), a function of a key and n.
        modes: The centres (m, d) of well-separated modes.
        box: The window that holds nearly all mass, ((low, high), …), for plots.
        source: Where the density and its facts come from.
        parameter_names: Names of the coordinates in tables and plots.
        parameters: The parameters that the coordinates stand for, where they have names, shapes and
            supports: the density is then one of unconstrained coordinates, with the determinant of
            the map.
        options: The options that a built-in target was made with.
        reference: How to find the density again: "built-in" (by name and `options`),
            "file.py:function", or None for a function in memory.
        simulate: Draws data from the model, a function of a key and a dictionary of parameters.
        explain: Says why the model rejects points (n, d), in its own words, or None.
        files: SHA-256 digests, by path, of the files it was made from.

    Raises:
        ValueError: `dim` is not a positive whole number, or too large for this machine.

    Example:
        >>> import thalweg as tw
        >>> target = tw.targets.Target("bowl", 2, lambda x: -(x**2).sum())
        >>> target.parameter_names
        ('x1', 'x2')
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
    # By type, kept by `thalweg.targets.traced.density_of`.
    traces: dict[str, LogDensity] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_dimension(self.dim)
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


def check_dimension(dim: object, least: int = 1) -> int:
    """Return `dim` as an int; `ValueError` unless it is whole, ≥ `least` and can be fitted here.

    Every fit begins with Gaussians of all d coordinates, which are d × d matrices.
    """
    found = check_whole_number("dim", dim, least)
    needed, here = 4 * _COPIES * found**2, memory()
    if here is not None and needed > here:
        shown = format_bytes(needed) if needed < 10**18 else "more than 999 PB"
        raise ValueError(
            f"a density of {format_count(found)} parameters: Gaussians of them, with which a fit "
            f"begins, take {shown} of memory and this machine has {format_bytes(here)}; is dim "
            "right?"
        )
    return found

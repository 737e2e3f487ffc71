"""Every built-in target by name, as the command line, the contract suite and the docs see it.

To add a target: write its maker (keyword options with defaults), add its line here.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from thalweg.targets.catalogue.curved import banana, funnel, ring
from thalweg.targets.catalogue.elliptical import correlated_gaussian, standard_normal, student_t
from thalweg.targets.catalogue.energies import u1, u2, u3, u4
from thalweg.targets.catalogue.mixtures import forty_modes, gaussian_mixture, two_modes
from thalweg.targets.catalogue.wells import many_well
from thalweg.targets.target import Target


@dataclass(frozen=True)
class Entry:
    """The maker of a target, and a description in one line."""

    make: Callable[..., Target]
    description: str

    @property
    def options(self) -> dict[str, object]:
        """The options and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters}


TARGETS: dict[str, Entry] = {
    "banana": Entry(banana, "twisted normal; curved, long and thin"),
    "correlated_gaussian": Entry(
        correlated_gaussian, "ill-conditioned normal: correlation 0.95, scales 0.1 to 10"
    ),
    "forty_modes": Entry(forty_modes, "forty narrow normals scattered over [-40, 40]^d"),
    "funnel": Entry(funnel, "Neal's funnel; the scale of all coordinates varies with the first"),
    "gaussian_mixture": Entry(gaussian_mixture, "normals at random places, any number and weights"),
    "many_well": Entry(many_well, "product of double wells, 2^(d/2) modes"),
    "ring": Entry(ring, "a sphere with a blurred surface"),
    "standard_normal": Entry(standard_normal, "N(0, I)"),
    "student_t": Entry(student_t, "multivariate Student-t; heavy tails"),
    "two_modes": Entry(two_modes, "two separate normals of unequal weight"),
    "u1": Entry(u1, "energy U1 of Rezende & Mohamed 2015: two modes on a ring"),
    "u2": Entry(u2, "energy U2 of Rezende & Mohamed 2015: a sine wave, in a box"),
    "u3": Entry(u3, "energy U3 of Rezende & Mohamed 2015: a sine wave that splits, in a box"),
    "u4": Entry(u4, "energy U4 of Rezende & Mohamed 2015: a sine wave that branches, in a box"),
}


def names() -> list[str]:
    """The names of all built-in targets, sorted.

    Returns:
        Names for `get`.

    Example:
        >>> import thalweg as tw
        >>> tw.targets.names()[:3]
        ['banana', 'correlated_gaussian', 'forty_modes']
    """
    return sorted(TARGETS)


def find(name: str) -> Entry:
    """The entry of that name; raises `ValueError` that lists the known ones."""
    if name in TARGETS:
        return TARGETS[name]
    close = difflib.get_close_matches(str(name).lower().replace("-", "_"), names(), 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(f"unknown target {name!r:.80}{hint}; known targets: {', '.join(names())}")


def get(name: str, **options: object) -> Target:
    """A built-in target by name; its `options` are all that it was made with.

    Args:
        name: One of `names()`.
        options: Options of that target; `thalweg targets` lists them with their defaults.

    Returns:
        The target, with what is known about it.

    Raises:
        ValueError: The name is unknown (listing the known ones), the target does not have an option
            (listing those it has), or a value is not possible.

    Example:
        >>> import thalweg as tw
        >>> funnel = tw.targets.get("funnel", dim=3)
        >>> funnel.dim, funnel.log_z, funnel.parameter_names
        (3, 0.0, ('v', 'x1', 'x2'))
    """
    entry = find(name)
    unknown = sorted(set(options) - set(entry.options))
    if unknown:
        known = ", ".join(entry.options) or "none"
        raise ValueError(f"target {name!r} has no option {unknown[0]!r}; its options: {known}")
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            made = entry.make(**options)
    except ArithmeticError as error:
        given = ", ".join(f"{option}={value!r:.40}" for option, value in options.items())
        raise ValueError(
            f"target {name!r} cannot be made with {given}: its density or moments are too large "
            "or too small for floating point"
        ) from error
    return replace(made, options={**entry.options, **options}, reference="built-in")

"""A posterior that the benchmarks fit, and what is known of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.supports import Support
from thalweg.targets import Target, from_function

VARIABLE = "THALWEG_DATA"
LEAST_GAP = 0.02  # nats: the least bound, unless a case says so
OF_FLOOR = 0.5
THINNED = 5  # a reference keeps every fifth draw; its means and sds are those of all

Rows = np.ndarray


@dataclass(frozen=True)
class Reference:
    """Means and standard deviations of some quantities, and how well they are known.

    `count` independent draws stand behind them (infinity: exact). `draws` (n, size), or None.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    count: float
    draws: Rows | None = None


@dataclass(frozen=True)
class Case:
    """A posterior by name.

    `make` builds the target; `log_z` is ln of its integral in nats, all constants included, or
    None; `gaussian_floor` the gap of the full-rank Gaussian with the moments of the posterior;
    `bound` the gap that a fit is asked for, by default half the floor and at least 0.02 nats.
    `reference` is None where there is none. It may be of other quantities than the parameters:
    `to_reference` and `from_reference` map rows of one to rows of the other.
    """

    name: str
    make: Callable[[], Target]
    log_z: float | None
    gaussian_floor: float | None = None
    bound: float | None = None
    reference: Callable[[], Reference | None] = lambda: None
    to_reference: Callable[[Rows], Rows] = lambda rows: rows
    from_reference: Callable[[Rows], Rows] = lambda rows: rows

    @property
    def gap_bound(self) -> float:
        """The bound on ln Z − ELBO."""
        if self.bound is not None:
            return self.bound
        return max(LEAST_GAP, OF_FLOOR * (self.gaussian_floor or 0.0))

    def measured(self, target: Target, points: Any) -> Rows:
        """The reference's quantities at unconstrained points (n, d)."""
        named = target.parameters
        rows = np.asarray(points) if named is None else named.rows(named.trees(points))
        return self.to_reference(rows)

    def points(self, target: Target, rows: Rows) -> Rows:
        """The unconstrained points (n, d) of rows of the reference's quantities."""
        named, found = target.parameters, self.from_reference(np.asarray(rows, float))
        return found if named is None else np.asarray(named.unconstrain(named.from_rows(found)))


def data_folder() -> Path:
    """The folder with the data; `ValueError` where the variable is not set."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise ValueError(f"set {VARIABLE} to the folder with posteriordb/ and german_credit.npz")
    return Path(folder)


def data_of(entry: str) -> dict[str, Any]:
    """The data of an entry of posteriordb: arrays where it has lists."""
    values = json.loads((data_folder() / "posteriordb" / entry / "data.json").read_text())
    return {k: np.asarray(v, float) if isinstance(v, list) else v for k, v in values.items()}


def reference_of(entry: str) -> Reference:
    """The reference of an entry of posteriordb, its names counted from 0."""
    folder = data_folder() / "posteriordb" / entry
    record = json.loads((folder / "reference.json").read_text())
    with np.load(folder / "reference.npz") as arrays:
        draws = arrays["draws"].astype(float)
    names = tuple(_from_zero(name) for name in record["parameters"])
    mean, sd = np.array(record["mean"]), np.array(record["sd"])
    return Reference(names, mean, sd, THINNED * len(draws), draws)


def _from_zero(name: str) -> str:
    word, bracket, place = name.partition("[")
    return f"{word}[{int(place.removesuffix(']')) - 1}]" if bracket else name


def entry_case(
    name: str,
    entry: str,
    density: Callable[[dict[str, Any]], Callable[[Mapping[str, Any]], Any]],
    parameters: Callable[[dict[str, Any]], Mapping[str, Any]],
    supports: Mapping[str, str | Support],
    log_z: float,
    **facts: Any,
) -> Case:
    """A case of posteriordb: `density` and `parameters` are functions of its data."""

    def make() -> Target:
        data = data_of(entry)
        made = from_function(
            density(data), name=name, parameters=parameters(data), supports=supports
        )
        return replace(made, log_z=log_z, source=f"posteriordb: {entry}")

    return Case(name, make, log_z, reference=lambda: reference_of(entry), **facts)

"""The protocol of a job, and the values that verbs take from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Drawn(NamedTuple):
    """Draws as rows of a table and the names of its columns; facts for JSON, and a remark."""

    rows: Float[np.ndarray, "n columns"]
    names: tuple[str, ...]
    facts: dict[str, Any] = {}  # noqa: RUF012  never changed in place
    remark: str = ""


class Scorer(NamedTuple):
    """Columns of the rows to score, their log density, and whether the answer repeats them."""

    names: tuple[str, ...]
    log_density: Callable[[Float[np.ndarray, "n columns"]], Any]
    keeps_columns: bool


class DrawOptions(NamedTuple):
    """Options of `thalweg sample` beside the number of draws."""

    seed: int = 0
    context: tuple[str, ...] = ()
    corrected: bool = False
    refined: bool = False


class Job(ABC):
    """A job of thalweg: how its runs are read, resumed, shown, drawn from and scored.

    A `fit` below is whatever `read` returns: a complete run with what was learned in it. `target`
    is a density as `infer` takes one; it is refused by jobs that do not take one.
    """

    name: str
    takes_target = False

    @abstractmethod
    def save(self, path: str | Path, obj: Any) -> None:
        """Write what this job makes in Python to a run folder of its own."""

    @abstractmethod
    def load(self, path: Path, target: Any, *, trust_code: bool) -> Any:
        """Read what this job makes in Python from a run folder."""

    @abstractmethod
    def read(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        """Read the fit of a complete run; `ValueError` in one sentence where it is damaged."""

    @abstractmethod
    def resume(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        """Go on with an unfinished run; a complete one is read."""

    @abstractmethod
    def results(self, fit: Any, folder: Path) -> dict[str, Any]:
        """The JSON printed by `--json`, less the folder; its keys are public."""

    @abstractmethod
    def lines(self, fit: Any, folder: Path) -> list[str]:
        """The lines printed on a terminal."""

    @abstractmethod
    def write_page(self, fit: Any, path: Path) -> Path:
        """Write the report of a fit; returns where it is."""

    @abstractmethod
    def draw(self, fit: Any, n: int, options: DrawOptions, folder: Path) -> Drawn:
        """Draw `n` rows; `ValueError` for options that this job does not take."""

    @abstractmethod
    def scorer(self, fit: Any) -> Scorer:
        """Return the log density of rows of a table, with their columns."""


def default_layers(flow: str) -> Any:
    """Return the default number of layers of a recipe; None if it has no layers."""
    from thalweg.flows import find

    return find(flow).options.get("layers")


def numbers_in(node: Any) -> Any:
    """Return the same with NaN for each null, which stands for a number that is not finite."""
    if isinstance(node, dict):
        return {key: numbers_in(value) for key, value in node.items()}
    return math.nan if node is None else node

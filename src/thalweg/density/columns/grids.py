"""Grids, levels and atoms of a column: discrete values, alone or beside a continuous rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

TIED = 0.5  # distinct values a row below which a column that lies on a grid counts as discrete
EMPTY = 1000  # places of a grid for each that is taken, beyond which it is chance
CLOSE = 1e-6  # of the largest value: what numbers in single precision are apart by rounding
OFF = 0.02  # of a step: how far from its place a value may lie
DIGITS = 12  # decimals beyond which a number counts as not rounded
REPEATS = 5  # rows that have a value, from which on it is no chance
FEW_LEVELS = 0.1  # distinct values a row below which values on no grid count as levels
ATOM = 0.01  # of the rows: a value that more of them have is an atom, if the others rarely repeat
MOST_ATOMS = 5
NEAR = 0.1  # spreads of the rest that an atom far outside is taken to lie beside it
LEAST_WIDTH, MOST_WIDTH = 0.2, 5.0  # of the room of an atom, in spreads of the rest

Column = Float[np.ndarray, " rows"]


class Grid(NamedTuple):
    """Places `origin` + k·`step`, rounded to so many `decimals` (None: not rounded), the last of
    them k = `last` (None: there is none). A value x on it stands for the cell [x, x + step).

    With `levels` these values alone exist, and that of place k stands for the cell [k, k + 1);
    `unseen` is the probability that a row has another value, off the grid or near a level; None: 0.
    """

    origin: float
    step: float
    decimals: int | None
    last: int | None = None
    levels: tuple[float, ...] | None = None
    unseen: float | None = None

    def floor(self, x: Column) -> Column:
        """Return the value in whose cell each number lies; numbers beyond the ends get the ends."""
        if self.levels is not None:
            place = np.clip(np.floor(x), 0, len(self.levels) - 1).astype(int)
            return np.asarray(self.levels)[place]
        place = np.floor((x - self.origin) / self.step + 1e-9)
        if self.last is not None:
            place = np.clip(place, 0, self.last)
        value = self.origin + self.step * place
        return value if self.decimals is None else np.round(value, self.decimals)

    def place(self, x: Column) -> Column:
        """Return the start of the cell of each value."""
        if self.levels is None:
            return x
        levels = np.asarray(self.levels)
        return (np.searchsorted((levels[1:] + levels[:-1]) / 2, x)).astype(float)

    def holds(self, x: Column) -> Bool[np.ndarray, " rows"]:
        """Return a mask of the values on the grid (also beyond its ends), or among the levels."""
        if self.levels is not None:
            levels = np.asarray(self.levels)
            nearest = levels[self.place(x).astype(int)]
            return np.asarray(np.abs(x - nearest) <= OFF * np.diff(levels).min())
        with np.errstate(over="ignore", invalid="ignore"):
            place = (x - self.origin) / self.step
            return np.asarray(np.abs(place - np.round(place)) <= OFF)


def find_grid(x: Column, *, tied: float = TIED) -> Grid | None:
    """Return the widest grid on which all values lie, or None.

    None also where values rarely repeat: more than `tied` distinct ones a row.

    The step is the greatest common divisor of the differences of values, by Euclid's algorithm with
    remainders of rounding taken as none. Values that merely repeat, such as rows drawn twice, have
    a divisor too, but a tiny one: of such a grid almost no place is taken.
    """
    values = np.unique(x)
    if values.size < 2 or values.size > tied * len(x):
        return None
    reach = values[-1] - values[0]
    least, blur = reach / (EMPTY * values.size), CLOSE * max(abs(values[0]), abs(values[-1]))
    if np.all(values == np.round(values)):
        least, blur = min(least, 1.0), 0.0  # exact, and never there by chance
    apart = np.diff(values)
    apart = apart[apart > blur]
    if not apart.size:
        return None
    step = _least(apart, blur)
    while step >= least:
        left = np.abs(apart - step * np.round(apart / step))
        left = left[left > OFF * step]
        if not left.size:
            break
        step = _least(left, blur)
    else:
        return None
    step = reach / np.round(reach / step)
    places = (values - values[0]) / step
    if np.any(np.abs(places - np.round(places)) > OFF):
        return None
    decimals = next((k for k in range(DIGITS) if np.all(np.round(values, k) == values)), None)
    return Grid(float(values[0]), float(step), decimals, int(np.round(places[-1])))


def find_cells(x: Column, *, tied: float = TIED) -> Grid | None:
    """Return the grid or the levels of a column, or None for a continuous one.

    It has levels where all values repeat and there are two of them, or some places between them
    never occur, or they lie on no grid.
    """
    values, counts = np.unique(x, return_counts=True)
    found = find_grid(x, tied=tied)
    if found is None or found.last is None:
        often = np.delete(counts, counts.argmax()).mean() if values.size > 1 else 0.0
        few = values.size <= FEW_LEVELS * len(x) and often >= REPEATS
        return _levels(values, counts) if few else None
    some_never = values.size < found.last + 1
    if counts.min() >= REPEATS and (values.size == 2 or some_never):
        return _levels(values, counts)
    if np.all(values == np.round(values)):
        return found  # counts: nothing lies between them
    # Rounded numbers: another row may be rounded less.
    return found._replace(unseen=0.5 / (len(x) + 1))


def _levels(values: Float[np.ndarray, " k"], counts: Int[np.ndarray, " k"]) -> Grid:
    """Return levels; where some are rare, others did not occur.

    Their mass is estimated by the share of the rows whose value no other row has (Good 1953).
    """
    alone = int((counts == 1).sum())
    unseen = None if counts.min() >= REPEATS else (alone + 0.5) / (counts.sum() + 1)
    return Grid(0.0, 1.0, None, len(values) - 1, tuple(map(float, values)), unseen)


def _least(apart: Float[np.ndarray, " n"], blur: float) -> float:
    """Return the smallest of some numbers, as the mean of those equal to it up to rounding."""
    return float(apart[apart <= apart.min() + 2 * blur].mean())


class Atoms(NamedTuple):
    """Values that have a probability each, beside others that have a density.

    The line is cut at every atom and room of some width is put in, over which the rows that have
    it are spread, so that there is a density again. `first` tells whether the lowest atom is the
    smallest value there is, `last` whether the highest is the largest; `rounding` is the grid of
    the other values, if they have one. The line is cut at `places`: at the atoms, or near the
    other values where an atom lies far outside them (such as a −999 for a missing value).
    """

    values: tuple[float, ...]
    widths: tuple[float, ...]
    first: bool
    last: bool
    rounding: Grid | None
    places: tuple[float, ...]

    def which(self, x: Column) -> Int[np.ndarray, " rows"]:
        """Return the number of the atom that each value is; −1 for none."""
        place = np.searchsorted(self.values, x).clip(max=len(self.values) - 1)
        return np.where(np.asarray(self.values)[place] == x, place, -1)

    def spread(self, x: Column, u: Float[np.ndarray, " #rows"]) -> Column:
        """Move each value to the line with room for atoms; atoms to u ∈ [0, 1) of their room."""
        before = np.concatenate([[0.0], np.cumsum(self.widths)])
        at = self.which(x)
        room = np.asarray(self.places)[at] + before[at] + u * np.asarray(self.widths)[at]
        return np.where(at >= 0, room, x + before[np.searchsorted(self.places, x)])

    def gather(self, t: Column) -> Column:
        """Invert `spread`: a number in the room of an atom, or beyond an end, becomes the atom."""
        before = np.concatenate([[0.0], np.cumsum(self.widths)])
        begins = np.asarray(self.places) + before[:-1]
        which = np.searchsorted(begins, t, side="right") - 1
        at = which.clip(min=0)
        in_room = (which >= 0) & (t < begins[at] + np.asarray(self.widths)[at])
        x = t - before[which + 1]
        if self.rounding is not None:
            x = self.rounding.floor(x + self.rounding.step / 2)
        if self.first:
            in_room |= which < 0
        if self.last:
            in_room |= which == len(self.values) - 1
        return np.where(in_room, np.asarray(self.values)[at], x)

    def log_widths(self, x: Column) -> Column:
        """Return ln of the width of the room of each value that is an atom, 0 for others."""
        at = self.which(x)
        return np.where(at >= 0, np.log(np.asarray(self.widths)[at]), 0.0)


def find_atoms(x: Column, rounding: Grid | None = None) -> Atoms | None:
    """Return the atoms of a column that is otherwise continuous, or None.

    A value is an atom if more than a hundredth of the rows have it, and ten times as many as have
    each other value in the mean. Its room is so wide that the density in it is like that of the
    rest.
    """
    values, counts = np.unique(x, return_counts=True)
    order = np.argsort(-counts)
    chosen: list[int] = []
    for k in map(int, order[:MOST_ATOMS]):
        others = values.size - len(chosen) - 1
        if others < 2:
            return None
        left = len(x) - counts[chosen].sum() - counts[k]
        if counts[k] < REPEATS or counts[k] <= max(ATOM * len(x), 10 * left / others):
            break
        chosen.append(k)
    if not chosen:
        return None
    chosen.sort()
    rest = np.delete(np.arange(values.size), chosen)
    low, high = np.quantile(np.repeat(values[rest], counts[rest]), [0.1, 0.9])
    spread = float(high - low) or float(np.ptp(values[rest])) or 1.0
    share = counts[chosen] / counts[rest].sum()
    widths = spread * np.clip(share, LEAST_WIDTH, MOST_WIDTH)
    places = _cuts(values[chosen], values[rest][[0, -1]], spread)
    return Atoms(
        tuple(map(float, values[chosen])),
        tuple(map(float, widths)),
        bool(chosen[0] == 0),
        bool(chosen[-1] == values.size - 1),
        rounding,
        tuple(map(float, places)),
    )


def _cuts(
    atoms: Float[np.ndarray, " k"], ends: Float[np.ndarray, " 2"], spread: float
) -> Float[np.ndarray, " k"]:
    """Return the atoms, with those more than a spread outside the ends of the rest moved near."""
    places, (low, high) = atoms.copy(), ends
    for k in np.flatnonzero(atoms < ends[0])[::-1]:
        places[k] = low = low - NEAR * spread if atoms[k] < low - spread else atoms[k]
    for k in np.flatnonzero(atoms > ends[1]):
        places[k] = high = high + NEAR * spread if atoms[k] > high + spread else atoms[k]
    return places

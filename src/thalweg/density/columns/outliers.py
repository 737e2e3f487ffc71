"""Outliers: values so far from all others that they alone set the mean and the deviation.

One value of 10⁶ among a thousand of order one makes the standard deviation 3·10⁴: on that scale all
others are one point, and nothing is learned from them. Such rows are found by distances, named, and
left out of training; a wide density with their share of the mass represents them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import solve_triangular

from thalweg.bijections import FixedAffine
from thalweg.density.columns.grids import find_atoms
from thalweg.density.columns.marginals import Marginal, make_marginal
from thalweg.distributions import Blend, Distribution, Flow, StudentT
from thalweg.tables.table_file import listed

FEWEST = 8  # rows below which none can be called far from the others
MOST = 0.05  # of the rows: more than that are a part of the distribution, however far
FAR = 20.0  # root mean squares of the others, at least
OUTWEIGHS = 1.5  # … and times √n, so that its square is more than that of all others together
DF, WIDTH = 1.1, 3.0  # of the density of outliers: its tails fall as |x|^−2.1
NAMED = 3  # values and rows that are named of a column


class Limits(NamedTuple):
    """Ends between which values are no outliers, on the line that `marginals` map to.

    `atoms` of a column are never outliers.
    """

    marginals: tuple[Marginal, ...]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    atoms: tuple[tuple[float, ...], ...]

    def outside(self, x: Float[np.ndarray, "rows d"]) -> Bool[np.ndarray, "rows d"]:
        """Return a mask of the outliers."""
        t = np.stack([m.to_line(x[:, i])[0] for i, m in enumerate(self.marginals)], 1)
        spared = np.stack([np.isin(t[:, i], one) for i, one in enumerate(self.atoms)], 1)
        return np.asarray(((t < self.low) | (t > self.high)) & ~spared)


def limits_of(
    x: Float[np.ndarray, "rows d"],
    names: Sequence[str],
    maps: Mapping[str, Any] | str | tuple[Any, ...] = "identity",
) -> Limits:
    """Return the limits of outliers for each column, after the map requested for it."""
    found = []
    for i, name in enumerate(names):
        kind = maps.get(name, "identity") if isinstance(maps, Mapping) else maps
        try:
            marginal = make_marginal(kind, x[:, i], name)
        except ValueError:  # a map that does not fit is refused where the columns are prepared
            marginal = Marginal()
        found.append((marginal, *_ends(marginal.to_line(x[:, i])[0])))
    marginals, low, high, atoms = zip(*found, strict=True)
    return Limits(marginals, np.array(low), np.array(high), atoms)


def _ends(t: Float[np.ndarray, " rows"]) -> tuple[float, float, tuple[float, ...]]:
    """Return ends beyond which a value outweighs all others, and the atoms, which set no scale."""
    found = find_atoms(t)
    atoms = () if found is None else found.values
    t = t[~np.isin(t, atoms)]
    n = len(t)
    if n < FEWEST:
        return -np.inf, np.inf, atoms
    with np.errstate(over="ignore"):
        middle = float(np.median(t))
        apart = np.sort(np.abs(t - middle))
        most = max(1, int(MOST * n))
        unit = apart[n - most - 1]
        if not 0 < unit < np.inf:
            return -np.inf, np.inf, atoms
        # Counts and levels have a step, which is a scale too; else this is next to nothing.
        least = apart[apart > 0][0] / unit
        ratio = apart / unit
        inner = np.sqrt(np.cumsum(ratio**2) / np.arange(1, n + 1)).clip(min=least)
        bound = np.maximum(FAR, OUTWEIGHS * np.sqrt(np.arange(1, n + 1))) * inner
        far = np.flatnonzero(ratio[n - most :] > bound[n - most - 1 : -1])
    if far.size:
        first = n - most + int(far[0])
        end = unit * bound[first - 1]
    else:
        end = unit * bound[-1]
    return middle - end, middle + end, atoms


def describe_outliers(
    x: Float[np.ndarray, "rows d"],
    outside: Bool[np.ndarray, "rows d"],
    names: Sequence[str],
    numbers: Int[np.ndarray, " rows"] | None,
) -> list[str]:
    """Return a sentence for each column with outliers, with their values and row numbers."""
    sentences = []
    for i, name in enumerate(names):
        at = np.flatnonzero(outside[:, i])
        if not at.size:
            continue
        at = at[np.argsort(-np.abs(x[at, i]), kind="stable")]
        values = [
            f"{x[k, i]:g}" + ("" if numbers is None else f" (row {numbers[k]})") for k in at[:NAMED]
        ]
        more = f" and {at.size - NAMED} more" if at.size > NAMED else ""
        sentences.append(
            f"column {name!r} has values that outweigh all others: {listed(values)}{more}; such "
            "rows are left out of training, and a wide density represents them"
        )
    return sentences


def replace_outliers(
    both: Float[np.ndarray, "rows both"], outside: Bool[np.ndarray, "rows both"]
) -> Float[np.ndarray, "rows both"]:
    """Replace rows that have outliers by other rows."""
    far = outside.any(1)
    if not far.any() or far.all():
        return both
    replaced, others = both.copy(), np.flatnonzero(~far)
    replaced[far] = both[others[np.arange(int(far.sum())) % len(others)]]
    return replaced


def add_outlier_density(
    density: Distribution, factor: Float[np.ndarray, "d d"], outlying: int, rows: int
) -> tuple[Distribution, float]:
    """Return the density with a wide component for the outliers among `rows`, and its weight.

    The component is a product of Student t's with tails as |x|^−2.1, in columns of variance 1, to
    which y → factor y leads.
    """
    weight = (outlying + 0.5) / (rows + 1)
    spread = np.diag(WIDTH * np.linalg.norm(factor, axis=1))
    outer = solve_triangular(factor, spread, lower=True)
    dim = len(factor)
    wide = Flow(StudentT(DF, dim), FixedAffine(jnp.zeros(dim), jnp.asarray(outer)))
    return Blend([density, wide], jnp.array([1 - weight, weight])), weight

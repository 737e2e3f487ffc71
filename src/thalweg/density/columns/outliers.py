"""Values so far from all others that a mean and a standard deviation would be theirs alone.

One value of 10⁶ among a thousand of order one makes the standard deviation 3·10⁴: on that scale all
others are one point, and nothing is learned of them. Such rows are found by distances, named, and
left out of what is learned; a wide density with as much of the mass as they have stands for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from thalweg.bijections import FixedAffine
from thalweg.density.columns.grids import atoms_of
from thalweg.density.columns.marginals import Marginal, marginal_of
from thalweg.distributions import Blend, Distribution, Flow, StudentT
from thalweg.tables.listing import listed

FEWEST = 8  # rows below which none can be called far from the others
MOST = 0.05  # of the rows: more than that are a part of the distribution, however far
FAR = 20.0  # root mean squares of the others, at least
OUTWEIGHS = 1.5  # … and times √n, so that its square is more than that of all others together
DF, WIDTH = 1.1, 3.0  # of the density that stands for them: its tails fall as |x|^−2.1
NAMED = 3  # values and rows that are named of a column


class Limits(NamedTuple):
    """Ends (d,) between which values are not outlying, on the line that `marginals` map to; atoms
    never are.
    """

    marginals: tuple[Marginal, ...]
    low: np.ndarray
    high: np.ndarray
    atoms: tuple[tuple[float, ...], ...]

    def outside(self, x: Float[np.ndarray, "rows d"]) -> np.ndarray:
        """Which values lie beyond, (rows, d)."""
        t = np.stack([m.to_line(x[:, i])[0] for i, m in enumerate(self.marginals)], 1)
        spared = np.stack([np.isin(t[:, i], one) for i, one in enumerate(self.atoms)], 1)
        return np.asarray(((t < self.low) | (t > self.high)) & ~spared)


def limits_of(
    x: Float[np.ndarray, "rows d"],
    names: Sequence[str],
    asked: Mapping[str, Any] | str | tuple[Any, ...] = "identity",
) -> Limits:
    """Where the values of each column begin to be outlying, after the map that is asked of it."""
    found = []
    for i, name in enumerate(names):
        kind = asked.get(name, "identity") if isinstance(asked, Mapping) else asked
        try:
            marginal = marginal_of(kind, x[:, i], name)
        except ValueError:  # a map that does not fit is refused where the columns are prepared
            marginal = Marginal()
        found.append((marginal, *_ends(marginal.to_line(x[:, i])[0])))
    marginals, low, high, atoms = zip(*found, strict=True)
    return Limits(marginals, np.array(low), np.array(high), atoms)


def _ends(t: Float[np.ndarray, " rows"]) -> tuple[float, float, tuple[float, ...]]:
    """Values beyond these outweigh all others; values that are atoms say nothing of the scale."""
    found = atoms_of(t)
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


def said_of(
    x: Float[np.ndarray, "rows d"],
    outside: np.ndarray,
    names: Sequence[str],
    rows: np.ndarray | None,
) -> list[str]:
    """A sentence for each column with outlying values: which they are, and in which rows, where
    these have numbers.
    """
    said = []
    for i, name in enumerate(names):
        at = np.flatnonzero(outside[:, i])
        if not at.size:
            continue
        at = at[np.argsort(-np.abs(x[at, i]), kind="stable")]
        values = [
            f"{x[k, i]:g}" + ("" if rows is None else f" (row {rows[k]})") for k in at[:NAMED]
        ]
        more = f" and {at.size - NAMED} more" if at.size > NAMED else ""
        said.append(
            f"column {name!r} has values that outweigh all others: {listed(values)}{more}; such "
            "rows are left out of what is learned, and a wide density stands for them"
        )
    return said


def without(
    both: Float[np.ndarray, "rows both"], outside: np.ndarray
) -> Float[np.ndarray, "rows both"]:
    """As many rows, with others in the place of those that have outlying values."""
    far = outside.any(1)
    if not far.any() or far.all():
        return both
    replaced, others = both.copy(), np.flatnonzero(~far)
    replaced[far] = both[others[np.arange(int(far.sum())) % len(others)]]
    return replaced


def with_outliers(
    density: Distribution, factor: Float[np.ndarray, "d d"], outlying: int, rows: int
) -> tuple[Distribution, float]:
    """The density with what stands for so many outlying ones of so many rows, and its weight.

    Of Student t's with tails as |x|^−2.1, independent in columns of variance 1, into whose
    coordinates y → factor y leads.
    """
    weight = (outlying + 0.5) / (rows + 1)
    spread = np.diag(WIDTH * np.linalg.norm(factor, axis=1))
    outer = solve_triangular(factor, spread, lower=True)
    dim = len(factor)
    wide = Flow(StudentT(DF, dim), FixedAffine(jnp.zeros(dim), jnp.asarray(outer)))
    return Blend([density, wide], jnp.array([1 - weight, weight])), weight

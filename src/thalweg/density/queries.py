"""What is asked of a fitted density: contexts in its coordinates, and values that do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from thalweg.density.columns.preparation import Preparation
from thalweg.density.ensemble.blocks import log_densities
from thalweg.density.notices import strange_values
from thalweg.density.rows.table import as_rows, as_table, in_order
from thalweg.distributions import Distribution
from thalweg.files.memory import check_memory
from thalweg.tree import default_float


def log_density_of(
    density: Distribution,
    ready: Preparation,
    rows: Float[np.ndarray, "rows d"],
    given: Float[np.ndarray, "rows k"] | None,
) -> Float[np.ndarray, " rows"]:
    """ln q of rows in the units of their columns, given contexts in the coordinates of the flow.

    Raises `ValueError` where contexts are not as many as rows.
    """
    if given is not None and len(given) != len(rows):
        raise ValueError(f"{len(rows)} rows of X need as many of context, got {len(given)}")
    each = []
    for u in ready.within:
        y, log_det = ready.to_flow(ready.dequantised(rows, u[None]))
        each.append(log_det + log_densities(density, y, given))
    found = np.mean(each, 0)
    at = ready.at_atoms(rows)
    # Of an atom that is its probability itself, by quadrature over its room; of a cell a bound.
    found[at] = logsumexp(np.array(each)[:, at], 0) - np.log(len(each))
    return np.asarray(found + ready.log_cells(rows))


def contexts_of(
    ready: Preparation | None, context: Any, names: Sequence[str] | None
) -> Float[np.ndarray, "rows k"] | None:
    """Contexts in the coordinates of a flow that was learned given columns of these names.

    Columns go by name where there are names, else by place. Raises `ValueError` for contexts that
    are missing or not wanted, other columns, and another value of one that was constant.
    """
    if ready is None:
        if context is not None:
            raise ValueError("this density was fitted without a context, and got one")
        return None
    if context is None:
        raise ValueError("this density was fitted with a context: pass context=...")
    context = as_table(context)
    rows, _ = as_rows(context, "context", least=1)
    rows = in_order(context, names, rows)
    width = len(ready.marginals)
    if rows.shape[1] != width:
        raise ValueError(f"contexts have {width} columns here, got {rows.shape[1]}")
    for i, bad in ready.strange(rows).items():
        name = repr(names[i]) if names is not None else str(i)
        raise ValueError(
            f"column {name} of the context was {ready.constant[i]:g} in all rows that were learned "
            f"and is {rows[bad, i][0]:g} in {int(bad.sum())} here: what the density is there, they "
            "cannot tell"
        )
    return ready.context_to_flow(rows)


def one_each(given: Float[np.ndarray, "rows k"], count: int) -> Float[np.ndarray, "n k"]:
    """A context for each of so many draws: one for all, or as many, which may also be said by 1.

    Raises `ValueError` for other numbers.
    """
    if len(given) == 1:
        return np.repeat(given, count, axis=0)
    if count not in (1, len(given)):
        raise ValueError(
            f"{count} draws given {len(given)} rows of context: give one row for all draws, or ask "
            f"for {len(given)} draws, one for each"
        )
    return given


def draw_rows(
    density: Distribution,
    ready: Preparation,
    key: PRNGKeyArray,
    count: int,
    given: Float[np.ndarray, "rows k"] | None,
) -> Float[np.ndarray, "n d"]:
    """Draw rows in the units of their columns, given contexts in the coordinates of the flow.

    Raises `ValueError` for draws that memory cannot hold, and as `one_each` does.
    """
    context = None
    if given is not None:
        given = one_each(given, count)
        count, context = len(given), jnp.asarray(given, default_float())
    width = len(ready.marginals)
    check_memory(2 * 8 * count * width, f"{count} draws of {width} numbers")
    return ready.from_flow(np.asarray(density.sample(key, (count,), context), np.float64))


def strange_said(ready: Preparation, rows: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """A sentence for each column of rows with values that do not exist under the density."""
    strange, kinds = ready.strange(rows), {}
    gone = "their log density is −inf"
    for i in strange:
        if i in ready.constant:
            kinds[i] = f"are not {ready.constant[i]:g}, the only value that was learned: {gone}"
        elif ready.grids[i].levels is None:
            kinds[i] = f"do not lie on its grid of step {ready.grids[i].step:g}: {gone}"
        else:
            unseen = ready.grids[i].unseen
            nearest = f"they get that of the nearest level less {-np.log(unseen or 1.0):.1f} nats"
            what = gone if unseen is None else nearest
            kinds[i] = f"are none of the levels that were learned: {what}"
    return strange_values(strange, names, kinds)


def gone_said(log_density: Float[np.ndarray, " rows"]) -> list[str]:
    """What is said of rows of which a mean log density is −inf."""
    gone = np.flatnonzero(log_density == -np.inf)
    if not gone.size:
        return []
    return [
        f"{gone.size} of {len(log_density)} rows have density 0, the first of them row {gone[0]}: "
        "the mean log density is −inf"
    ]

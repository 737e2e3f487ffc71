"""Log densities and draws of a fitted density, given contexts, in the units of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from thalweg.density.columns.preparation import Preparation
from thalweg.density.ensemble.blocks import log_prob_in_blocks
from thalweg.density.rows.table import as_rows, as_table, order_columns
from thalweg.distributions import Distribution
from thalweg.files.memory import check_memory
from thalweg.tree import default_float

LEAST_DRAWS = 64


def row_log_density(
    density: Distribution,
    preparation: Preparation,
    rows: Float[np.ndarray, "rows d"],
    context: Float[np.ndarray, "_ k"] | None,
) -> Float[np.ndarray, " rows"]:
    """Return ln q of rows in the units of their columns, given contexts as the flow takes them.

    Raises `ValueError` where there are not as many contexts as rows.
    """
    if context is not None and len(context) != len(rows):
        raise ValueError(f"{len(rows)} rows of X need as many of context, got {len(context)}")
    each = []
    for u in preparation.within:
        y, log_det = preparation.to_flow(preparation.dequantised(rows, u[None]))
        each.append(log_det + log_prob_in_blocks(density, y, context))
    found = np.mean(each, 0)
    at = preparation.rows_at_atoms(rows)
    # For an atom this is its probability, by quadrature over its room; for a cell a bound.
    found[at] = logsumexp(np.array(each)[:, at], 0) - np.log(len(each))
    return np.asarray(found + preparation.log_cells(rows))


def prepare_contexts(
    preparation: Preparation | None, context: Any, names: Sequence[str] | None
) -> Float[np.ndarray, "rows k"] | None:
    """Return contexts in the coordinates of a flow whose context columns have these names.

    Columns go by name where there are names, else by place. Raises `ValueError` for contexts that
    are missing or not wanted, for other columns, and for another value of a constant column.
    """
    if preparation is None:
        if context is not None:
            raise ValueError("this density was fitted without a context, and got one")
        return None
    if context is None:
        raise ValueError("this density was fitted with a context: pass context=...")
    context = as_table(context)
    rows = order_columns(context, names, as_rows(context, "context", least=1)[0])
    width = len(preparation.marginals)
    if rows.shape[1] != width:
        raise ValueError(f"contexts have {width} columns here, got {rows.shape[1]}")
    for i, bad in preparation.impossible_values(rows).items():
        name = repr(names[i]) if names is not None else str(i)
        raise ValueError(
            f"column {name} of the context was {preparation.constant[i]:g} in all rows of the fit "
            f"and is {rows[bad, i][0]:g} in {int(bad.sum())} here: the density there is unknown"
        )
    return preparation.context_to_flow(rows)


def match_contexts(context: Float[np.ndarray, "rows k"], count: int) -> Float[np.ndarray, "n k"]:
    """Return a context for each of `count` draws; a count of 1 means one draw for each context.

    Raises `ValueError` where there are neither one nor `count` contexts.
    """
    if len(context) == 1:
        return np.repeat(context, count, axis=0)
    if count not in (1, len(context)):
        raise ValueError(
            f"{count} draws given {len(context)} rows of context: give one row for all draws, or "
            f"request {len(context)} draws, one for each"
        )
    return context


def draw_rows(
    density: Distribution,
    preparation: Preparation,
    key: PRNGKeyArray,
    count: int,
    context: Float[np.ndarray, "rows k"] | None,
) -> Float[np.ndarray, "n d"]:
    """Draw rows in the units of their columns, given contexts as the flow takes them.

    Raises `ValueError` for draws that memory cannot hold, and as `match_contexts` does.
    """
    given = None
    if context is not None:
        context = match_contexts(context, count)
        count = len(context)
    width = len(preparation.marginals)
    check_memory(4 * 8 * count * width, f"{count} draws of {width} numbers")
    # Sizes are rounded up to powers of two: few programs serve all of them.
    size = max(LEAST_DRAWS, 2 ** (count - 1).bit_length())
    if context is not None:
        padded = context[np.arange(size).clip(max=count - 1)]
        given = jnp.asarray(padded, default_float())
    drawn = np.asarray(density.sample(key, (size,), given), np.float64)
    return preparation.from_flow(drawn[:count])


def describe_impossible(
    preparation: Preparation, rows: Float[np.ndarray, "rows d"], names: tuple[str, ...]
) -> list[str]:
    """Return a sentence for each column of rows with values that the density does not have."""
    sentences = []
    for i, bad in preparation.impossible_values(rows).items():
        unseen, like = None, "the nearest level"
        if i in preparation.constant:
            kind = f"are not {preparation.constant[i]:g}, the only value of the fit"
        else:
            grid = preparation.grids[i]
            kind, unseen = "are none of the levels of the fit", grid.unseen
            if grid.levels is None:
                kind, like = f"do not lie on its grid of step {grid.step:g}", "their cell"
        consequence = "their log density is −inf"
        if unseen is not None:
            consequence = f"they get that of {like} less {-np.log(unseen):.1f} nats"
        sentences.append(
            f"column {names[i]!r} has {int(bad.sum())} values (the first in row "
            f"{int(np.argmax(bad))}) that {kind}: {consequence}"
        )
    return sentences

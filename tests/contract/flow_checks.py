"""The contract of every flow, as plain functions that assert."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from contract.checks import lengths, within
from contract.probes import Record, jit
from thalweg.distributions import Uniform


@jit
def draw_program(flow: Any, key: Any, count: int, context: Any) -> Record:
    """Draws, their two log densities, and an expectation that shares no draws with them."""
    first, second = jax.random.split(key)
    x, log_q = flow.sample_and_log_prob(first, (count,), context)
    mean, error = flow.expectation(lambda v: jnp.concatenate([v, v**2]), second, count, context)
    return {
        "x": x,
        "log_q": log_q,
        "log_prob": flow.log_prob(x, context),
        "sample": flow.sample(first, (count,), context),
        "mean": mean,
        "error": error,
    }


@jit
def log_prob_program(flow: Any, x: Any, context: Any) -> Any:
    """ln q(x)."""
    return flow.log_prob(x, context)


def study(flow: Any, key: Any, context: Any = None, count: int = 20_000) -> Record:
    """Draws of a flow in d = 1 or 2, and its density on a grid around nearly all of its mass."""
    record = jax.tree.map(np.asarray, draw_program(flow, key, count, context))
    dim = flow.shape[0]
    cells, per_cell = {1: (40, 500), 2: (20, 25)}[dim]
    low, high = record["x"].min(0), record["x"].max(0)
    reach = 0.35 * (high - low)  # about 4 standard deviations are seen, about 7 are covered
    low, high = low - reach, high + reach
    if isinstance(flow.base, Uniform):  # its maps keep its box, at whose faces the density jumps
        low, high = np.asarray(flow.base.low()), np.asarray(flow.base.high())
    points = cells * per_cell
    edges = [np.linspace(a, b, points + 1) for a, b in zip(low, high, strict=True)]
    middles = [(e[1:] + e[:-1]) / 2 for e in edges]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, dim)
    record["grid"], record["volume"] = grid, np.prod((high - low) / points)
    record["grid_log_prob"] = np.asarray(log_prob_program(flow, grid, context))
    record["cells"], record["per_cell"] = cells, per_cell
    record["edges"] = [e[::per_cell] for e in edges]
    return record


def in_support(flow: Any, x: Any) -> Any:
    """The points, taken modulo its sides into the box of a flow that has one."""
    if not isinstance(flow.base, Uniform):
        return x
    low, high = flow.base.low(), flow.base.high()
    return low + jnp.mod(x - low, high - low)


def check_same_density(record: Record) -> None:
    """`sample_and_log_prob` and `log_prob` agree on the same points, and `sample` draws them."""
    error = record["log_q"] - record["log_prob"]
    within(error, 1e-8 * (1 + np.abs(record["log_q"])), "log_prob of draws")
    within(lengths(record["x"] - record["sample"]), 1e-10 * (1 + lengths(record["x"])), "draws")


def check_normalised(record: Record) -> None:
    """The density integrates to 1 ± 1e-3."""
    mass = np.exp(record["grid_log_prob"]).sum() * record["volume"]
    assert abs(mass - 1) <= 1e-3, f"the density integrates to {mass}"


def check_samples_follow_density(record: Record) -> None:
    """A χ² test of the draws' histogram against the integral of the density over its cells."""
    dim, cells, per_cell = record["x"].shape[1], record["cells"], record["per_cell"]
    mass = np.exp(record["grid_log_prob"]) * record["volume"]
    mass = mass.reshape((cells, per_cell) * dim).sum(axis=tuple(range(1, 2 * dim, 2))).ravel()
    counts = np.histogramdd(record["x"], record["edges"])[0].ravel()
    expected = mass * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-9))
    assert len(observed) > 10, "too few cells for a test"
    if expected[-1] < 5:
        observed = np.append(observed[:-2], observed[-2:].sum())
        expected = np.append(expected[:-2], expected[-2:].sum())
    p_value = stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(observed) - 1)
    # The seed is fixed, so this is one draw of a uniform p-value: no flakiness.
    assert p_value > 1e-4, f"draws do not follow the density: p = {p_value:.2e}"


def check_expectation(record: Record) -> None:
    """Monte Carlo means of x and x² are within 4 standard errors of quadrature."""
    weights = np.exp(record["grid_log_prob"]) * record["volume"]
    values = np.concatenate([record["grid"], record["grid"] ** 2], 1)
    exact = weights @ values
    within(record["mean"] - exact, 4 * record["error"] + 1e-3 * np.abs(exact), "expectation")
    assert (record["error"] > 0).all()
    # The errors are those of the means, as far as so many draws can tell: that is the less, the
    # heavier the tails. A relative error of a variance is twice that of a standard error.
    draws = len(record["x"])
    variance = weights @ (values - exact) ** 2
    spread = (weights @ (values - exact) ** 4 - variance**2) / draws
    expected = (variance / draws) ** 0.5
    allowed = (0.02 + 2 * spread**0.5 / variance) * expected
    within(record["error"] - expected, allowed, "standard error")


def check_batches(flow: Any, key: Any, context: Any = None) -> None:
    """The density of a batch is that of its events one by one, whatever the batch's shape."""
    x = jax.random.normal(key, (6, *flow.shape))
    alone = [float(flow.log_prob(x[i], context)) for i in range(6)]
    for shape in ((6,), (2, 3), (3, 1, 2)):
        batch = flow.log_prob(x.reshape(*shape, *flow.shape), context)
        assert batch.shape == shape
        np.testing.assert_allclose(np.ravel(batch), alone, rtol=1e-10, atol=1e-10)

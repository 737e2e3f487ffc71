"""Convergence diagnostics of chains: R̂ and effective sample sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MOST_RHAT = 1.01  # Vehtari et al. (2021)
LEAST_ESS = 400
MOST_DIVERGED = 0.01
COLUMNS = 64  # at once, so that memory does not grow with d


def diagnose(x: Float[np.ndarray, "chains n d"]) -> dict[str, np.ndarray]:
    """Return rank-normalised split R̂, bulk and tail effective sample size of every column."""
    found: list[dict[str, np.ndarray]] = []
    # Differences from the mean, so that a large offset costs no digits in float32.
    x = x.astype(np.float64) - x.mean((0, 1), dtype=np.float64)
    for begin in range(0, x.shape[2], COLUMNS):
        found.append(jax.device_get(_numbers(x[..., begin : begin + COLUMNS])))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


# Runs once for each length of chains: compiling it well costs more than it saves.
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def _numbers(x: Float[Array, "chains n columns"]) -> dict[str, Array]:
    from blackjax.diagnostics import ess_bulk, ess_tail, rhat

    functions = {"rhat": rhat, "ess_bulk": ess_bulk, "ess_tail": ess_tail}
    return {name: jnp.atleast_1d(function(x)) for name, function in functions.items()}


def converged(numbers: dict[str, np.ndarray], diverged: float) -> bool:
    """Return whether R̂ ≤ 1.01 and both effective sample sizes ≥ 400, with few divergences."""
    return (
        bool(np.all(numbers["rhat"] <= MOST_RHAT))
        and bool(np.all(numbers["ess_bulk"] >= LEAST_ESS))
        and bool(np.all(numbers["ess_tail"] >= LEAST_ESS))
        and diverged <= MOST_DIVERGED
    )


def verdict_and_reasons(
    numbers: dict[str, np.ndarray], diverged: float, names: tuple[str, ...]
) -> tuple[str, list[str]]:
    """ "trust" or "reject", and why."""
    worst = int(np.nanargmax(np.where(np.isnan(numbers["rhat"]), np.inf, numbers["rhat"])))
    ess: Any = np.minimum(numbers["ess_bulk"], numbers["ess_tail"])
    least = int(np.argmin(np.where(np.isnan(ess), -np.inf, ess)))
    words = (
        f"R̂ is at most {numbers['rhat'][worst]:.4f} ({names[worst]}), the effective sample size "
        f"at least {ess[least]:.0f} ({names[least]}), {100 * diverged:.1f} % of the moves diverged"
    )
    if converged(numbers, diverged):
        return "trust", [f"{words}."]
    return "reject", [
        f"{words}: the chains have not converged (R̂ ≤ {MOST_RHAT}, effective sample size ≥ "
        f"{LEAST_ESS}, divergences ≤ {100 * MOST_DIVERGED:.0f} %); try a better flow, more draws, "
        "or method='neutra'."
    ]

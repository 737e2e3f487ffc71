"""Convergence of chains: R̂, effective sample sizes, and the rule by which they are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.diagnostics.entries import Entries
from thalweg.diagnostics.thresholds import CONVERGED_DIVERGENCES, CONVERGED_ESS, CONVERGED_RHAT
from thalweg.diagnostics.verdict import Verdict

COLUMNS = 64  # at once, so that memory does not grow with d


@dataclass(frozen=True, eq=False)
class Convergence(Entries):
    """Rank-normalised split R̂ (Vehtari et al. 2021), bulk and tail effective sample sizes."""

    rhat: Float[np.ndarray, " size"]
    ess_bulk: Float[np.ndarray, " size"]
    ess_tail: Float[np.ndarray, " size"]


@dataclass(frozen=True, eq=False)
class ChainDiagnostics(Convergence):
    """The diagnostics of chains through a flow.

    `acceptance` and `divergences` are rates of their moves, `jumps` the rate of jumps taken (None
    for a method without jumps), and `log_evidence` is the estimate by a bridge (nats).
    """

    acceptance: float
    divergences: float
    jumps: float | None = None
    method: str = ""
    log_evidence: float = np.nan
    log_evidence_se: float = np.nan

    OPTIONAL: ClassVar = frozenset({"jumps"})

    def _names(self) -> tuple[str, ...]:
        return tuple(n for n in super()._names() if n != "jumps" or self.jumps is not None)


def diagnose(x: Float[np.ndarray, "chains n d"]) -> Convergence:
    """Return R̂ and effective sample sizes of every column."""
    # Differences from the mean, so that a large offset costs no digits in float32.
    x = x.astype(np.float64) - x.mean((0, 1), dtype=np.float64)
    blocks = range(0, x.shape[2], COLUMNS)
    found = [jax.device_get(_numbers(x[..., begin : begin + COLUMNS])) for begin in blocks]
    return Convergence(*(np.concatenate(part) for part in zip(*found, strict=True)))


# Runs once for each length of chains: compiling it well costs more than it saves.
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def _numbers(x: Float[Array, "chains n columns"]) -> tuple[Array, ...]:
    from blackjax.diagnostics import ess_bulk, ess_tail, rhat

    return tuple(jnp.atleast_1d(function(x)) for function in (rhat, ess_bulk, ess_tail))


def converged(numbers: Convergence, diverged: float) -> bool:
    """Return whether R̂ ≤ 1.01 and both effective sample sizes ≥ 400, with few divergences."""
    enough = np.minimum(numbers.ess_bulk, numbers.ess_tail) >= CONVERGED_ESS
    mixed = bool(np.all(enough & (numbers.rhat <= CONVERGED_RHAT)))
    return mixed and diverged <= CONVERGED_DIVERGENCES


def verdict_and_reasons(numbers: Convergence, diverged: float, names: tuple[str, ...]) -> Verdict:
    """Return "trust" or "reject", and why."""
    rhat, ess = numbers.rhat, np.minimum(numbers.ess_bulk, numbers.ess_tail)
    worst = int(np.argmax(np.where(np.isnan(rhat), np.inf, rhat)))
    least = int(np.argmin(np.where(np.isnan(ess), -np.inf, ess)))
    words = (
        f"R̂ is at most {rhat[worst]:.4f} ({names[worst]}), the effective sample size "
        f"at least {ess[least]:.0f} ({names[least]}), {100 * diverged:.1f} % of the moves diverged"
    )
    if converged(numbers, diverged):
        return Verdict("trust", [f"{words}."])
    words += (
        f": the chains have not converged (R̂ ≤ {CONVERGED_RHAT}, effective sample size ≥ "
        f"{CONVERGED_ESS}, divergences ≤ {100 * CONVERGED_DIVERGENCES:.0f} %); try a better flow, "
        "more draws, or method='neutra'."
    )
    return Verdict("reject", [words])

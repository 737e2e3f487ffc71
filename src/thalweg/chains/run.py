"""Runs of chains through a flow: starts, warm-up, and iterations until they converge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.chains.problem import Problem
from thalweg.chains.proposal import Mixture, propose, shares_from, starts_from
from thalweg.chains.refined import Refined, as_points
from thalweg.chains.walks import CHUNK, Walk, walk_by_nuts, walk_independently
from thalweg.compiling import jit
from thalweg.diagnostics.bridge import bridge_evidence
from thalweg.diagnostics.convergence import (
    ChainDiagnostics,
    Convergence,
    converged,
    diagnose,
    verdict_and_reasons,
)
from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity
from thalweg.training import Progress

# The warm-up of each method, and its default number of chains; "auto" tries them in this order.
METHODS: dict[str, tuple[Callable[..., Walk], int]] = {
    "independence": (walk_independently, 32),
    "neutra": (walk_by_nuts, 8),
}
PILOT = 16_384  # proposals behind the first round
EXTENSIONS = 4  # how often chains that have not converged are made twice as long


class Chains(NamedTuple):
    """Chains so far: points of the base, draws, rates of the moves, and convergence."""

    z: Float[np.ndarray, "chains n d"]
    x: Float[np.ndarray, "chains n d"]
    rates: dict[str, float]
    numbers: Convergence

    @property
    def converged(self) -> bool:
        return converged(self.numbers, self.rates["divergences"])


def refine(
    problem: Problem, method: str, draws: int, chains: int | None, seed: int, progress: Progress
) -> Refined:
    """Run chains until they have converged, or have been made `EXTENSIONS` times twice as long."""
    pilot_key, walk_key, last_key = jax.random.split(jax.random.key(seed), 3)
    mixture = Mixture.of(problem.flow, problem.gaussians)
    pilot, parts = propose(mixture, problem.log_density, pilot_key, PILOT)
    log_w = np.asarray(pilot.log_w, np.float64)
    shares = shares_from(log_w, np.asarray(parts, np.float64))
    mixture = mixture._replace(log_shares=jnp.asarray(shares, mixture.locs.dtype))
    rng = np.random.default_rng(seed)

    def run_method(name: str) -> Chains:
        walk, count = METHODS[name]
        count = count if chains is None else chains
        start = pilot.z[starts_from(log_w, count, rng)]
        ready = walk(mixture, problem.log_density, start, walk_key, progress)
        return _run_chains(problem, ready, -(-draws // count), name, progress)

    name, *others = METHODS if method == "auto" else (method,)
    last = run_method(name)
    while others and not last.converged:
        name = others.pop(0)
        progress.message(f"these chains have not converged: going on with {name}")
        last = run_method(name)
    return _result(problem, mixture, last, name, last_key)


def _run_chains(problem: Problem, walk: Walk, each: int, name: str, progress: Progress) -> Chains:
    """Run chains of `each` draws, extended until they converge or `EXTENSIONS` is reached."""
    z: list[np.ndarray] = []
    x: list[np.ndarray] = []
    rates: list[dict[str, Array]] = []

    def extend_to(wanted: int) -> Chains:
        while len(z) * CHUNK < wanted:
            chunk = walk()
            z.append(np.asarray(chunk.z))
            x.append(np.asarray(_points(problem.flow, chunk.z)))
            rates.append(chunk.rates)
            progress.update("chains", min(len(z) * CHUNK, wanted), wanted, chunk.value)
        base, draws = (np.concatenate(one)[:wanted].swapaxes(0, 1) for one in (z, x))
        means = {key: float(np.mean([one[key] for one in rates])) for key in rates[0]}
        numbers = diagnose(as_points(draws, problem.parameters))
        progress.message(
            f"{name}: {draws.shape[0]} chains of {wanted} draws, R̂ ≤ {numbers.rhat.max():.4f}, "
            f"effective sample size ≥ {numbers.ess_bulk.min():.0f}"
        )
        return Chains(base, draws, means, numbers)

    found = extend_to(each)
    for extension in range(EXTENSIONS):
        if found.converged:
            break
        found = extend_to(each * 2 ** (extension + 1))
    return found


@jit
def _points(flow: Flow, z: Array) -> Array:
    return flow.push(z.reshape(-1, z.shape[-1]))[0].reshape(z.shape)


def _result(
    problem: Problem, mixture: Mixture, last: Chains, method: str, key: PRNGKeyArray
) -> Refined:
    verdict, reasons = verdict_and_reasons(last.numbers, last.rates["divergences"], problem.names)
    offered, _ = propose(mixture, problem.log_density, key, PILOT)
    flat = jnp.asarray(last.z.reshape(-1, last.x.shape[-1]))
    of_chains = np.asarray(_log_weights(mixture, problem.log_density, flat), np.float64)
    effective = float(np.clip(np.min(last.numbers.ess_bulk), 1, of_chains.size))
    log_z, error = bridge_evidence(np.asarray(offered.log_w, np.float64), of_chains, effective)
    numbers: dict[str, Any] = {**last.numbers, **last.rates}
    diagnostics = ChainDiagnostics(
        **numbers,
        method=method,
        log_evidence=log_z,
        log_evidence_se=error,
    )
    names, parameters = problem.coordinate_names, problem.parameters
    return Refined(last.x, diagnostics, verdict, reasons, names, parameters)


@jit
def _log_weights(mixture: Mixture, log_density: LogDensity, z: Array) -> Array:
    def one(z: Array) -> Array:
        x, log_det = mixture.flow.push(z)
        return log_density(x) - mixture.log_prob(z, x, log_det)[0]

    return jax.lax.map(one, z, batch_size=4096)

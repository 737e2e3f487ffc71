"""Chains through a flow: where they start, how they are warmed up, and when they have arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from thalweg.chains import independence, neutra
from thalweg.chains.diagnose import arrived, diagnose, judged
from thalweg.chains.evidence import bridge_evidence
from thalweg.chains.latent import points_of
from thalweg.chains.proposal import Places, log_mixture, propose, shares_from, starts_from
from thalweg.chains.refined import Refined, as_points
from thalweg.distributions import Flow
from thalweg.parameters import Parameters
from thalweg.targets.target import LogDensity
from thalweg.training import Progress
from thalweg.tree import default_float

METHODS = ("auto", "independence", "neutra")
PILOT = 16_384  # proposals behind the first round
CHUNK = 50  # iterations in one program
WARM_UP = 400
CHAINS = {"independence": 32, "neutra": 8}
EXTENSIONS = 3  # how often chains that have not arrived are made twice as long


class Problem(NamedTuple):
    """What is refined: a flow, its target, Gaussians (loc, factor) where the target has mass."""

    flow: Flow
    log_density: LogDensity
    places: list[tuple[np.ndarray, np.ndarray]]
    coordinate_names: tuple[str, ...]
    parameters: Parameters | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number of a draw, as a person knows it."""
        return self.coordinate_names if self.parameters is None else self.parameters.names


class Chains(NamedTuple):
    """Points of the base (chains, n, d), and what the moves were like."""

    z: np.ndarray
    diverged: float
    facts: dict[str, float]


class Grown(NamedTuple):
    """Draws of the coordinates so far, with their diagnostics."""

    chains: Chains
    x: np.ndarray
    numbers: dict[str, np.ndarray]

    @property
    def arrived(self) -> bool:
        return arrived(self.numbers, self.chains.diverged)


def refine(
    problem: Problem, method: str, draws: int, chains: int | None, seed: int, progress: Progress
) -> Refined:
    """Run chains until they have arrived, or `EXTENSIONS` times twice as long.

    "auto" tries "independence", and "neutra" where those chains do not arrive.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    places = _places(problem)
    pilot, shares = _pilot(problem, places, keys[0])
    rng = np.random.default_rng(seed)
    names: tuple[str, ...] = ("independence", "neutra") if method == "auto" else (method,)
    grown = None
    for name in names:
        count = CHAINS[name] if chains is None else chains
        rows = starts_from(np.asarray(pilot.log_w, np.float64), count, rng)
        walk = _independence if name == "independence" else _neutra
        more = walk(problem, places, shares, pilot.z[rows], keys[1], progress)
        grown = _grow(problem, more, -(-draws // count), name, progress)
        if grown.arrived or name == names[-1]:
            break
        progress.message("these chains have not arrived: going on with neutra")
    assert grown is not None
    return _result(problem, places, shares, grown, name, keys[2])


def _places(problem: Problem) -> Places:
    dtype = default_float()
    locs = np.array([loc for loc, _ in problem.places], dtype)
    factors = np.array([factor for _, factor in problem.places], dtype)
    inverses = np.linalg.inv(factors.astype(np.float64)).astype(dtype)
    return Places(jnp.asarray(locs), jnp.asarray(factors), jnp.asarray(inverses))


def _pilot(problem: Problem, places: Places, key: PRNGKeyArray) -> tuple[Any, Array]:
    """A first round with equal shares, and the shares that it leads to."""
    dtype = default_float()
    count = len(places.locs) + 1
    shares = jnp.full(count, -np.log(count), dtype)
    pilot, parts = propose(problem.flow, problem.log_density, places, shares, key, PILOT)
    better = shares_from(np.asarray(pilot.log_w, np.float64), np.asarray(parts, np.float64))
    return pilot, jnp.asarray(better, dtype)


# What goes on with a set of chains: (iterations) -> points of the base, and facts of the moves.
More = Callable[[int], Chains]


def _grow(problem: Problem, more: More, each: int, name: str, progress: Progress) -> Grown:
    """Chains of `each` draws, made longer until they have arrived or that has been tried enough."""
    found: list[Chains] = []
    grown = None
    for extension in range(EXTENSIONS + 1):
        found.append(more(each * (1 if extension == 0 else 2 ** (extension - 1))))
        sizes = np.array([part.z.shape[1] for part in found], float)
        mean = {
            key: float(np.average([part.facts[key] for part in found], weights=sizes))
            for key in found[0].facts
        }
        diverged = float(np.average([part.diverged for part in found], weights=sizes))
        chains = Chains(np.concatenate([part.z for part in found], 1), diverged, mean)
        x = _points(problem.flow, chains.z)
        numbers = diagnose(as_points(x, problem.parameters))
        grown = Grown(chains, x, numbers)
        progress.message(
            f"{name}: {x.shape[0]} chains of {x.shape[1]} draws, R̂ ≤ {numbers['rhat'].max():.4f}, "
            f"effective sample size ≥ {numbers['ess_bulk'].min():.0f}"
        )
        if grown.arrived:
            break
    assert grown is not None
    return grown


def _points(flow: Flow, z: np.ndarray) -> np.ndarray:
    return np.asarray(_push(flow, jnp.asarray(z)))


@eqx.filter_jit
def _push(flow: Flow, z: Array) -> Array:
    return points_of(flow, z)


def _independence(
    problem: Problem,
    places: Places,
    shares: Array,
    start: Array,
    key: PRNGKeyArray,
    progress: Progress,
) -> More:
    """Warm up the mixed kernel; what is returned goes on from there."""
    flow, log_density = problem.flow, problem.log_density
    chains, dim = start.shape
    states = independence.begin(flow, log_density, start)
    tuning = independence.fresh_tuning(jnp.ones(dim, start.dtype))
    counter = iter(range(1_000_000_000))

    def chunk(adapt: bool) -> tuple[np.ndarray, Any]:
        nonlocal states, tuning
        offer_key, move_key = jax.random.split(jax.random.fold_in(key, next(counter)))
        offered, _ = propose(flow, log_density, places, shares, offer_key, CHUNK * chains)
        offered = jax.tree.map(lambda a: a.reshape(CHUNK, chains, *a.shape[1:]), offered)
        states, tuning, z, told = independence.advance(
            flow, log_density, places, shares, states, offered, tuning, move_key, jnp.asarray(adapt)
        )
        return np.asarray(z), told

    for phase in range(2):
        seen: list[np.ndarray] = []
        for i in range(WARM_UP // CHUNK // 2):
            z, _ = chunk(True)
            seen.append(z)
            step = phase * (WARM_UP // 2) + (i + 1) * CHUNK
            progress.update("warm-up", step, WARM_UP, float(-np.mean(states.logdensity)))
        tuning = independence.settled(tuning)
        if phase == 0:
            late = np.concatenate(seen[len(seen) // 2 :]).reshape(-1, dim)
            variances = jnp.asarray(np.clip(late.var(0), 1e-6, 1e6), start.dtype)
            tuning = independence.fresh_tuning(variances, tuning.step_size)

    def more(iterations: int) -> Chains:
        seen: list[np.ndarray] = []
        facts, diverged = [], []
        rounds = -(-iterations // CHUNK)
        for i in range(rounds):
            z, told = chunk(False)
            seen.append(z)
            facts.append([float(np.mean(told.jumped)), float(np.mean(told.accepted))])
            diverged.append(float(np.mean(told.diverged)))
            value = float(-np.mean(states.logdensity))
            progress.update("chains", (i + 1) * CHUNK, rounds * CHUNK, value)
        jumped, accepted = np.mean(facts, 0)
        points = np.concatenate(seen)[:iterations].swapaxes(0, 1)
        said = {"jumps": float(jumped), "acceptance": float(accepted)}
        return Chains(points, float(np.mean(diverged)), said)

    return more


def _neutra(
    problem: Problem,
    places: Places,
    shares: Array,
    start: Array,
    key: PRNGKeyArray,
    progress: Progress,
) -> More:
    """Warm up NUTS; what is returned goes on from there."""
    flow, log_density = problem.flow, problem.log_density
    warm_key, key = jax.random.split(key)
    progress.message(f"neutra: warming up {len(start)} chains")
    states, parameters = neutra.warm_up(flow, log_density, start, warm_key, 2 * WARM_UP)
    counter = iter(range(1_000_000_000))

    def more(iterations: int) -> Chains:
        nonlocal states
        seen: list[np.ndarray] = []
        accepted, diverged = [], []
        rounds = -(-iterations // CHUNK)
        for i in range(rounds):
            own = jax.random.fold_in(key, next(counter))
            states, z, *told = neutra.advance(flow, log_density, states, parameters, own, CHUNK)
            seen.append(np.asarray(z))
            accepted.append(float(np.mean(told[0])))
            diverged.append(float(np.mean(told[1])))
            value = float(-np.mean(states.logdensity))
            progress.update("chains", (i + 1) * CHUNK, rounds * CHUNK, value)
        points = np.concatenate(seen)[:iterations].swapaxes(0, 1)
        return Chains(points, float(np.mean(diverged)), {"acceptance": float(np.mean(accepted))})

    return more


def _result(
    problem: Problem,
    places: Places,
    shares: Array,
    grown: Grown,
    method: str,
    key: PRNGKeyArray,
) -> Refined:
    verdict, reasons = judged(grown.numbers, grown.chains.diverged, problem.names)
    offered, _ = propose(problem.flow, problem.log_density, places, shares, key, PILOT)
    flat = jnp.asarray(grown.chains.z.reshape(-1, grown.x.shape[-1]))
    of_chains = np.asarray(
        _log_weights(problem.flow, problem.log_density, places, shares, flat), np.float64
    )
    effective = float(np.clip(np.min(grown.numbers["ess_bulk"]), 1, of_chains.size))
    log_z, error = bridge_evidence(np.asarray(offered.log_w, np.float64), of_chains, effective)
    diagnostics = {
        **grown.numbers,
        **grown.chains.facts,
        "method": method,
        "divergences": grown.chains.diverged,
        "log_evidence": log_z,
        "log_evidence_se": error,
    }
    return Refined(
        grown.x, diagnostics, verdict, reasons, problem.coordinate_names, problem.parameters
    )


@eqx.filter_jit
def _log_weights(
    flow: Flow, log_density: LogDensity, places: Places, shares: Array, z: Array
) -> Array:
    def one(z: Array) -> Array:
        x, log_det = flow.push(z)
        return log_density(x) - log_mixture(flow, places, shares, z, x, log_det)

    return jax.lax.map(one, z, batch_size=4096)

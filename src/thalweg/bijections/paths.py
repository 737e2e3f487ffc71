"""Paths of ordinary differential equations: steps chosen by Diffrax, then taken differentiably."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, PyTree

SOLVERS = {"dopri5": "Dopri5", "dopri8": "Dopri8", "tsit5": "Tsit5"}
EQUAL = "rk4"  # the classical method of fourth order, in steps of one length
CHUNK = 2  # steps that are skipped together once every path of a batch is complete

Rates = Callable[[Array, Any], Any]  # time and state -> d state / dt


class Steps(NamedTuple):
    """The steps along one path; those that were not needed have length 0."""

    times: Float[Array, " chunks chunk"]
    lengths: Float[Array, " chunks chunk"]
    completed: Bool[Array, ""]


def diffrax() -> Any:
    """Diffrax, imported when first needed; `ImportError` that says how to get it."""
    try:
        import diffrax
    except ImportError:
        raise ImportError(
            "continuous flows need Diffrax: pip install 'thalweg[continuous]'"
        ) from None
    return diffrax


def choose_steps(
    velocity: Callable[[Array, Array], Array],
    start: Float[Array, "*event"],
    *,
    solver: str,
    tolerance: float,
    max_steps: int,
    back: bool = False,
) -> Steps:
    """Adaptive steps for dz/dt = velocity(t, z) from time 0 to 1, or `back`, from 1 to 0.

    The error of each is within `tolerance`, relative and absolute, where the dtype resolves that:
    else within eight rounding errors of 1, or one of z if that is more. Steps are constants to
    differentiation: `velocity` must close over no array that is differentiated.
    """
    eps = float(jnp.finfo(start.dtype).eps)
    dfx = diffrax()
    capacity = CHUNK * (-(-max_steps // CHUNK))
    begin, end = jnp.array([1.0, 0.0] if back else [0.0, 1.0], start.dtype)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(lambda time, z, _: velocity(time, z)),
        getattr(dfx, SOLVERS[solver])(),
        begin,
        end,
        None,
        lax.stop_gradient(start),
        saveat=dfx.SaveAt(steps=True, fn=lambda time, z, _: None),
        stepsize_controller=dfx.PIDController(
            rtol=max(tolerance, eps), atol=max(tolerance, 8 * eps)
        ),
        adjoint=dfx.ForwardMode(),
        max_steps=capacity,
        throw=False,
    )
    ends = jnp.where(jnp.isfinite(solution.ts), solution.ts, end)
    times = jnp.concatenate([begin[None], ends[:-1]])
    shape = (-1, CHUNK)
    completed = solution.result == dfx.RESULTS.successful
    return Steps(times.reshape(shape), (ends - times).reshape(shape), completed)


def take_steps(rates: Rates, start: PyTree, steps: Steps, solver: str) -> PyTree:
    """The state at the end of the steps of an explicit Runge–Kutta method; NaN if not completed.

    Derivatives are those of the numbers computed here, in both modes and of any order. Each step is
    recomputed in the backward pass, so one state per chunk is stored.
    """
    nodes, weights, final = _tableau(solver)

    def step(state: Any, given: tuple[Array, Array]) -> tuple[Any, None]:
        time, length = given

        def moved(slopes: Any, row: Array) -> Any:
            def add(leaf: Array, slope: Array) -> Array:
                return leaf + length * jnp.tensordot(row.astype(leaf.dtype), slope, 1)

            return jax.tree.map(add, state, slopes)

        def stage(slopes: Any, given: tuple[Array, Array, Array]) -> tuple[Any, None]:
            i, node, row = given
            found = rates(time + node.astype(time.dtype) * length, moved(slopes, row))
            return jax.tree.map(lambda k, new: k.at[i].set(new), slopes, found), None

        slopes = jax.tree.map(lambda leaf: jnp.zeros((len(nodes), *leaf.shape), leaf.dtype), state)
        order = (jnp.arange(len(nodes)), jnp.asarray(nodes), jnp.asarray(weights))
        slopes, _ = lax.scan(stage, slopes, order)
        return moved(slopes, jnp.asarray(final)), None

    def chunk(state: Any, given: tuple[Array, Array]) -> tuple[Any, None]:
        needed = _for_any(jnp.any(given[1] != 0))
        taken = lax.cond(
            needed, lambda s: lax.scan(jax.checkpoint(step), s, given)[0], lambda s: s, state
        )
        return taken, None

    end, _ = lax.scan(jax.checkpoint(chunk), start, (steps.times, steps.lengths))
    return jax.tree.map(lambda leaf: jnp.where(steps.completed, leaf, jnp.nan), end)


def take_equal_steps(rates: Rates, start: PyTree, count: int, *, back: bool = False) -> PyTree:
    """The state after `count` equal steps of the classical Runge–Kutta method from 0 to 1, or back.

    Each is recomputed in the backward pass, so one state per step is stored.
    """
    length = -1.0 / count if back else 1.0 / count

    def moved(state: Any, slopes: Any, by: float) -> Any:
        return jax.tree.map(lambda leaf, slope: leaf + by * slope, state, slopes)

    def step(state: Any, time: Array) -> tuple[Any, None]:
        middle = time + length / 2
        first = rates(time, state)
        second = rates(middle, moved(state, first, length / 2))
        third = rates(middle, moved(state, second, length / 2))
        fourth = rates(time + length, moved(state, third, length))
        mean = jax.tree.map(
            lambda a, b, c, d: (a + 2 * (b + c) + d) / 6, first, second, third, fourth
        )
        return moved(state, mean, length), None

    dtype = jax.tree.leaves(start)[0].dtype
    times = (1.0 if back else 0.0) + length * jnp.arange(count, dtype=dtype)
    end, _ = lax.scan(jax.checkpoint(step), start, times)
    return end


def _tableau(solver: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nodes, stage weights and final weights, without stages for errors alone."""
    table = getattr(diffrax(), SOLVERS[solver]).tableau
    final = np.asarray(table.b_sol)
    stages = int(np.flatnonzero(final).max()) + 1
    nodes = np.concatenate([[0.0], np.asarray(table.c)])[:stages]
    weights = np.zeros((stages, stages))
    for i, row in enumerate(table.a_lower[: stages - 1]):
        weights[i + 1, : len(row)] = row
    return nodes, weights, final[:stages]


@custom_vmap
def _for_any(flag: Array) -> Array:
    """Return whether it holds for any event of a batch, so that `cond` runs one branch."""
    return flag


@_for_any.def_vmap
def _for_any_batch(size: int, batched: list[bool], flag: Array) -> tuple[Array, bool]:
    return _for_any(jnp.any(flag) if batched[0] else flag), False

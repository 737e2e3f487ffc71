"""The driver of the compiled loop: chunks, progress, checkpoints, Ctrl-C, errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Int, PRNGKeyArray, PyTree, Real

from thalweg.backend import check_backend
from thalweg.compiling import Program, compile_ahead
from thalweg.objectives import Objective
from thalweg.progress import Progress, begin_stage, showing
from thalweg.training.checkpoints import read_checkpoint, write_checkpoint
from thalweg.training.history import History
from thalweg.training.interrupt import Interrupt, Pieces
from thalweg.training.loop import (
    Chunk,
    ChunkRecord,
    TrainState,
    run_chunk,
    run_short_chunk,
    start,
    trained_names,
)
from thalweg.training.schedule import Schedule, check_budget
from thalweg.training.time_limit import Speed, TimeLimit

CHUNKS = 100  # a run reports this many times: a chunk is one percent of its steps
CHECKPOINT_SECONDS = 10.0
NO_STEPS = np.int32(0), np.bool_(False)  # a chunk that is compiled and stays open


@dataclass
class Trained:
    """The outcome of a fit over restarts.

    Args:
        models: the best of each restart (leading axis: restarts).
        values: their objectives in nats (restarts,): a running mean, plus its standard error.
        history: one row a chunk.
        skipped: how many steps each restart refused.
        not_finite: the parameters whose gradients were not finite at some steps of the best
            restart, with the number of such steps.
        interrupted: whether Ctrl-C ended the run early.
        steps: how many steps were taken.
        compile_seconds: the time to trace and compile the program.
        out_of_time: whether a time limit ended the run early.

    Example:
        >>> import numpy as np, thalweg as tw
        >>> from thalweg.tree import pick
        >>> stacked = {"loc": np.array([[1.0], [2.0]])}  # of two restarts
        >>> values = np.array([3.0, 2.5])
        >>> nothing = np.zeros(2), {}, False, 100, 0.0
        >>> fitted = tw.training.Trained(stacked, values, tw.training.History(), *nothing)
        >>> float(pick(int(fitted.values.argmin()), fitted.models)["loc"][0])
        2.0
    """

    models: PyTree
    values: np.ndarray
    history: History
    skipped: np.ndarray
    not_finite: dict[str, int]
    interrupted: bool
    steps: int
    compile_seconds: float
    out_of_time: bool = False


def train(
    models: PyTree,
    objective: Objective,
    key: PRNGKeyArray,
    *,
    steps: int,
    learning_rate: Real[ArrayLike, ""],
    optimiser: str = "adam",
    weight_decay: Real[ArrayLike, ""] = 0.0,
    stage: str = "fit",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    should_stop: Callable[[ChunkRecord], bool] | None = None,
    low_optimisation: bool = False,
    objective_for_chunk: Callable[[int], Objective] | None = None,
    time_limit: TimeLimit | None = None,
) -> Trained:
    """Minimise an objective over stacked models (leading axis: restarts).

    Args:
        models: a tree whose arrays lead with the restart axis; `stack_of_one` adds one.
        objective: what is minimised.
        key: of all draws.
        steps: how many steps.
        learning_rate: the rate, which the schedule of the optimiser multiplies.
        optimiser: a name of `thalweg.training.optimisers`.
        weight_decay: the fraction, times the rate, by which a step shrinks matrices.
        stage: the name that `progress` shows.
        progress: what is called after each chunk; nothing by default.
        checkpoint: a file for the whole state, written every few seconds and on Ctrl-C; a run that
            finds it resumes from there.
        should_stop: looks at the record of every chunk; after two in a row for which it is true the
            fit ends, in a cooldown: the rest of the schedule in a tenth of the steps.
        low_optimisation: whether XLA optimises the program less, where compiling it well would cost
            more than it saves.
        objective_for_chunk: makes the objective of the chunk with a number, for data of which only
            a window is in memory; its arrays keep their shapes, so that nothing is compiled again.
        time_limit: the time after which the fit ends, compiling included; a few steps are taken in
            any case. Where not all steps fit in, the rest of the schedule is taken in those that
            do, so that the rate falls to its end: how many these are depends on the machine.

    Returns:
        The best models of each restart with their history.

    Raises:
        ValueError: a budget is invalid, the model has nothing to train, or no step of any restart
            was usable; the sentence names the parameters whose gradients were not finite.
        KeyboardInterrupt: Ctrl-C came before the first step.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> from thalweg.tree import stack_of_one
        >>> normal = stack_of_one(tw.distributions.DiagonalNormal(jnp.zeros(1), jnp.ones(1)))
        >>> objective = tw.objectives.ForwardKL(jnp.array([[4.0], [6.0]]))
        >>> options = {"steps": 500, "learning_rate": 0.3}
        >>> fitted = tw.training.train(normal, objective, jax.random.key(0), **options)
        >>> print(f"{fitted.models.loc[0, 0]:.1f}")
        5.0
    """
    check_backend()
    budget = check_budget(steps, learning_rate, weight_decay)
    with showing(progress) as shown:
        begin_stage(shown, "compiling", objective=objective.title, unit=objective.unit)
        return _minimise(
            models,
            objective,
            key,
            budget,
            optimiser,
            stage,
            shown,
            checkpoint,
            should_stop,
            run_short_chunk if low_optimisation else run_chunk,
            objective_for_chunk,
            TimeLimit() if time_limit is None else time_limit,
        )


def prepare(
    models: PyTree,
    objective: Objective,
    key: PRNGKeyArray,
    *,
    steps: int,
    learning_rate: float,
    optimiser: str = "adam",
    low_optimisation: bool = False,
) -> None:
    """Compile the program of `train` for such arguments while other work goes on."""
    state, fixed = start(models, key, optimiser)
    plan = Schedule(steps, learning_rate, optimiser, 0.0).plan
    chunk = run_short_chunk if low_optimisation else run_chunk
    compile_ahead(chunk, Chunk(fixed, objective, plan, *NO_STEPS), state)


def _minimise(
    models: PyTree,
    objective: Objective,
    key: PRNGKeyArray,
    budget: tuple[int, float, float],
    optimiser: str,
    stage: str,
    progress: Progress,
    checkpoint: Path | None,
    should_stop: Callable[[ChunkRecord], bool] | None,
    chunk: Program,
    objective_for_chunk: Callable[[int], Objective] | None,
    time_limit: TimeLimit,
) -> Trained:
    """Carry out a fit with a program for its chunks; the other arguments are those of `train`."""
    steps, learning_rate, weight_decay = budget
    state, fixed = start(models, key, optimiser)
    names = trained_names(models)
    history, cooldown_start = History(), None
    if checkpoint is not None and checkpoint.is_file():
        state, fixed, history, cooldown_start = read_checkpoint(checkpoint, state, fixed)
        progress.message(f"going on from step {int(state.step)} of {steps}")
    schedule = Schedule(steps, learning_rate, optimiser, weight_decay, cooldown_start)
    size = -(-steps // CHUNKS)
    compiling = time.monotonic()
    state, _ = chunk(Chunk(fixed, objective, schedule.plan, *NO_STEPS), state)
    compiled = time.monotonic() - compiling
    begun = time.monotonic() - history.earlier
    saved = time.monotonic()
    done, in_a_row = int(state.step), 0
    speed = Speed(time_limit, done)
    for record in history.records():  # what `should_stop` has seen before a run was stopped
        in_a_row = _count_in_a_row(should_stop, record, in_a_row)
    pieces = Pieces()
    with Interrupt() as interrupt:
        while done < schedule.last and not interrupt.requested:
            if done and time_limit.over():
                break
            end = min(done - done % size + size, schedule.last)
            if objective_for_chunk is not None:
                objective = objective_for_chunk(done // size)
            count = pieces.next(end - done)
            sizes = np.int32(count), np.bool_(done + count == end)
            state, record = chunk(Chunk(fixed, objective, schedule.plan, *sizes), state)
            record = jax.device_get(record)
            pieces.taken(count)
            done += count
            if done < end:
                schedule.fit_in(done, speed.steps_left(done))
                continue
            history.add(done, time.monotonic() - begun, record)
            in_a_row = _count_in_a_row(should_stop, record, in_a_row)
            if in_a_row == 2 and schedule.cooldown_start is None:
                schedule.cool_down(done)
            schedule.fit_in(done, speed.steps_left(done))
            progress.update(stage, done, schedule.last, _shown(record, state))
            if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                try:
                    write_checkpoint(checkpoint, state, fixed, history, schedule.cooldown_start)
                except OSError as error:  # the last one is still there, and the fit goes on
                    progress.message(f"no checkpoint could be written: {error.strerror or error}")
                saved = time.monotonic()
        unfinished = done < schedule.last
        interrupted = interrupt.requested and unfinished
        if interrupted and checkpoint is not None:
            write_checkpoint(checkpoint, state, fixed, history, schedule.cooldown_start)
    if done == 0:
        raise KeyboardInterrupt  # nothing was learned
    if done % size and unfinished:  # the record of the chunk that was stopped
        sizes = np.int32(0), np.bool_(True)
        state, record = chunk(Chunk(fixed, objective, schedule.plan, *sizes), state)
        record = jax.device_get(record)
        history.add(done, time.monotonic() - begun, record)
        if not interrupted:
            progress.update(stage, done, done, _shown(record, state))
    kept, values = state.best.leaves, np.asarray(state.best.score, np.float64)
    if not np.any(np.isfinite(values)):
        if int(np.asarray(state.skipped).sum()) >= done * values.size:
            culprits = ", ".join(list(_named(names, state.not_finite, None))[:3]) or "none named"
            raise ValueError(
                f"none of the {done} steps could be taken: the objective or its gradient was not "
                f"finite (parameters: {culprits}); check the density and its gradient"
            )
        # Annealing never ended: return the latest parameters.
        kept, values = state.trainable, np.asarray(history.value[-1], np.float64)
    return Trained(
        models=eqx.combine(kept, fixed),
        values=values,
        history=history,
        skipped=np.asarray(state.skipped),
        not_finite=_named(names, state.not_finite, int(np.nanargmin(values))),
        interrupted=interrupted,
        steps=done,
        compile_seconds=compiled,
        out_of_time=(unfinished or schedule.shortened) and not interrupted,
    )


def _shown(record: ChunkRecord, state: TrainState) -> float:
    """Return the least value of the restarts that can be compared: those annealed cannot."""
    comparable = np.isfinite(np.asarray(state.best.score))
    return float(np.min(record.value[comparable] if comparable.any() else record.value))


def _count_in_a_row(
    should_stop: Callable[[ChunkRecord], bool] | None, record: ChunkRecord, before: int
) -> int:
    """Return for how many chunks in a row, this one included, `should_stop` was true."""
    return before + 1 if should_stop is not None and should_stop(record) else 0


def _named(
    names: list[str], counts: Int[Array, "restarts leaves"], restart: int | None
) -> dict[str, int]:
    """Return leaves whose gradients were not finite, and at how many steps, worst first.

    For one restart, or for all together (None).
    """
    table = np.asarray(counts)
    row = table.sum(0) if restart is None else table[restart]
    order = np.argsort(-row, kind="stable")
    return {names[i]: int(row[i]) for i in order if row[i]}

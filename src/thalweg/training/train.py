"""Drive the compiled loop: chunks, progress, checkpoints, Ctrl-C, and what to say of failures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.backend import check_backend
from thalweg.files.reading import shown
from thalweg.objectives import Objective
from thalweg.runs import identity
from thalweg.serialization import load_leaves, save_leaves
from thalweg.training.history import History
from thalweg.training.interrupt import Interrupt
from thalweg.training.loop import (
    HELD_OUT,
    Chunk,
    ChunkRecord,
    Plan,
    TrainState,
    run_chunk,
    run_short_chunk,
    start,
    trained_names,
)
from thalweg.training.pieces import Pieces
from thalweg.training.progress import Progress, Silent

CHUNKS = 100  # a run reports this many times: a chunk is one percent of its steps
CHECKPOINT_SECONDS = 10.0
HASTE = 10  # the part of the steps that a fit with little left to learn still takes: one in so many


@dataclass
class Trained:
    """The outcome of a fit over restarts.

    `models` are the best of each restart (leading axis: restarts), `values` their objectives
    (nats): a running mean, plus its standard error; `skipped` how many steps each refused,
    `not_finite` the parameters whose gradients were not finite at some steps of the best restart,
    with the number of such steps, `interrupted` whether Ctrl-C ended the run early,
    `compile_seconds` what it took to trace and compile the program.
    """

    models: PyTree
    values: np.ndarray
    history: History
    skipped: np.ndarray
    not_finite: dict[str, int]
    interrupted: bool
    steps: int
    compile_seconds: float


def train(
    models: PyTree,
    objective: Objective,
    key: PRNGKeyArray,
    *,
    steps: int,
    learning_rate: float,
    optimiser: str = "adam",
    weight_decay: float = 0.0,
    stage: str = "fit",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    enough: Callable[[ChunkRecord], bool] | None = None,
    short: bool = False,
    refill: Callable[[int], Objective] | None = None,
) -> Trained:
    """Minimise an objective over stacked models (leading axis: restarts).

    `optimiser` is a name of `thalweg.training.optimisers`; `weight_decay` pulls matrices to zero,
    by so much of them times the rate at each step. With `checkpoint` the whole state is
    written there every few seconds and on Ctrl-C, and a run that finds the file goes on from it.
    `enough` looks at every chunk; after two in a row with which it is content the rest of the
    schedule is gone through in a tenth of the steps, which ends the fit. `short` says that
    compiling the program well would cost more than it saves. `refill` makes the objective of the
    chunk of a number, for data that are held a part at a time; arrays must keep their shapes, for
    then nothing is compiled again.
    Raises `ValueError` when no step of any restart was usable, naming the parameters whose
    gradients were not finite.
    """
    check_backend()
    steps, learning_rate, weight_decay = check_budget(steps, learning_rate, weight_decay)
    progress = Silent() if progress is None else progress
    state, fixed = start(models, key, optimiser)
    names = trained_names(models)
    history, hastened_at = History(), None
    if checkpoint is not None and checkpoint.is_file():
        state, fixed, history, hastened_at = _restore(checkpoint, state, fixed)
        progress.message(f"going on from step {int(state.step)} of {steps}")
    plan, last = _plan(steps, hastened_at, learning_rate, optimiser, weight_decay)
    chunk = run_short_chunk if short else run_chunk
    size = -(-steps // CHUNKS)
    compiling = time.monotonic()
    nothing, still_open = jnp.asarray(0), jnp.asarray(False)
    state, _ = chunk(Chunk(fixed, objective, plan, nothing, still_open), state)  # the program
    compiled = time.monotonic() - compiling
    begun = time.monotonic() - history.earlier
    saved = time.monotonic()
    done, content = int(state.step), 0
    for record in history.records():  # what `enough` has seen before a run was stopped
        content = _content(enough, record, content)
    pieces = Pieces()
    with Interrupt() as interrupt:
        while done < last and not interrupt.requested:
            end = min(done - done % size + size, last)  # of the chunk that is open
            if refill is not None:
                objective = refill(done // size)
            count = pieces.next(end - done)
            sizes = jnp.asarray(count), jnp.asarray(done + count == end)
            state, record = chunk(Chunk(fixed, objective, plan, *sizes), state)
            record = jax.device_get(record)
            pieces.taken(count)
            done += count
            if done < end:
                continue
            history.add(done, time.monotonic() - begun, record)
            content = _content(enough, record, content)
            if content == 2 and hastened_at is None:
                hastened_at = done
                plan, last = _plan(steps, done, learning_rate, optimiser, weight_decay)
            progress.update(stage, done, last, float(np.min(record.value)))
            if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                try:
                    _save(checkpoint, state, fixed, history, hastened_at)
                except OSError as error:  # the last one is still there, and the fit is worth more
                    progress.message(f"no checkpoint could be written: {error.strerror or error}")
                saved = time.monotonic()
        interrupted = interrupt.requested and done < last
        if interrupted and checkpoint is not None:
            _save(checkpoint, state, fixed, history, hastened_at)
    if done == 0:
        raise KeyboardInterrupt  # nothing was learned
    if done % size and done < last:  # what the chunk that is open has learned counts here too
        sizes = jnp.asarray(0), jnp.asarray(True)
        state, record = chunk(Chunk(fixed, objective, plan, *sizes), state)
        history.add(done, time.monotonic() - begun, jax.device_get(record))
    kept, values = state.best.leaves, np.asarray(state.best.score, np.float64)
    if not np.any(np.isfinite(values)):
        if int(np.asarray(state.skipped).sum()) >= done * values.size:
            culprits = ", ".join(list(_named(names, state.not_finite, None))[:3]) or "none named"
            raise ValueError(
                f"none of the {done} steps could be taken: the objective or its gradient was not "
                f"finite (parameters: {culprits}); check the density and its gradient"
            )
        # Annealing was never over: the latest is all there is.
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
    )


def _content(enough: Callable[[ChunkRecord], bool] | None, record: ChunkRecord, before: int) -> int:
    """How many chunks in a row there was enough."""
    return before + 1 if enough is not None and enough(record) else 0


def _plan(
    steps: int,
    hastened_at: int | None,
    learning_rate: float,
    optimiser: str,
    weight_decay: float,
) -> tuple[Plan, int]:
    """The plan of a run and its last step, from a step on in a tenth of the steps if so many are
    left: the rate falls from where it is to its end.
    """
    length, begin, last = float(steps), 0.0, steps
    if hastened_at is not None:
        part = hastened_at / steps
        last = min(steps, hastened_at + -(-steps // HASTE))
        length = (last - hastened_at) / (1 - part) if part < 1 else length
        begin = hastened_at - part * length
    numbers = (length, learning_rate, float(weight_decay), begin)
    steps_, rate, decay, begin_ = (jnp.asarray(number) for number in numbers)
    return Plan(steps_, rate, optimiser, decay, begin_), last


def check_budget(
    steps: object, learning_rate: object, weight_decay: object = 0.0
) -> tuple[int, float, float]:
    """Return the budget of a fit; `ValueError` where so many steps or such a rate cannot be."""
    return (
        check_whole_number("steps", steps, most=HELD_OUT - 1),
        check_real_number("learning_rate", learning_rate, above=0),
        check_real_number("weight_decay", weight_decay, least=0),
    )


def _named(names: list[str], counts: Array, restart: int | None) -> dict[str, int]:
    """Which leaves had gradients that were not finite, and at how many steps, worst first.

    Of one restart, or of all together (None).
    """
    table = np.asarray(counts)
    row = table.sum(0) if restart is None else table[restart]
    order = np.argsort(-row, kind="stable")
    return {names[i]: int(row[i]) for i in order if row[i]}


def _save(
    path: Path, state: TrainState, fixed: PyTree, history: History, hastened_at: int | None
) -> None:
    arrays = eqx.filter(fixed, eqx.is_array)
    words: dict[str, Any] = {"history": history.to_json(), "hastened_at": hastened_at}
    words["run"] = identity(path.parent)
    save_leaves(path, (state, arrays), {key: json.dumps(word) for key, word in words.items()})


def _restore(
    path: Path, state: TrainState, fixed: PyTree
) -> tuple[TrainState, PyTree, History, int | None]:
    arrays, static = eqx.partition(fixed, eqx.is_array)
    (state, arrays), metadata = load_leaves(path, (state, arrays))
    try:
        run = json.loads(metadata.get("run", '""'))
        history = History.from_json(json.loads(metadata["history"]))
        history.earlier = history.seconds[-1] if history.seconds else 0.0
        hastened_at = json.loads(metadata.get("hastened_at", "null"))
        if not (hastened_at is None or (type(hastened_at) is int and 0 < hastened_at < 2**31)):
            raise TypeError("hastened_at")
    except (KeyError, TypeError, RecursionError, ValueError):
        raise ValueError(f"{shown(path)}: the history in the checkpoint is malformed") from None
    if run not in ("", identity(path.parent)):
        raise ValueError(f"{shown(path)} is of another run: remove it to begin anew")
    return state, eqx.combine(arrays, static), history, hastened_at

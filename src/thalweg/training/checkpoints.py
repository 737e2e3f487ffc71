"""Checkpoints: the whole state of a fit in a file, with its history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import equinox as eqx
from jaxtyping import PyTree

from thalweg.files.reading import shown
from thalweg.runs import identity
from thalweg.serialization import load_leaves, save_leaves
from thalweg.training.history import History
from thalweg.training.loop import TrainState


def write_checkpoint(
    path: Path, state: TrainState, fixed: PyTree, history: History, cooldown_start: int | None
) -> None:
    """Write the whole state of a fit, with the history and the start of a cooldown."""
    arrays = eqx.filter(fixed, eqx.is_array)
    words: dict[str, Any] = {"history": history.to_json(), "cooldown_start": cooldown_start}
    words["run"] = identity(path.parent)
    save_leaves(path, (state, arrays), {key: json.dumps(word) for key, word in words.items()})


def read_checkpoint(
    path: Path, state: TrainState, fixed: PyTree
) -> tuple[TrainState, PyTree, History, int | None]:
    """Return state, fixed part, history and the start of a cooldown, in the shapes that are given.

    Raises:
        ValueError: the file is malformed, of another model, or of another run.
    """
    arrays, static = eqx.partition(fixed, eqx.is_array)
    (state, arrays), metadata = load_leaves(path, (state, arrays))
    try:
        run = json.loads(metadata.get("run", '""'))
        history = History.from_json(json.loads(metadata["history"]))
        history.earlier = history.seconds[-1] if history.seconds else 0.0
        # Checkpoints of version 0.1 call it by another name.
        written = metadata.get("cooldown_start", metadata.get("hastened_at", "null"))
        cooldown_start = json.loads(written)
        if not (
            cooldown_start is None or (type(cooldown_start) is int and 0 < cooldown_start < 2**31)
        ):
            raise TypeError("cooldown_start")
    except (KeyError, TypeError, RecursionError, ValueError):
        raise ValueError(f"{shown(path)}: the history in the checkpoint is malformed") from None
    if run not in ("", identity(path.parent)):
        raise ValueError(f"{shown(path)} is of another run: remove it to begin anew")
    return state, eqx.combine(arrays, static), history, cooldown_start

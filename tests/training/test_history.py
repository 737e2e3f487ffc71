"""The history of a fit, and the time that compiling took."""

import json

import numpy as np

from thalweg.training import History, compile_seconds
from thalweg.training.loop import ChunkRecord


def test_history_survives_json():
    history = History()
    numbers = [[1.5, np.inf], [1.75, 2.0], [2.0, 0.0], [0, 1], [0.1, 0.2]]
    history.add(1, 0.5, ChunkRecord(*map(np.array, numbers)))
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    assert again == history


def test_history_without_held_out_rows_survives_json():
    history = History()
    history.add(1, 0.5, ChunkRecord(*map(np.array, ([1.5], [np.nan], [2.0], [0], [0.1]))))
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(again.held_out, [[np.nan]])
    assert again == history
    history.value[0][0] = 1.25
    assert again != history


def test_compile_seconds_only_grow():
    import jax

    before = compile_seconds()
    jax.jit(lambda x: x + before)(1.0)
    assert compile_seconds() > before

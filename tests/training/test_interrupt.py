"""Chunks in pieces: the same fit, and Ctrl-C is heard between them."""

import signal

import numpy as np
import pytest
from training.fits import KL, run, same

from thalweg.training import interrupt
from thalweg.training.interrupt import FIRST, SECONDS, Pieces


def test_pieces_last_as_long_as_they_may(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(interrupt.time, "monotonic", lambda: now[0])
    found, sizes = Pieces(), []
    for seconds_a_step in [1e-5] * 6 + [2.0] * 3:
        sizes.append(found.next(10**6))
        now[0] += seconds_a_step * sizes[-1]
        found.taken(sizes[-1])
    assert sizes[0] == FIRST
    assert sizes[5] == pytest.approx(SECONDS / 1e-5, abs=1)  # after some growth
    assert sizes[7:] == [1, 1]  # a step cannot be parted
    assert found.next(0) == 0


LONGER = 700  # steps, in a hundred chunks of seven


@pytest.fixture(scope="module")
def whole():
    """A fit whose chunks were not parted."""
    return run(steps=LONGER)


@pytest.fixture
def small(monkeypatch):
    """Pieces of three steps, and then of one each."""
    monkeypatch.setattr(interrupt, "FIRST", 3)
    monkeypatch.setattr(interrupt, "SECONDS", 0.0)


def test_a_fit_in_pieces_is_the_same_fit(whole, small):
    parted = run(steps=LONGER)
    assert same(parted.models, whole.models)
    np.testing.assert_array_equal(parted.values, whole.values)
    np.testing.assert_array_equal(parted.skipped, whole.skipped)
    for name in ("step", "value", "gradient_norm", "skipped", "spread"):
        assert getattr(parted.history, name) == getattr(whole.history, name)


class Presses:
    """Hands out the objective for each piece, and presses Ctrl-C at one of them."""

    def __init__(self, at):
        self.left = at

    def __call__(self, chunk):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        return KL


def test_l3_ctrl_c_within_a_chunk_loses_nothing(whole, small, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(steps=LONGER, objective_for_chunk=Presses(14), checkpoint=path)
    assert stopped.interrupted
    assert stopped.steps % 7
    # What the chunk had learned by then counts in what is returned.
    assert stopped.history.step[-1] == stopped.steps
    assert np.all(np.isfinite(stopped.values))
    resumed = run(steps=LONGER, checkpoint=path)
    assert same(resumed.models, whole.models)
    assert resumed.history.value == whole.history.value
    assert resumed.history.step == whole.history.step


def test_l3_ctrl_c_within_the_first_chunk_keeps_what_was_learned(whole, small, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(steps=LONGER, objective_for_chunk=Presses(2), checkpoint=path)
    assert (stopped.interrupted, stopped.steps) == (True, 4)
    assert np.all(np.isfinite(stopped.values))
    assert same(run(steps=LONGER, checkpoint=path).models, whole.models)

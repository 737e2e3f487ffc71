"""Ctrl-C, checkpoints, and runs that go on from them."""

import errno
import importlib
import json
import signal

import equinox as eqx
import jax
import numpy as np
import pytest
from training.fits import STEPS, PressesCtrlC, log_density, models, run, same

from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.objectives import Annealing, ReverseKL
from thalweg.runs import write_record
from thalweg.training.interrupt import Interrupt


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint of a run that Ctrl-C stopped after 40 steps."""
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(progress=PressesCtrlC(40), checkpoint=path)
    assert stopped.interrupted
    assert stopped.steps == 40
    return path


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(fitted, checkpoint):
    progress = PressesCtrlC(None)
    resumed = run(models(5.0, 5.0), progress=progress, checkpoint=checkpoint)
    assert progress.messages == ["going on from step 40 of 100"]
    assert same(resumed.models, fitted.models)
    np.testing.assert_array_equal(resumed.values, fitted.values)
    np.testing.assert_array_equal(resumed.skipped, fitted.skipped)
    assert resumed.history.value == fitted.history.value
    assert resumed.history.gradient_norm == fitted.history.gradient_norm
    assert resumed.history.step == fitted.history.step == list(range(1, 101))
    assert np.all(np.diff(resumed.history.seconds) >= 0)
    assert resumed.history.earlier == resumed.history.seconds[39]
    assert fitted.history.earlier == 0
    assert not resumed.interrupted


def test_an_interrupted_run_can_be_interrupted_again(fitted, checkpoint):
    assert run(progress=PressesCtrlC(70), checkpoint=checkpoint).steps == 70
    assert same(run(checkpoint=checkpoint).models, fitted.models)


def test_only_the_checkpoint_is_left(checkpoint):
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_ctrl_c_without_a_checkpoint_keeps_what_was_learned():
    stopped = run(progress=PressesCtrlC(60))
    assert stopped.interrupted
    assert np.all(np.isfinite(stopped.values))
    assert stopped.history.step[-1] == 60


def test_ctrl_c_at_the_last_step_is_no_interruption(tmp_path):
    done = run(progress=PressesCtrlC(STEPS), checkpoint=tmp_path / "c.safetensors")
    assert not done.interrupted
    assert not list(tmp_path.iterdir())


def test_ctrl_c_works_as_before_after_a_fit():
    before = signal.getsignal(signal.SIGINT)
    run(progress=PressesCtrlC(10))
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        signal.raise_signal(signal.SIGINT)


def damaged(path, how):
    from thalweg.files.tensors import read_tensors, write_tensors

    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a checkpoint\n" * 20)
    else:
        tensors, metadata = read_tensors(path)
        history = json.loads(metadata["history"])
        if how == "array missing":
            tensors.pop("00000")
        elif how == "other shape":
            tensors["00000"] = np.zeros(17)
        elif how == "no history":
            metadata = {}
        elif how == "history is no JSON":
            metadata = {"history": "{"}
        elif how == "history is a list":
            metadata = {"history": "[1, 2]"}
        elif how == "history without values":
            metadata = {"history": json.dumps({**history, "value": None})}
        write_tensors(path, tensors, metadata)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "empty",
        "text",
        "array missing",
        "other shape",
        "no history",
        "history is no JSON",
        "history is a list",
        "history without values",
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(checkpoint, how):
    damaged(checkpoint, how)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors") as raised:
        run(checkpoint=checkpoint)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_of_another_run_is_refused(checkpoint):
    first = jax.tree.map(lambda a: a[:1] if eqx.is_array(a) else a, models())
    objective = ReverseKL(log_density, 8, "path", Annealing([1.0], np.inf))
    with pytest.raises(ValueError, match="does not belong to this run"):
        run(first, objective, checkpoint=checkpoint)


def test_x4_a_flipped_byte_in_a_checkpoint_is_refused(checkpoint):
    whole = checkpoint.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 12, dtype=int):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        checkpoint.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"checkpoint\.safetensors"):
            run(checkpoint=checkpoint)


def test_u_damaged_words_of_a_checkpoint_are_named(checkpoint):
    tensors, words = read_tensors(checkpoint)
    for damage in (
        {"cooldown_start": "-3"},
        {"cooldown_start": '"x"'},
        {"history": '{"step": [1]}'},
    ):
        write_tensors(checkpoint, tensors, {**words, **damage})
        with pytest.raises(ValueError, match="the history in the checkpoint is malformed"):
            run(checkpoint=checkpoint)


def test_x4_a_checkpoint_that_a_run_of_another_seed_left_is_refused(checkpoint):
    words = {"job": "encode", "status": "interrupted"}
    request = {"dataset": "digits", "draws": 5, "seed": 1, "options": {}}
    write_record(checkpoint.parent, {**words, "request": request})
    assert run(progress=PressesCtrlC(50), checkpoint=checkpoint).steps == 50  # it is now this run's
    assert run(progress=PressesCtrlC(60), checkpoint=checkpoint).steps == 60
    write_record(checkpoint.parent, {**words, "request": {**request, "seed": 2}})
    with pytest.raises(ValueError, match="is of another run"):
        run(checkpoint=checkpoint)


def test_l2_a_fit_goes_on_where_a_checkpoint_cannot_be_written(fitted, tmp_path, monkeypatch):
    module = importlib.import_module("thalweg.training.train")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("thalweg.training.checkpoints.save_leaves", full)
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)
    progress = PressesCtrlC(None)
    done = run(progress=progress, checkpoint=tmp_path / "checkpoint.safetensors")
    assert same(done.models, fitted.models)
    said = "no checkpoint could be written: No space left on device"
    assert set(progress.messages) == {said}

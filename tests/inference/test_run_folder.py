"""Run folders of inference: what they hold, how they are read and resumed, and Ctrl-C."""

import json
import shutil
import signal

import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import NUMBERS, Listener, fit
from training.fits import aged

from thalweg import targets
from thalweg.inference import infer, read_run, resume
from thalweg.inference.pipeline import Pipeline
from thalweg.runs import CHECKPOINT, read_record

SCALAR = {"flow": "auto", "layers": 2, "steps": 100, "batch_size": 32, "restarts": 1}


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """A shell that starts the tests in the background has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def scalar(tmp_path_factory):
    """A one-dimensional built-in, in a run folder."""
    folder = tmp_path_factory.mktemp("scalar") / "run"
    return infer("student_t", 1, **SCALAR, out=folder, progress=False), folder


def test_one_dimension_has_a_flow_of_its_own(scalar):
    posterior, _ = scalar
    assert posterior.record["request"]["flow"] == "planar"
    assert posterior.sample(3).shape == (3, 1)
    assert posterior.diagnostics["log_evidence"] == pytest.approx(0.0, abs=0.1)


def test_a_run_folder_holds_what_it_promises(scalar):
    _, folder = scalar
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "model.safetensors",
        "gaussian.safetensors",
        "draws.safetensors",
        "history.json",
    }
    record = read_record(folder)
    assert record["status"] == "complete"
    assert record["request"]["seed"] == 0
    assert record["target"]["name"] == "student_t"
    assert {"jax", "thalweg"} <= record["environment"]["versions"].keys()
    assert record["seconds"] >= 0


def assert_equal_posteriors(one, other):
    np.testing.assert_array_equal(one.sample(50), other.sample(50))
    np.testing.assert_array_equal(one.log_prob(one.draws.x), other.log_prob(one.draws.x))
    for a, b in zip(one.draws, other.draws, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.verdict == other.verdict
    assert one.reasons == other.reasons
    assert one.history == other.history
    assert one.parameter_names == other.parameter_names
    assert str(one.summary()) == str(other.summary())
    for name in NUMBERS:
        assert one.diagnostics[name] == other.diagnostics[name]


def test_a_run_is_read_back_as_it_was(scalar):
    posterior, folder = scalar
    again = read_run(folder)
    assert_equal_posteriors(posterior, again)
    # The built-in density was found again, so draws can be corrected.
    np.testing.assert_array_equal(again.resample(50), posterior.resample(50))
    np.testing.assert_array_equal(
        again.gaussian.log_prob(jnp.ones(1)), posterior.gaussian.log_prob(jnp.ones(1))
    )


def test_the_old_word_for_a_verdict_is_read_as_the_new_one(scalar, tmp_path):
    _, folder = scalar
    shutil.copytree(folder, tmp_path / "old")
    record = json.loads((folder / "run.json").read_text())
    (tmp_path / "old" / "run.json").write_text(json.dumps({**record, "verdict": "correct"}))
    assert read_run(tmp_path / "old").verdict == "reweight"


def test_a_complete_run_is_resumed_by_reading_it(scalar):
    posterior, folder = scalar
    before = (folder / "run.json").read_bytes()
    assert_equal_posteriors(posterior, resume(folder, progress=False))
    assert (folder / "run.json").read_bytes() == before


def test_a_saved_posterior_of_a_function_is_corrected_as_far_as_its_draws_go(fitted, tmp_path):
    fitted.save(tmp_path / "kept")
    again = read_run(tmp_path / "kept")
    assert_equal_posteriors(fitted, again)
    assert again.target is None
    # 8192 draws with their weights are stored, four for each that is asked for.
    stored = {tuple(row) for row in again.draws.x}
    assert {tuple(row) for row in again.resample(100)} <= stored
    with pytest.raises(ValueError, match=r"enough for 2048: .*in a Python session.*target=…"):
        again.resample(2049)


def test_saving_twice_into_one_folder_is_refused(scalar, fitted):
    with pytest.raises(ValueError, match="already holds a run"):
        fitted.save(scalar[1])


# --- interrupts ----------------------------------------------------------------------------------


def test_an_interrupted_fit_is_resumed_to_the_same_end(scalar, tmp_path):
    posterior, _ = scalar
    folder = tmp_path / "run"
    target = targets.get("student_t", dim=1)
    stopped = infer(target, **SCALAR, out=folder, progress=Listener("planar", 30))
    assert stopped.interrupted
    assert stopped.sample(4).shape == (4, 1)
    assert read_record(folder)["status"] == "interrupted"
    with pytest.raises(ValueError, match="thalweg resume"):
        read_run(folder)
    aged(folder / CHECKPOINT, 1000)
    resumed = resume(folder, progress=False)
    assert not resumed.interrupted
    assert resumed.record["seconds"] > 1000
    assert read_record(folder)["status"] == "complete"
    assert resumed.history.value == posterior.history.value
    for name in NUMBERS:
        assert resumed.diagnostics[name] == posterior.diagnostics[name]
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_ctrl_c_during_the_gaussian_is_not_swallowed(tmp_path):
    folder, listener = tmp_path / "run", Listener("gaussian", 1)
    try:
        stopped = fit(out=folder, progress=listener).interrupted
    except KeyboardInterrupt:
        stopped = True
    assert stopped
    assert listener.stages == ["gaussian"]  # the flow was not begun as if nothing had happened
    assert read_record(folder)["status"] == "interrupted"


def test_ctrl_c_while_looking_for_a_start(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(out=folder, progress=Listener("start"))
    assert read_record(folder)["status"] == "interrupted"


def test_l6_a_fit_that_fails_before_it_has_learned_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, gaussian, start, modes, checkpoint):
        raise ValueError("none of the steps could be taken")

    monkeypatch.setattr(Pipeline, "_fit_flow", fail)
    with pytest.raises(ValueError, match="steps could be taken"):
        fit(out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_x3_a_run_is_not_resumed_with_another_density_in_memory(tmp_path):
    def bowl(x):
        return -0.5 * jnp.sum(x**2)

    def other(x):
        return -0.6 * jnp.sum(x**2)

    budget = {"flow": "planar", "layers": 1, "steps": 100, "batch_size": 16, "restarts": 1}
    infer(bowl, 2, **budget, out=tmp_path / "run", progress=Listener("planar", 30))
    with pytest.raises(ValueError, match=r"made in a Python session.*target=…"):
        resume(tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="has changed since"):
        resume(tmp_path / "run", progress=False, target=other)
    assert not resume(tmp_path / "run", progress=False, target=bowl).interrupted

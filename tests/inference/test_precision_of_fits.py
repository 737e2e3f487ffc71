"""Fits that need float64 get it, in a process whose JAX is in float32, and stay usable there."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET, Listener
from jax.scipy.special import gammaln

from thalweg.inference import infer, read_run, resume
from thalweg.precision import computing_in, current_precision
from thalweg.report import write_report
from thalweg.runs import CHECKPOINT, read_record

SMALL = {**BUDGET, "steps": 100}
COUNTS = np.random.default_rng(0).poisson(1.3e6, 20)
NAMED = {"parameters": {"rate": ()}, "supports": {"rate": "positive"}}


def counted(tree):
    """20 counts near 1.3e6, with a Gamma(1/2, ·) prior of their rate."""
    rate = tree["rate"]
    return jnp.sum(COUNTS * jnp.log(rate) - rate - gammaln(COUNTS + 1.0)) - 0.5 * jnp.log(rate)


def evidence():
    """ln Z of `counted`: a Gamma integral."""
    shape = COUNTS.sum() + 0.5
    terms = [gammaln(shape), -shape * np.log(20.0), -jnp.sum(gammaln(COUNTS + 1.0))]
    return float(sum(terms))


@pytest.fixture
def in_float32():
    with computing_in("float32"):
        yield


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w3") / "run"
    heard = Listener()
    with computing_in("float32"):
        posterior = infer(counted, **NAMED, **{**SMALL, "progress": heard}, out=folder)
        assert current_precision() == "float32"
    return posterior, folder, heard


def test_w3_counts_near_a_million_fit_in_float64_by_themselves(fitted):
    posterior, folder, heard = fitted
    assert posterior.precision == posterior.diagnostics["precision"] == "float64"
    assert posterior.verdict == "trust"
    assert abs(posterior.diagnostics["log_evidence"] - evidence()) < 0.01
    assert posterior.reasons[-1].startswith("fitted in float64: in float32 the log density is")
    assert any(text.startswith("fitting in float64: ") for text in heard.messages)
    record = read_record(folder)
    assert record["environment"]["x64"] is True
    assert record["request"]["precision"] == "auto"
    assert record["precision"]["used"] == "float64"
    assert "nats" in record["precision"]["because"]
    assert record["status"] == "complete"
    assert not (folder / CHECKPOINT).exists()


def test_w3_such_a_posterior_works_in_a_float32_process(fitted, in_float32):
    posterior, _, _ = fitted
    mean, sd = COUNTS.mean(), np.sqrt(COUNTS.mean() / 20)
    for draws in (posterior.sample(2000), posterior.resample(500)):
        rate = draws["rate"]
        assert isinstance(rate, np.ndarray)
        assert rate.dtype == np.float64
        assert abs(rate.mean() - mean) < 5 * sd / 500**0.5
        assert abs(rate.std() / sd - 1) < 0.2
    assert np.all(np.isfinite(posterior.log_prob({"rate": draws["rate"][:5]})))
    value, error = posterior.expectation(lambda p: p["rate"], 2000)
    assert abs(value - mean) < 5 * error
    simulated = posterior.predictive(lambda k, p: jax.random.poisson(k, p["rate"]), 200)
    assert abs(np.mean(simulated) / mean - 1) < 1e-3
    assert abs(posterior.summary()["rate"]["mean"] - mean) < sd
    assert posterior.points.dtype == np.float64


def test_w3_such_a_run_opens_in_either_precision(fitted, tmp_path):
    posterior, folder, _ = fitted
    for process in ("float32", "float64"):
        with computing_in(process):
            opened = read_run(folder)
            again = opened.sample(5)["rate"]
            np.testing.assert_array_equal(
                np.asarray(again), np.asarray(posterior.sample(5)["rate"])
            )
            assert opened.precision == "float64"
            opened.save(tmp_path / process)
            assert write_report(opened, tmp_path / f"{process}.html").is_file()


@pytest.mark.slow
def test_w3_a_run_in_float32_opens_in_a_float64_process(tmp_path, in_float32):
    posterior = infer(lambda x: -0.5 * jnp.sum(x**2), 2, **SMALL, out=tmp_path / "run")
    drawn = np.asarray(posterior.sample(5))
    with computing_in("float64"):
        opened = read_run(tmp_path / "run")
        assert opened.precision == "float32"
        np.testing.assert_array_equal(np.asarray(opened.sample(5)), drawn)
        assert opened.diagnostics["precision"] == "float32"


def test_w3_float32_that_is_asked_for_is_rejected_by_name(in_float32):
    posterior = infer(counted, **NAMED, **SMALL, precision="float32")
    assert posterior.precision == "float32"
    assert posterior.verdict == "reject"
    (reason,) = posterior.reasons
    assert reason.startswith("the log density is rounded to float32: its values, near ")
    assert "precision='auto'" in reason


def test_w3_float64_that_is_asked_for_needs_no_flag(in_float32):
    posterior = infer(lambda x: -0.5 * jnp.sum(x**2), 1, **SMALL, precision="float64")
    assert posterior.precision == "float64"
    assert posterior.record["precision"] == {"used": "float64", "because": ""}
    assert current_precision() == "float32"


def test_w3_precisions_by_name_alone():
    with pytest.raises(ValueError, match="precision must be one of auto, float32, float64, got 64"):
        infer(lambda x: -0.5 * jnp.sum(x**2), 1, precision=64)


@pytest.mark.slow
def test_w3_a_stopped_run_goes_on_in_float64(tmp_path, in_float32):
    """Interrupted in the flow, resumed, and the same as a run that was left alone."""
    file = tmp_path / "model.py"
    file.write_text(
        "import jax.numpy as jnp\n\n\ndef sharp(x):\n"
        "    return -0.5 * jnp.sum(((x - 1.0) / 1e-8) ** 2)\n"
    )
    target = f"{file}:sharp"
    whole = infer(target, 2, **SMALL, out=tmp_path / "whole")
    assert whole.precision == "float64"
    assert abs(whole.diagnostics["log_evidence"] - 2 * np.log(1e-8 * np.sqrt(2 * np.pi))) < 0.05
    stopped = infer(
        target, 2, **{**SMALL, "progress": Listener("planar", 50)}, out=tmp_path / "stopped"
    )
    assert stopped.interrupted
    for process in ("float32", "float64"):
        with computing_in(process), contextlib.suppress(KeyboardInterrupt):
            posterior = resume(tmp_path / "stopped", progress=False, trust_code=True)
    np.testing.assert_array_equal(posterior.draws.x, whole.draws.x)
    assert posterior.reasons == whole.reasons


def test_u_float16_densities_are_rejected_by_name(in_float32):
    def half(x):
        return (1000 - 0.5 * jnp.sum((x - 1) ** 2)).astype(jnp.float16)

    posterior = infer(half, 2, **SMALL)
    assert posterior.verdict == "reject"
    (reason,) = posterior.reasons
    assert reason.startswith("the log density is rounded to float16 inside: ")


def test_u_float16_densities_of_small_values_fit():
    posterior = infer(lambda x: (-0.5 * jnp.sum(x**2)).astype(jnp.float16), 1, **SMALL)
    assert posterior.verdict == "trust"
    assert abs(posterior.diagnostics["log_evidence"] - 0.5 * np.log(2 * np.pi)) < 0.01


@pytest.mark.slow
def test_w14_a_fit_that_failed_to_learn_says_so():
    posterior = infer(
        lambda x: -0.5 * jnp.sum(x**2), 1, **{**SMALL, "steps": 50, "learning_rate": 1e3}
    )
    assert posterior.verdict != "trust"
    assert any("failed to learn" in reason for reason in posterior.reasons)

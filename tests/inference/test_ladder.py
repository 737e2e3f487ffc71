"""A fit ends at the Gaussian where that is good enough, and only there."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.inference import infer, read_run
from thalweg.inference.defaults import ACCURACY
from thalweg.inference.evaluate import MAP
from thalweg.inference.pipeline import Pipeline
from thalweg.report import write_report
from thalweg.report.repeat import command_line
from thalweg.targets import Target

MEAN, SCALES = np.array([3.0, -1.0]), np.array([2.0, 0.1])
LOG_Z = np.log(2 * np.pi * SCALES.prod()) + 1.5


def bell(x):
    return 1.5 - 0.5 * jnp.sum(((x - MEAN) / SCALES) ** 2)


def bent(x):
    """Its best Gaussian is off by some hundredths of a nat."""
    return bell(x) - 0.3 * jnp.sum(((x - MEAN) / SCALES) ** 4)


def of(log_density, **options):
    return infer(log_density, 2, progress=False, **options)


@pytest.fixture(scope="module")
def alone():
    return of(bell)


def test_a_gaussian_posterior_needs_no_flow(alone):
    numbers = alone.diagnostics
    assert alone.verdict == "trust"
    assert numbers["kept"] == "gaussian"
    assert alone.flow is alone.gaussian
    assert alone.record["steps_taken"] == 0
    assert alone.history.step == []
    assert numbers["restarts"]["objective"] is None
    assert numbers["elbo"] == pytest.approx(LOG_Z, abs=1e-4)
    assert numbers["coverage"]["log_evidence"] == pytest.approx(LOG_Z, abs=0.01)
    assert not any("learn" in reason for reason in alone.reasons)
    drawn = np.asarray(alone.sample(20_000))
    np.testing.assert_allclose((drawn.mean(0) - MEAN) / SCALES, 0.0, atol=0.03)
    np.testing.assert_allclose(drawn.std(0) / SCALES, 1.0, atol=0.03)


def test_evaluations_are_counted_and_few(alone):
    asked = alone.record["evaluations"]
    assert 0 < asked["gradients"] <= 20_000
    assert 0 < asked["values"] <= 40_000


def test_its_run_folder_is_read_reported_and_repeated(alone, tmp_path):
    posterior = of(bell, out=tmp_path / "run")
    np.testing.assert_array_equal(posterior.sample(3), alone.sample(3))
    loaded = read_run(tmp_path / "run", bell)
    assert loaded.verdict == "trust"
    assert loaded.diagnostics["kept"] == "gaussian"
    assert loaded.record["evaluations"] == alone.record["evaluations"]
    page = write_report(loaded, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no flow was fitted" in page
    assert ">Training<" not in page


def test_its_command_line_asks_for_no_flow():
    posterior = infer("standard_normal", progress=False, seed=3)
    assert posterior.record["steps_taken"] == 0
    assert command_line(posterior.record) == "thalweg infer standard_normal --dim 2 --seed 3 --x64"


class FlowReachedError(Exception):
    """A fit has come to its flow."""


@pytest.fixture
def no_flow(monkeypatch):
    """Stop where the flow would be fitted, which is most of the time of a fit."""

    def reached(*_):
        raise FlowReachedError

    monkeypatch.setattr(Pipeline, "_flow_too", reached)


ASKED = [
    {"steps": 5},
    {"restarts": 1},
    {"batch_size": 10},
    {"learning_rate": 0.1},
    {"layers": 1},
    {"flow": "real_nvp"},
    {"annealing": False},
    {"accuracy": 0.0},
]


@pytest.mark.usefixtures("no_flow")
@pytest.mark.parametrize("asked", ASKED)
def test_a_flow_that_was_asked_for_is_fitted(asked):
    with pytest.raises(FlowReachedError):
        of(bent if "accuracy" in asked else bell, **asked)


@pytest.mark.usefixtures("no_flow")
def test_accuracy_says_how_exact_is_enough():
    better = of(bent)
    assert better.diagnostics.kept == MAP
    assert better.diagnostics.gap < ACCURACY
    posterior = of(bent, accuracy=0.05)
    assert posterior.diagnostics.kept == "gaussian"
    assert ACCURACY < posterior.diagnostics.gap < 0.05


@pytest.mark.parametrize("accuracy", [-0.1, float("nan"), float("inf"), "much"])
def test_an_accuracy_that_makes_no_sense_is_refused(accuracy):
    with pytest.raises(ValueError, match="accuracy"):
        of(bell, accuracy=accuracy)


@pytest.mark.usefixtures("no_flow")
def test_modes_that_a_search_found_are_not_left_to_a_gaussian():
    """Two narrow wells at 20 standard deviations: a Gaussian in one looks exact to itself."""

    def wells(x):
        return jnp.logaddexp(-0.5 * jnp.sum(x**2), -0.5 * jnp.sum((x - 20.0) ** 2))

    with pytest.raises(FlowReachedError):
        of(wells)


def test_a_target_with_a_known_evidence_is_held_to_it():
    wrong = Target("wrong", 2, bell, log_z=LOG_Z + 1.0)
    posterior = infer(wrong, progress=False, steps=None)
    assert posterior.verdict == "reject"


def test_compiling_ahead_changes_no_result_and_traces_no_density_again(monkeypatch):
    options = {"flow": "planar", "layers": 2, "steps": 40, "restarts": 2, "progress": False}
    traces, found = [], []

    def fit():
        count = []

        def density(x):
            count.append(1)
            return -0.5 * jnp.sum(x**2) - 0.1 * jnp.sum(x**4)

        found.append(infer(density, 2, **options).diagnostics)
        traces.append(len(count))

    fit()
    monkeypatch.setattr("thalweg.compiling.Program.prepare", lambda *args: None)
    fit()
    assert found[0].elbo == found[1].elbo
    assert found[0].coverage.log_evidence == found[1].coverage.log_evidence
    assert traces[0] == traces[1]

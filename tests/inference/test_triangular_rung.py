"""A triangular map does where a Gaussian does not, and only where nothing else was seen."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.inference import infer, read_run, rungs
from thalweg.inference.evaluate import MAP
from thalweg.inference.pipeline import Pipeline
from thalweg.report import write_report


def skewed(x):
    """A banana along the logarithm of a gamma variable: ln Z = ln Γ(3) + ½ ln 2π."""
    return 3 * x[0] - jnp.exp(x[0]) - 0.5 * (x[1] - 0.3 * x[0] ** 2) ** 2


LOG_Z = np.log(2.0) + 0.5 * np.log(2 * np.pi)


class FlowReachedError(Exception):
    """No rung below was good enough."""


@pytest.fixture
def no_flow(monkeypatch):
    def reached(*args, **kwargs):
        raise FlowReachedError

    monkeypatch.setattr(Pipeline, "_flow_too", reached)


def of(log_density, dim=2, **options):
    return infer(log_density, dim, progress=False, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triangular") / "run"
    return of(skewed, out=folder), folder


def test_a_skewed_posterior_needs_no_network(run):
    posterior, _ = run
    numbers = posterior.diagnostics
    assert (posterior.verdict, numbers.kept) == ("trust", MAP)
    assert numbers.gap < 0.01
    assert numbers.log_evidence == pytest.approx(LOG_Z, abs=0.01)
    assert numbers.coverage.log_evidence == pytest.approx(LOG_Z, abs=0.01)
    assert posterior.record["steps_taken"] == 0
    assert posterior.record["evaluations"]["gradients"] <= 100_000
    drawn = np.asarray(posterior.sample(20_000))
    assert drawn[:, 0].mean() == pytest.approx(0.9228, abs=0.03)  # ψ(3)
    assert drawn[:, 0].std() == pytest.approx(0.6284, abs=0.03)  # √ψ′(3)


def test_its_reasons_say_that_no_flow_was_fitted(run):
    posterior, _ = run
    assert any("triangular map" in reason for reason in posterior.reasons)


def test_its_folder_is_read_and_reported(run, tmp_path):
    posterior, folder = run
    again = read_run(folder)
    np.testing.assert_array_equal(again.sample(5), posterior.sample(5))
    x = np.asarray(posterior.sample(5))
    np.testing.assert_allclose(again.log_prob(x), posterior.log_prob(x), rtol=1e-5)
    page = write_report(again, tmp_path / "page.html").read_text()
    assert "triangular map" in page


@pytest.mark.usefixtures("no_flow")
def test_other_modes_are_not_left_to_a_map():
    def wells(x):
        return jnp.logaddexp(skewed(x), skewed(x - jnp.array([12.0, 0.0])))

    with pytest.raises(FlowReachedError):
        of(wells)


@pytest.mark.usefixtures("no_flow")
def test_many_coordinates_are_left_to_a_flow(monkeypatch):
    monkeypatch.setattr(rungs, "MOST_DIM", 1)
    with pytest.raises(FlowReachedError):
        of(skewed)


@pytest.mark.usefixtures("no_flow")
def test_a_flow_that_was_asked_for_is_fitted():
    with pytest.raises(FlowReachedError):
        of(skewed, flow="real_nvp")


def test_in_one_coordinate():
    posterior = of(lambda x: 3 * x[0] - jnp.exp(x[0]), 1)
    assert (posterior.verdict, posterior.diagnostics.kept) == ("trust", MAP)
    assert posterior.diagnostics.log_evidence == pytest.approx(np.log(2.0), abs=0.01)


@pytest.mark.usefixtures("no_flow")
def test_time_that_a_map_has_used_up_is_not_spent_on_a_flow(monkeypatch):
    """A map that is not good enough may leave no time to compile a flow: the Gaussian has to do."""
    late = [False]

    def slow(*args, **kwargs):
        late[0] = True

    monkeypatch.setattr(rungs.Rungs, "triangular_map", slow)
    monkeypatch.setattr(Pipeline, "_too_late_for_a_flow", lambda self: late[0])
    posterior = of(skewed)
    assert posterior.diagnostics.kept == "gaussian"
    assert posterior.diagnostics.out_of_time

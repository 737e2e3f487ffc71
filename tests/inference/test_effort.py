"""A word for the work of a fit stands for its steps and its accuracy, where these are not given."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.data.observations import Reals
from thalweg.density.defaults import default_budget, default_members
from thalweg.density.learning import make_fit_spec
from thalweg.inference.plan import Plan, plan_fit
from thalweg.latent.options import LatentOptions, default_options
from thalweg.report.repeat import command_line, python_call

BANANA = tw.targets.get("banana")


@pytest.mark.parametrize(
    ("effort", "steps", "accuracy"),
    [("quick", 750, 0.05), ("standard", 3000, 0.01), ("best", 12_000, 0.001)],
)
def test_it_decides_on_steps_and_accuracy_of_an_inference(effort, steps, accuracy):
    plan = plan_fit(BANANA, effort=effort)
    assert (plan.steps, plan.accuracy) == (steps, accuracy)
    assert plan.end_early
    assert plan.may_end_at_gaussian
    given = plan_fit(BANANA, effort=effort, steps=40, accuracy=0.5)
    assert (given.steps, given.accuracy) == (40, 0.5)
    assert Plan.from_record(plan.to_record(), 2).effort == effort


def test_a_run_is_repeated_with_its_effort():
    flow = {"flow": "planar", "steps": 20, "restarts": 1}
    posterior = tw.infer("banana", effort="quick", progress=False, **flow)
    assert posterior.record["request"]["effort"] == "quick"
    command, call = command_line(posterior.record), python_call(posterior.record)
    assert "--effort quick" in command
    assert "--accuracy" not in command
    assert "effort='quick'" in call
    assert "accuracy" not in call
    usual = tw.infer("banana", accuracy=0.2, progress=False, **flow).record
    assert "--effort" not in command_line(usual)
    assert "accuracy=0.2" in python_call(usual)


@pytest.mark.parametrize(
    ("effort", "steps", "members"), [("quick", 0.25, 0.5), ("standard", 1, 1), ("best", 4, 2)]
)
def test_it_decides_on_steps_and_members_of_a_density(effort, steps, members):
    parameters = tw.DensityEstimator(effort=effort).get_params()
    spec = make_fit_spec(parameters, 500, 3, few=False)
    assert spec.steps == steps * default_budget(500, 3).steps
    assert spec.members == members * default_members(500, 3)
    given = tw.DensityEstimator(effort=effort, steps=7, members=3).get_params()
    spec = make_fit_spec(given, 500, 3, few=False)
    assert (spec.steps, spec.members) == (7, 3)


def test_it_decides_on_the_steps_of_a_latent_model():
    assert LatentOptions(effort="quick").step_count == 5000
    assert LatentOptions().step_count == 20_000
    assert LatentOptions(effort="best").step_count == 80_000
    assert LatentOptions(effort="best", steps=11).step_count == 11
    images = Reals(np.zeros((9, 4, 4), np.float32))
    steps = [default_options(images, effort=e)["steps"] for e in ("quick", "standard", "best")]
    assert steps == [1500, 6000, 24_000]


@pytest.mark.parametrize("effort", ["", "Quick", 2, None, ["best"]])
def test_another_word_is_refused(effort):
    with pytest.raises(ValueError, match=r"unknown effort .*known: 'quick', 'standard', 'best'"):
        tw.infer("banana", effort=effort, progress=False)
    with pytest.raises(ValueError, match="unknown effort"):
        tw.LatentGaussianModel(effort=effort, progress=False)
    with pytest.raises(ValueError, match="unknown effort"):
        tw.DensityEstimator(effort=effort).fit(np.zeros((20, 2)))

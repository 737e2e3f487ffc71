"""Two-phase sampling: few draws of all images and many of some are as good as many of all."""

import jax
import numpy as np
import pytest
from latent.linear_gaussian import Known, model_of

from thalweg.data.observations import Reals
from thalweg.latent.evaluation import evaluate
from thalweg.latent.summary import corrected, draws_per_second, summary


@pytest.fixture(scope="module")
def evaluations():
    """A posterior so far off that few draws miss much of ln p(x), which is known."""
    known = Known(rows=300)
    model = model_of(known, mean=0.5 * known.gain, log_scale=-0.3)
    data = Reals(known.x)
    few = evaluate(model, data, jax.random.key(0), 3)
    many = evaluate(model, data.take(np.arange(100)), jax.random.key(1), 3000)
    return known.evidence(), few, many


def test_the_correction_takes_the_bias_of_few_draws_away(evaluations):
    exact, few, many = evaluations
    found = corrected(few, many)
    only_few = summary(few, 3)["nll"]
    wanted = -exact.mean()
    assert only_few - wanted > 5 * found["gain_se"]
    assert abs(found["nll"] - wanted) < 3 * found["gain_se"] + 0.02
    assert found["gain"] == pytest.approx(only_few - found["nll"])


def test_its_error_is_that_of_both_phases(evaluations):
    _, few, many = evaluations
    found = corrected(few, many)
    expected = np.hypot(summary(few, 3)["nll_se"], found["gain_se"])
    assert found["nll_se"] == pytest.approx(expected)


def test_bounds_are_those_of_all(evaluations):
    _, few, many = evaluations
    found = corrected(few, many)
    assert found["elbo"] == summary(few, 3)["elbo"]
    assert found["all_rows"] == 300


def test_draws_of_all_images_are_counted():
    record = {"results": {"rows": 10, "draws": 50}, "request": {"few": 3}}
    record["evaluation_seconds"] = 2.0
    assert draws_per_second(record) == 250
    record["results"]["all_rows"] = 100
    assert draws_per_second(record) == 400

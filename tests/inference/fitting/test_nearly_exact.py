"""A fit that has nothing left to learn ends; one that could have lost a mode does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.inference.defaults import ACCURACY, NEARLY_EXACT
from thalweg.inference.fitting.annealing import NearlyExact
from thalweg.training import ChunkRecord


def record(*spread):
    nothing = np.zeros(len(spread))
    return ChunkRecord(nothing, nothing, nothing, nothing, np.array(spread))


def test_the_estimate_is_half_the_variance_of_a_weight():
    """KL(N(0, 1) ‖ N(ε, 1)) = ε²/2, and ln q − ln p = −εx + ε²/2 has variance ε²."""
    batch, epsilon = 100, (2 * NEARLY_EXACT * ACCURACY) ** 0.5
    spread = epsilon / batch**0.5
    enough = NearlyExact(batch, (0, 2))
    assert enough(record(0.99 * spread, 1.0, 1.0))
    assert not enough(record(1.01 * spread, 1.0, 1.0))
    assert enough(record(1.0, 1.0, 0.99 * spread))
    assert not enough(record(1.0, 0.0, 1.0))  # an annealed one is not asked
    assert not enough(record(np.nan, np.nan, np.nan))


@pytest.fixture(scope="module")
def normal():
    def density(x):
        return jax.scipy.stats.norm.logpdf(x, jnp.array([3.0, -1.0]), jnp.array([0.5, 20.0])).sum()

    return tw.infer(density, 2, flow="mean_field", restarts=2, progress=False)


def test_a_normal_density_is_done_early(normal):
    assert (
        normal.record["steps_taken"] == normal.history.step[-1] < normal.record["request"]["steps"]
    )
    assert normal.verdict == "trust"
    assert not normal.interrupted


def test_steps_that_were_asked_for_are_taken(normal):
    steps = normal.record["steps_taken"] + 400
    again = tw.infer(
        normal.target, flow="mean_field", restarts=2, steps=steps, batch_size=32, progress=False
    )
    assert again.record["steps_taken"] == steps


def test_two_modes_get_every_step():
    def density(x):
        left = jax.scipy.stats.norm.logpdf(x, jnp.array([-6.0, 0.0])).sum()
        right = jax.scipy.stats.norm.logpdf(x, jnp.array([6.0, 0.0])).sum()
        return jnp.logaddexp(left, right)

    posterior = tw.infer(density, 2, flow="mean_field", restarts=1, batch_size=16, progress=False)
    assert posterior.record["steps_taken"] == posterior.record["request"]["steps"]

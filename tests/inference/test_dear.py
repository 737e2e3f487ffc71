"""A density whose values are dear is asked for no more than the verdict needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from thalweg.diagnostics.thresholds import FIRST_DRAWS
from thalweg.inference import infer
from thalweg.inference.defaults import DRAWS, STORED_DRAWS
from thalweg.inference.plan import plan_fit
from thalweg.targets import Target, evaluator
from thalweg.targets.work import Work

ROWS, DIM = 60_000, 6


def logistic():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, DIM))
    y = rng.random(ROWS) < 1 / (1 + np.exp(-x @ np.linspace(-1, 1, DIM)))
    x, y = jnp.asarray(x), jnp.asarray(y, float)

    def log_density(w):
        eta = x @ w
        return jnp.sum(y * eta - jnp.logaddexp(0.0, eta)) - 0.5 * jnp.sum(w**2)

    return log_density


@pytest.fixture
def dear(monkeypatch):
    """Treat every density as one of dear values."""
    monkeypatch.setattr(evaluator, "work_of", lambda *_: Work(1000, 1e9, outside=False))


def test_many_rows_take_few_evaluations():
    posterior = infer(logistic(), DIM, progress=False)
    asked, numbers = posterior.record["evaluations"], posterior.diagnostics
    assert posterior.verdict == "trust"
    assert numbers.kept == "gaussian"
    assert numbers.gap < 1e-3
    assert numbers.log_evidence_se < 1e-3
    assert numbers.draws == len(posterior.draws.x) == FIRST_DRAWS
    assert asked["values"] <= 2500
    assert asked["gradients"] <= 2000


def bell(x):
    return -0.5 * jnp.sum(x**2)


def bent(x):
    return bell(x) - 0.1 * jnp.sum(x**4)


@pytest.mark.usefixtures("dear")
def test_draws_are_added_until_errors_are_small():
    exact, rough = (infer(one, 2, accuracy=0.05, progress=False) for one in (bell, bent))
    assert exact.diagnostics.draws == FIRST_DRAWS
    assert FIRST_DRAWS < rough.diagnostics.draws <= STORED_DRAWS
    assert rough.diagnostics.kept == "gaussian"
    assert rough.verdict == "trust"


@pytest.mark.usefixtures("dear")
def test_a_flow_of_a_dear_density():
    posterior = infer(bent, 2, flow="real_nvp", progress=False)
    x = np.linspace(-8, 8, 20_001)
    expected = 2 * np.log(np.trapezoid(np.exp(-0.5 * x**2 - 0.1 * x**4), x))
    assert posterior.diagnostics.kept == "flow"
    assert posterior.verdict == "trust"
    assert posterior.diagnostics.draws % FIRST_DRAWS == 0
    assert posterior.diagnostics.draws < DRAWS
    assert posterior.diagnostics.log_evidence == pytest.approx(expected, abs=0.01)


@pytest.mark.usefixtures("dear")
def test_separate_modes_of_a_dear_density():
    at = 4.0 * np.array([[1.0, 1.0], [-1.0, 1.0]])

    def wells(x):
        return logsumexp(-0.5 * jnp.sum((x - at) ** 2, 1))

    posterior = infer(wells, 2, progress=False)
    assert posterior.diagnostics.start.modes == 2
    assert posterior.verdict == "trust"
    expected = np.log(2 * 2 * np.pi)
    assert posterior.diagnostics.log_evidence == pytest.approx(expected, abs=0.01)


def test_a_step_takes_fewer_draws():
    def outside(x):
        like = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(lambda x: -np.sum(x**2, -1), like, x, vmap_method="expand_dims")

    def untraceable(x):
        raise SystemExit

    batches = [plan_fit(Target("of", 3, one)).batch_size for one in (bell, outside, untraceable)]
    assert batches == [256, 128, 256]
    assert plan_fit(Target("many rows", DIM, logistic())).batch_size == 128
    assert plan_fit(Target("outside", 3, outside), batch_size=7).batch_size == 7

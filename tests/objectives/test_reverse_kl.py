"""Objectives: their gradients against finite differences, their bounds, their annealing."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from thalweg import flows
from thalweg.bijections import Chain
from thalweg.distributions import Flow, GaussianMixture
from thalweg.objectives import Annealing, ReverseKL, free_energy
from thalweg.tree import split_trainable

DIM = 2
RECIPES = {
    "planar": {"layers": 2},
    "radial": {"layers": 2},
    "real_nvp": {"layers": 2, "hidden": (4,)},
}
STEP = 1e-5  # of central differences: truncation and rounding are then both about 1e-10
BETA = 0.3  # a β that is neither 0 nor 1 shows on which term it stands

# Programs here run once: compiling them is what takes time.
jit = functools.partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})


def log_density(x):
    """A bent, skewed density without a constant."""
    return -0.5 * (x[0] ** 2 / 2 + (x[1] - 0.3 * x[0] ** 2) ** 2) + 0.2 * jnp.sin(x[0]) + 1.7


@functools.cache
def flow_of(name):
    """A flow away from its start, so that no term of a gradient vanishes."""
    flow = flows.build(name, jax.random.key(1), DIM, **RECIPES.get(name, {}))
    trainable, fixed = split_trainable(flow)
    flat, unravel = ravel_pytree(trainable)
    flat = flat + 0.3 * jax.random.normal(jax.random.key(2), flat.shape)
    return flat, lambda values: eqx.combine(unravel(values), fixed)


def differences(function, flat):
    """The gradient by central differences, all perturbations in one program."""
    steps = STEP * jnp.eye(flat.size)
    values = jit(jax.vmap(function))(jnp.concatenate([flat + steps, flat - steps]))
    return (values[: flat.size] - values[flat.size :]) / (2 * STEP)


def held_at(beta):
    return Annealing(beta, np.inf)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.few(1)
def test_total_gradient_is_that_of_the_monte_carlo_objective(name):
    flat, model = flow_of(name)
    objective = ReverseKL(log_density, 8, "total", held_at(BETA))
    key = jax.random.key(3)

    def estimate(values):
        return objective(model(values), key, jnp.asarray(0))

    exact = jit(jax.grad(lambda values: estimate(values).surrogate))(flat)
    expected = differences(lambda values: estimate(values).value, flat)
    assert np.abs(exact).max() > 0.1
    np.testing.assert_allclose(exact, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.few(1)
def test_path_gradient_goes_through_the_draws_alone(name):
    flat, model = flow_of(name)
    objective = ReverseKL(log_density, 8, "path", held_at(BETA))
    key = jax.random.key(3)
    z = model(flat).base.sample(key, (8,))

    def along_the_path(values):
        # ln q with the parameters held fixed: what sticking the landing differentiates.
        x = jax.vmap(model(values).bijection.forward)(z)
        return jnp.mean(model(flat).log_prob(x) - BETA * jax.vmap(log_density)(x))

    exact = jit(jax.grad(lambda v: objective(model(v), key, jnp.asarray(0)).surrogate))(flat)
    np.testing.assert_allclose(exact, differences(along_the_path, flat), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.few(1)
def test_path_and_total_gradients_have_one_expectation(name):
    flat, model = flow_of(name)
    keys = jax.random.split(jax.random.key(4), 2000)

    def gradient(values, kind, key):
        objective = ReverseKL(log_density, 8, kind, held_at(BETA))
        return jax.grad(lambda v: objective(model(v), key, jnp.asarray(0)).surrogate)(values)

    @jit
    def both(values):
        # Common draws: the difference is the score term alone, whose mean is zero.
        return jax.vmap(lambda k: gradient(values, "total", k) - gradient(values, "path", k))(keys)

    gaps = np.asarray(both(flat))
    error = gaps.std(0, ddof=1) / len(keys) ** 0.5
    assert (error > 1e-4).any()  # the two do differ draw by draw
    assert (np.abs(gaps.mean(0)) <= 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("name", RECIPES)
def test_both_gradients_report_the_same_value(name):
    flat, model = flow_of(name)

    @jit
    def values(flat):
        key, step = jax.random.key(5), jnp.asarray(7)
        return [
            ReverseKL(log_density, 8, kind, Annealing())(model(flat), key, step).value
            for kind in ("path", "total")
        ]

    path, total = values(flat)
    np.testing.assert_allclose(path, total, rtol=1e-12)


def single_draw_gradients(flat, model, target, kind, count=32):
    def gradient(key):
        objective = ReverseKL(target, 1, kind)
        return jax.grad(lambda v: objective(model(v), key, jnp.asarray(0)).surrogate)(flat)

    return np.asarray(jit(jax.vmap(gradient))(jax.random.split(jax.random.key(6), count)))


def test_path_gradient_of_every_draw_vanishes_at_a_gaussian_target():
    flat, model = flow_of("gaussian")
    loc = model(flat).bijection.forward(jnp.zeros(DIM))
    factor = jax.jacfwd(model(flat).bijection.forward)(jnp.zeros(DIM))
    inverse = jnp.linalg.inv(factor)

    def target(x):
        return -0.5 * jnp.sum((inverse @ (x - loc)) ** 2) + 5.0

    assert np.abs(single_draw_gradients(flat, model, target, "path")).max() <= 1e-10
    total = single_draw_gradients(flat, model, target, "total")
    assert np.abs(total).max(1).min() > 1e-3


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.few(1)
def test_path_gradient_of_every_draw_vanishes_when_the_target_is_the_flow(name):
    flat, model = flow_of(name)

    def target(x):
        return model(flat).log_prob(x)

    assert np.abs(single_draw_gradients(flat, model, target, "path")).max() <= 1e-8
    assert np.abs(single_draw_gradients(flat, model, target, "total")).max() > 1e-3


def test_free_energy_is_the_divergence_minus_the_evidence():
    # KL(N(0, 1) ‖ N(1, 2²)) = ln 2 + 2/8 − 1/2 in each of two coordinates; ln Z is put to 3.
    def target(x):
        return jnp.sum(-0.5 * ((x - 1) / 2) ** 2 - jnp.log(2 * jnp.sqrt(2 * jnp.pi))) + 3.0

    flow = flows.build("gaussian", jax.random.key(0), DIM)  # starts as the standard normal
    value, error = jit(free_energy)(flow, target, jax.random.key(1), 20_000)
    kl = 2 * (np.log(2) + 2 / 8 - 1 / 2)
    assert 0.001 < error < 0.02
    assert abs(value - (kl - 3.0)) < 4.5 * error


def test_free_energy_is_the_evidence_at_the_target_itself():
    flat, model = flow_of("planar")

    def target(x):
        return model(flat).log_prob(x) - 2.0

    value, error = jit(free_energy)(model(flat), target, jax.random.key(1), 200)
    assert abs(value - 2.0) < 1e-10
    assert error < 1e-10


def test_beta_scales_the_target_and_not_the_entropy():
    flow = flows.build("gaussian", jax.random.key(0), DIM)
    key = jax.random.key(2)
    x, log_q = flow.sample_and_log_prob(key, (16,))
    expected = jnp.mean(log_q) - BETA * jnp.mean(jax.vmap(log_density)(x))
    value = ReverseKL(log_density, 16, "total", held_at(BETA))(flow, key, jnp.asarray(0)).value
    np.testing.assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "beta"), [(0, 0.01), (5000, 0.51), (9899, 0.9999), (9900, 1.0), (50_000, 1.0)]
)
def test_default_annealing_is_the_schedule_of_the_paper(step, beta):
    np.testing.assert_allclose(Annealing()(jnp.asarray(step)), beta, rtol=1e-12)


def test_annealing_is_constant_once_beta_is_one():
    schedule = Annealing(0.1, 100)
    assert [bool(schedule.is_constant(jnp.asarray(t))) for t in (0, 89, 91, 500)] == [0, 0, 1, 1]
    assert bool(Annealing(1.0, 100).is_constant(jnp.asarray(0)))
    assert Annealing([0.1, 1.0, 2.0], 100).length().tolist() == [90.0, 0.0, 0.0]
    assert Annealing([1.0, 0.5], np.inf).length().tolist() == [0.0, np.inf]
    assert bool(held_at(BETA).is_constant(jnp.asarray(0)))  # a β that never moves has settled
    assert bool(ReverseKL(log_density, 8).is_comparable(jnp.asarray(0)))
    assert not bool(ReverseKL(log_density, 8, annealing=schedule).is_comparable(jnp.asarray(0)))


def test_each_restart_has_its_own_schedule():
    schedule = Annealing([1.0, 0.1], [100.0, 200.0])
    np.testing.assert_allclose(schedule(jnp.asarray(60)), [1.0, 0.4], rtol=1e-12)
    np.testing.assert_array_equal(schedule.is_constant(jnp.asarray(60)), [True, False])
    single = Annealing([1.0, 0.1], 100.0)
    assert single.steps.shape == single.start.shape == (2,)


def test_unknown_gradients_and_empty_batches_are_refused():
    with pytest.raises(ValueError, match="'path' or 'total', got 'score'"):
        ReverseKL(log_density, 8, "score")
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        ReverseKL(log_density, 0)


# --- what draws are no function of ----------------------------------------------------------------

LOGITS = np.log([0.2, 0.8])


def mixture_of(logits):
    """A flow that is a mixture of two normals which hardly overlap."""
    mixture = GaussianMixture(np.exp(logits), np.array([[-9.0], [9.0]]), 1.0)
    return Flow(mixture, Chain([], shape=(1,)))


def of_weights(target_logits, gradient, batch=4096):
    """The gradient of the surrogate by the logits of the weights (.2, .8)."""
    target = mixture_of(np.asarray(target_logits))
    objective = ReverseKL(lambda x: target.log_prob(x), batch, gradient)

    def loss(model, key):
        return objective(model, key, jnp.asarray(0)).surrogate

    return np.asarray(jit(eqx.filter_grad(loss))(mixture_of(LOGITS), jax.random.key(0)).base.logits)


@pytest.mark.parametrize("gradient", ["path", "total"])
def test_the_weights_of_a_mixture_have_their_exact_gradient(gradient):
    """KL = Σ w ln(w/v) of weights w, v: by the logits of w it is w_k (ln(w_k/v_k) − KL)."""
    target = np.log([0.6, 0.4])
    weights = np.exp(LOGITS)
    kl = weights @ (LOGITS - target)
    expected = weights * (LOGITS - target - kl)
    np.testing.assert_allclose(of_weights(target, gradient), expected, rtol=0.1)


def test_the_path_gradient_of_weights_vanishes_at_the_target_for_any_draws():
    np.testing.assert_allclose(of_weights(LOGITS, "path", batch=3), 0.0, atol=1e-9)

"""The training loop: exactness, guards, refusals, and that it compiles once."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.fits import KL, RATE, STEPS, arrays, log_density, models, run, running_mean, same

from thalweg.objectives import Annealing, Estimate, ForwardKL, Objective, ReverseKL
from thalweg.training import check_budget, train
from thalweg.training.loop import trained_names
from thalweg.training.optimisers import warm_cosine
from thalweg.tree import split_trainable

# --- what a fit is -------------------------------------------------------------------------------


def test_one_seed_gives_one_result_to_the_bit(fitted):
    again = run()
    assert same(again.models, fitted.models)
    np.testing.assert_array_equal(again.values, fitted.values)
    assert again.history.value == fitted.history.value


def test_another_seed_gives_another_result(fitted):
    assert not np.array_equal(run(seed=2).values, fitted.values)


def test_training_lowers_the_objective(fitted):
    values = np.array(fitted.history.value)
    assert np.all(values[-20:].mean(0) < values[:5].mean(0) - 0.1)
    assert fitted.steps == STEPS
    assert not fitted.interrupted
    assert fitted.not_finite == {}
    np.testing.assert_array_equal(fitted.skipped, np.array(fitted.history.skipped).sum(0))


def test_restarts_draw_independently(fitted):
    # Both began as the same kind of flow in the same place; only their keys differ.
    assert not same(
        jax.tree.map(lambda a: a[0], eqx.filter(fitted.models, eqx.is_array)),
        jax.tree.map(lambda a: a[1], eqx.filter(fitted.models, eqx.is_array)),
    )
    assert np.all(np.isfinite(fitted.values))


def test_a_lost_restart_does_not_touch_the_others(fitted):
    mixed = run(models(0.0, 1000.0))
    assert same(mixed.models, fitted.models, restart=0)
    assert mixed.values[0] == fitted.values[0]
    assert not np.isfinite(mixed.values[1])
    np.testing.assert_array_equal(mixed.skipped, [fitted.skipped[0], STEPS])


def test_a_single_restart_is_the_first_of_two(fitted):
    keys = [jax.random.key_data(jax.random.split(jax.random.key(3), n)[0]) for n in (1, 2)]
    if not np.array_equal(*keys):
        pytest.skip("this version of JAX splits a key differently into one and into two")
    first = jax.tree.map(lambda a: a[:1] if eqx.is_array(a) else a, models())
    objective = ReverseKL(log_density, 8, "path", Annealing([1.0], np.inf))
    alone = run(first, objective)
    np.testing.assert_allclose(alone.values, fitted.values[:1], rtol=1e-6)
    for a, b in zip(arrays(alone.models), arrays(fitted.models, slice(0, 1)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)


def test_frozen_leaves_stay_as_they_were(fitted):
    before, after = split_trainable(models())[1], split_trainable(fitted.models)[1]
    assert len(arrays(before)) >= 3  # place, factor and inverse of the whitening
    assert same(before, after)


def test_the_models_that_were_handed_in_are_not_consumed():
    start = models()
    copies = arrays(start)
    run(start)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(start), copies, strict=True))


class Slope(Objective):
    """A slope of one in every parameter, and values that are best after thirty steps."""

    best: float = eqx.field(static=True, default=29.0)

    def __call__(self, model, key, step):
        total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(split_trainable(model)[0]))
        return Estimate(total, jnp.abs(step - self.best))


def test_the_best_chunk_is_kept_and_not_the_last():
    start = models()
    fitted = run(start, Slope())
    means = running_mean(np.abs(np.arange(STEPS) - 29.0))
    assert 29 < np.argmin(means) < 40
    np.testing.assert_allclose(fitted.values, means.min(), rtol=1e-6)
    # Adam takes a constant slope at full rate, so the way travelled is the sum of the rates.
    taken = range(int(np.argmin(means)) + 1)
    way = RATE * sum(float(warm_cosine(jnp.asarray(t / STEPS))) for t in taken)
    before, after = split_trainable(start)[0], split_trainable(fitted.models)[0]
    for a, b in zip(arrays(before), arrays(after), strict=True):
        np.testing.assert_allclose(a - b, way, rtol=1e-4)


def test_rmsprop_has_momentum_and_a_rate_that_stays():
    start = models()
    fitted = run(start, Slope(best=float(STEPS)), optimiser="rmsprop", learning_rate=1e-3)
    # A slope of 1 over the root of its mean square, which starts at 0; then momentum.
    directions = 1 / np.sqrt(1 - 0.9 ** np.arange(1, STEPS + 1))
    way = 1e-3 * sum(itertools.accumulate(directions, lambda old, new: 0.9 * old + new))
    before, after = split_trainable(start)[0], split_trainable(fitted.models)[0]
    for a, b in zip(arrays(before), arrays(after), strict=True):
        np.testing.assert_allclose(a - b, way, rtol=1e-4)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="unknown optimiser 'sgd'; known: adam, rmsprop"):
        run(optimiser="sgd")


def test_values_under_an_annealed_target_never_count_as_best():
    fitted = run(objective=ReverseKL(log_density, 8, "path", Annealing([1.0, 0.1], [1.0, 50.0])))
    values = np.array(fitted.history.value)
    assert fitted.values[0] == pytest.approx(running_mean(values[:, 0]).min(), abs=1e-5)
    settled = running_mean(values[45:, 1])  # β = 1 from step 45 on
    assert fitted.values[1] == pytest.approx(settled.min(), abs=1e-5)
    assert values[:45, 1].min() < settled.min()  # the flattened target looks better


class Overfits(Objective):
    """Learns to go up; what is held out is best at `turn` and worse from there on."""

    turn: float = eqx.field(static=True)

    def __call__(self, model, key, step):
        value = -jnp.sum(model)
        return Estimate(value, value)

    def is_comparable(self, step):
        return jnp.asarray(False)  # what is learned from never says what is best

    def held_out(self, model, key):
        return jnp.abs(jnp.sum(model) - self.turn) + jnp.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize("restarts", [1, 2])
def test_held_out_rows_choose_the_parameters(restarts):
    found = train(
        jnp.zeros((restarts, 1)), Overfits(1.0), jax.random.key(0), steps=100, learning_rate=0.1
    )
    held_out = np.array(found.history.held_out)
    assert held_out.shape == (100, restarts)
    assert held_out.min() < 0.1 < 1.0 < held_out[-1].min()
    # The running mean of what is kept lags behind by a few chunks.
    np.testing.assert_allclose(found.models, 1.0, atol=0.6)
    assert (np.asarray(found.models) < 2).all()


def test_without_held_out_rows_the_record_is_nan(fitted):
    assert np.isnan(fitted.history.held_out).all()


def test_a_lucky_chunk_is_not_taken_for_a_good_one():
    """The objective is noise about 0 but for one chunk: its least mean must not be the value."""
    fitted = run(steps=100, objective=Lucky())
    assert np.min(fitted.history.value) == -1.0
    np.testing.assert_allclose(fitted.values, -0.25)


class Lucky(Objective):
    """0 at every step but one, at which it is −1."""

    def __call__(self, model, key, step):
        slope = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(split_trainable(model)[0]))
        return Estimate(slope, jnp.where(step == 50, -1.0, 0.0))


def test_a_fit_that_stays_annealed_gives_its_last_state():
    fitted = run(objective=ReverseKL(log_density, 8, "path", Annealing([0.1, 0.1], [1e6, 1e6])))
    assert fitted.values.tolist() == fitted.history.value[-1]


# --- gradients that are not finite ---------------------------------------------------------------


class Broken(Objective):
    """The gradient of the first leaf is NaN at every `every`-th step."""

    inner: ReverseKL
    every: int = eqx.field(static=True)

    def __call__(self, model, key, step):
        estimate = self.inner(model, key, step)
        leaf = jax.tree.leaves(split_trainable(model)[0])[0]
        hurt = jnp.where(step % self.every == 0, jnp.nan, 0.0) * jnp.sum(leaf)
        return estimate._replace(surrogate=estimate.surrogate + hurt)

    def is_comparable(self, step):
        return self.inner.is_comparable(step)


def test_steps_without_a_finite_gradient_are_skipped_and_counted():
    start = models()
    fitted = run(start, Broken(KL, 4))
    assert np.all(fitted.skipped >= 25)
    assert fitted.not_finite == {trained_names(start)[0]: 25}
    assert np.all(np.isfinite(fitted.values))
    assert all(np.all(np.isfinite(leaf)) for leaf in arrays(fitted.models))
    assert fitted.values.max() < fitted.history.value[1][0]  # the other steps were taken
    assert fitted.history.skipped[0] == [1, 1]


def test_no_usable_step_at_all_names_the_parameters():
    start = models()
    with pytest.raises(ValueError, match="none of the 100 steps could be taken") as raised:
        run(start, Broken(KL, 1))
    assert trained_names(start)[0] in str(raised.value)
    assert "\n" not in str(raised.value)


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, -3, 2.0, True, "7", None])
def test_steps_must_be_a_positive_integer(steps):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        run(steps=steps)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
def test_the_learning_rate_must_be_a_positive_number(rate):
    with pytest.raises(ValueError, match="learning_rate must be a finite number above 0"):
        run(learning_rate=rate)


@pytest.mark.parametrize("scalar", [np.float32, np.array, jnp.asarray])
def test_rates_may_be_scalars_of_numpy_or_jax(scalar):
    assert check_budget(3, scalar(0.5), scalar(0.25)) == (3, 0.5, 0.25)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        run(split_trainable(models())[1])


# --- compiling -----------------------------------------------------------------------------------


@pytest.fixture
def compilations():
    """The number of programs compiled so far, as JAX reports it."""
    seen = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def test_nothing_is_compiled_twice(compilations):
    start = models()
    run(start)  # here: programs of a fixture may have been let go of since (conftest.py)
    other = ReverseKL(log_density, 8, "path", Annealing([1.0, 0.3], [9.0, 9.0]))
    compilations.clear()
    jax.jit(lambda x: x * 3.0 + len(compilations))(1.0)
    assert len(compilations) == 1  # the counter counts
    run(start)
    run(start, steps=101, learning_rate=0.01)  # 50 chunks of two, one of one: the same program
    run(start, objective=other)
    assert len(compilations) == 1


def test_each_chunk_can_have_its_own_data(compilations):
    """A table that is read in parts: the same shapes, so the same program."""

    def of(points):
        return ForwardKL(jnp.asarray(points), 16, noise=0.3)

    parts = [np.full((64, 2), float(i)) for i in range(3)]
    asked = []

    def refill(chunk):
        asked.append(chunk)
        return of(parts[chunk % 3])

    run(objective=of(parts[0]), steps=200)
    compilations.clear()
    found = run(objective=of(parts[0]), steps=200, objective_for_chunk=refill)
    assert asked == list(range(100))
    assert len(compilations) == 0
    # Around 0, 1 and 2, in turns: the entropy of one of these alone is much less.
    assert (
        abs(found.values.min() - run(objective=of(np.concatenate(parts)), steps=200).values.min())
        < 0.5
    )

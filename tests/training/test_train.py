"""The training loop: exactness, guards, checkpoints, interrupts, and that it compiles once."""

import itertools
import json
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.inference.fit import FlowRecipe, Frame, whitened_flows
from thalweg.objectives import Annealing, Estimate, ForwardKL, Objective, ReverseKL
from thalweg.training import Silent, train
from thalweg.training.interrupt import Interrupt
from thalweg.training.loop import trained_names
from thalweg.training.schedule import warm_cosine
from thalweg.tree import split_trainable

STEPS = 100
RATE = 0.05
RECIPE = FlowRecipe("planar", 2, (("layers", 2),))


def log_density(x):
    """Not a number for x₁ > 40, where no good fit ever looks."""
    value = -0.5 * ((x[0] - 1) ** 2 + 4 * (x[1] + 0.2 * x[0] ** 2) ** 2)
    return jnp.where(x[0] > 40, jnp.nan, value)


KL = ReverseKL(log_density, 8, "path", Annealing([1.0, 1.0], np.inf))


def models(first=0.0, second=0.0):
    """Two fresh flows, each around a place of its own."""
    frames = [Frame(np.full(2, at), np.array([[1.0, 0.0], [0.3, 0.7]])) for at in (first, second)]
    return whitened_flows(RECIPE, jax.random.key(0), frames)


def run(start=None, objective=KL, seed=1, steps=STEPS, **options):
    start = models() if start is None else start
    options = {"learning_rate": RATE, **options}
    return train(start, objective, jax.random.key(seed), steps=steps, **options)


def arrays(tree, restart=slice(None)):
    return [np.asarray(leaf)[restart] for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def running_mean(values):
    """As the loop has it: the first value counts in full, a later one for a quarter."""
    return np.array(list(itertools.accumulate(values, lambda old, new: old + 0.25 * (new - old))))


def same(one, other, restart=slice(None)):
    pairs = zip(arrays(one, restart), arrays(other, restart), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def fitted():
    return run()


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


def test_restarts_draw_on_their_own(fitted):
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

    def settled(self, step):
        return jnp.asarray(True)


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

    def settled(self, step):
        return jnp.asarray(False)  # what is learned from never says what is best

    def held_out(self, model, key):
        return jnp.abs(jnp.sum(model) - self.turn) + jnp.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize("restarts", [1, 2])
def test_what_is_held_out_says_what_is_kept(restarts):
    found = train(
        jnp.zeros((restarts, 1)), Overfits(1.0), jax.random.key(0), steps=100, learning_rate=0.1
    )
    held_out = np.array(found.history.held_out)
    assert held_out.shape == (100, restarts)
    assert held_out.min() < 0.1 < 1.0 < held_out[-1].min()
    # The running mean of what is kept lags behind by a few chunks.
    np.testing.assert_allclose(found.models, 1.0, atol=0.6)
    assert (np.asarray(found.models) < 2).all()


def test_where_nothing_is_held_out_the_record_says_so(fitted):
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

    def settled(self, step):
        return jnp.asarray(True)


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

    def settled(self, step):
        return self.inner.settled(step)


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
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        run(steps=steps)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
def test_the_learning_rate_must_be_a_positive_number(rate):
    with pytest.raises(ValueError, match="learning_rate must be a positive number"):
        run(learning_rate=rate)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        run(split_trainable(models())[1])


# --- compiling -----------------------------------------------------------------------------------


@pytest.fixture
def compilations():
    """How many programs were compiled so far, by JAX's own account."""
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
    compilations.clear()
    jax.jit(lambda x: x * 3.0 + len(compilations))(1.0)
    assert len(compilations) == 1  # the counter counts
    run(start)
    # 101 steps are 50 chunks of two and one of one: neither size may need a program of its own.
    run(start, steps=101, learning_rate=0.01)
    run(start, objective=ReverseKL(log_density, 8, "path", Annealing([1.0, 0.3], [9.0, 9.0])))
    assert len(compilations) == 1


def test_each_chunk_can_have_data_of_its_own(compilations):
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
    found = run(objective=of(parts[0]), steps=200, refill=refill)
    assert asked == list(range(100))
    assert len(compilations) == 0
    # Around 0, 1 and 2, in turns: the entropy of one of these alone is much less.
    assert (
        abs(found.values.min() - run(objective=of(np.concatenate(parts)), steps=200).values.min())
        < 0.5
    )


# --- interrupts and checkpoints ------------------------------------------------------------------


class PressesCtrlC(Silent):
    def __init__(self, at):
        self.at, self.messages = at, []

    def update(self, stage, step, steps, value):
        if step == self.at:
            signal.raise_signal(signal.SIGINT)

    def message(self, text):
        self.messages.append(text)


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint of a run that Ctrl-C stopped after 40 steps."""
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(progress=PressesCtrlC(40), checkpoint=path)
    assert stopped.interrupted
    assert stopped.steps == 40
    return path


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(fitted, checkpoint):
    progress = PressesCtrlC(None)
    resumed = run(models(5.0, 5.0), progress=progress, checkpoint=checkpoint)
    assert progress.messages == ["going on from step 40 of 100"]
    assert same(resumed.models, fitted.models)
    np.testing.assert_array_equal(resumed.values, fitted.values)
    np.testing.assert_array_equal(resumed.skipped, fitted.skipped)
    assert resumed.history.value == fitted.history.value
    assert resumed.history.gradient_norm == fitted.history.gradient_norm
    assert resumed.history.step == fitted.history.step == list(range(1, 101))
    assert np.all(np.diff(resumed.history.seconds) >= 0)
    assert not resumed.interrupted


def test_an_interrupted_run_can_be_interrupted_again(fitted, checkpoint):
    assert run(progress=PressesCtrlC(70), checkpoint=checkpoint).steps == 70
    assert same(run(checkpoint=checkpoint).models, fitted.models)


def test_only_the_checkpoint_is_left(checkpoint):
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_ctrl_c_without_a_checkpoint_keeps_what_was_learned():
    stopped = run(progress=PressesCtrlC(60))
    assert stopped.interrupted
    assert np.all(np.isfinite(stopped.values))
    assert stopped.history.step[-1] == 60


def test_ctrl_c_at_the_last_step_is_no_interruption(tmp_path):
    done = run(progress=PressesCtrlC(STEPS), checkpoint=tmp_path / "c.safetensors")
    assert not done.interrupted
    assert not list(tmp_path.iterdir())


def test_ctrl_c_works_as_before_after_a_fit():
    before = signal.getsignal(signal.SIGINT)
    run(progress=PressesCtrlC(10))
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        signal.raise_signal(signal.SIGINT)


def damaged(path, how):
    from thalweg.serialization import read_tensors, write_tensors

    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a checkpoint\n" * 20)
    else:
        tensors, metadata = read_tensors(path)
        history = json.loads(metadata["history"])
        if how == "array missing":
            tensors.pop("00000")
        elif how == "other shape":
            tensors["00000"] = np.zeros(17)
        elif how == "no history":
            metadata = {}
        elif how == "history is no JSON":
            metadata = {"history": "{"}
        elif how == "history is a list":
            metadata = {"history": "[1, 2]"}
        elif how == "history without values":
            metadata = {"history": json.dumps({**history, "value": None})}
        write_tensors(path, tensors, metadata)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "empty",
        "text",
        "array missing",
        "other shape",
        "no history",
        "history is no JSON",
        "history is a list",
        "history without values",
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(checkpoint, how):
    damaged(checkpoint, how)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors") as raised:
        run(checkpoint=checkpoint)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_of_another_run_is_refused(checkpoint):
    first = jax.tree.map(lambda a: a[:1] if eqx.is_array(a) else a, models())
    objective = ReverseKL(log_density, 8, "path", Annealing([1.0], np.inf))
    with pytest.raises(ValueError, match="does not belong to this run"):
        run(first, objective, checkpoint=checkpoint)


# --- the schedule --------------------------------------------------------------------------------


def test_the_learning_rate_rises_briefly_and_falls_to_one_percent():
    rates = np.array([float(warm_cosine(jnp.asarray(t))) for t in np.linspace(0, 1, 201)])
    assert 0 < rates[0] < 0.1
    assert rates[-1] == pytest.approx(0.01)
    assert 0.99 < rates.max() <= 1.0
    assert 0.01 <= rates.argmax() / 200 <= 0.05
    assert np.all(np.diff(rates[rates.argmax() :]) < 0)
    assert rates[100] == pytest.approx(0.505)


# --- an end that is hastened ---------------------------------------------------------------------


class ContentFrom:
    """Content with every chunk from a step on; one chunk is one step here."""

    def __init__(self, step):
        self.step, self.seen = step, 0

    def __call__(self, record):
        self.seen += 1
        return self.seen >= self.step


def test_two_content_chunks_leave_a_tenth_of_the_steps():
    done = run(enough=ContentFrom(20))
    assert done.steps == done.history.step[-1] == 21 + STEPS // 10
    assert not done.interrupted


def test_one_content_chunk_changes_nothing(fitted):
    calls = itertools.count(1)
    assert same(run(enough=lambda record: next(calls) in (10, 20, 30)).models, fitted.models)


def test_where_less_than_a_tenth_is_left_all_of_it_is_taken(fitted):
    done = run(enough=ContentFrom(STEPS - 4))
    assert done.steps == STEPS
    assert same(done.models, fitted.models)


def test_the_hastened_rate_goes_on_from_where_it_was_to_its_end():
    """With gradients of one sign, Adam's steps are as long as the rate."""

    class Slope(Objective):
        def __call__(self, model, key, step):
            total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
            return Estimate(total, total)

        def settled(self, step):
            return jnp.asarray(True)

    at = 51

    def moved(steps_taken):
        progress = jnp.concatenate(
            [
                jnp.arange(at) / STEPS,
                at / STEPS + (1 - at / STEPS) * jnp.arange(steps_taken - at) / (steps_taken - at),
            ]
        )
        return -RATE * float(jnp.sum(warm_cosine(progress)))

    one = eqx.nn.Linear(1, 1, use_bias=False, key=jax.random.key(0))
    stacked = jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, one)
    before = float(arrays(stacked)[0].sum())
    done = run(stacked, Slope(), enough=ContentFrom(at - 1))
    after = float(arrays(done.models)[0].sum())
    assert done.steps == at + STEPS // 10
    assert after - before == pytest.approx(moved(done.steps), rel=1e-3)


def test_a_hastened_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    whole = run(enough=ContentFrom(20))
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(enough=ContentFrom(20), progress=PressesCtrlC(25), checkpoint=path)
    assert stopped.interrupted
    assert stopped.steps == 25
    resumed = run(checkpoint=path)
    assert resumed.steps == whole.steps
    assert same(resumed.models, whole.models)


def test_what_was_seen_before_a_run_was_stopped_is_not_forgotten(tmp_path):
    """Who counts chunks counts those of before."""
    path = tmp_path / "checkpoint.safetensors"
    run(enough=ContentFrom(20), progress=PressesCtrlC(10), checkpoint=path)
    resumed = run(enough=ContentFrom(20), checkpoint=path)
    assert resumed.steps == 21 + STEPS // 10

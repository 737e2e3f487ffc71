"""Maximum likelihood: the value, minibatches, contexts, and a Gaussian recovered from its draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import flows
from thalweg.bijections import Reshaped
from thalweg.data import Bits
from thalweg.data.observations import Grey
from thalweg.distributions import (
    BinaryMADE,
    DiagonalNormal,
    Flow,
    StandardNormal,
    Uniform,
    shuffled,
)
from thalweg.objectives import ForwardKL, ReverseKL
from thalweg.objectives.forward_kl import mask_key
from thalweg.training import train
from thalweg.tree import pick, split_trainable

MEAN = np.array([1.0, -2.0, 0.5])
FACTOR = np.array([[1.5, 0.0, 0.0], [0.8, 0.4, 0.0], [-1.0, 0.3, 2.0]])
ENTROPY = 1.5 * np.log(2 * np.pi * np.e) + np.log(np.diag(FACTOR)).sum()


def draws(seed, rows):
    return MEAN + np.random.default_rng(seed).normal(size=(rows, 3)) @ FACTOR.T


def stacked(name, restarts, *, context_dim=None):
    keys = jax.random.split(jax.random.key(0), restarts)
    return eqx.filter_vmap(lambda k: flows.build(name, k, 3, context_dim))(keys)


def test_a_gaussian_is_recovered():
    objective = ForwardKL(draws(0, 20_000), 256)
    fitted = train(
        stacked("gaussian", 2), objective, jax.random.key(1), steps=1500, learning_rate=0.05
    )
    assert fitted.values.shape == (2,)  # both restarts see the one table
    held_out = jnp.asarray(draws(1, 50_000))
    log_prob = eqx.filter_jit(eqx.filter_vmap(lambda model: model.log_prob(held_out)))
    nll = -np.asarray(log_prob(fitted.models)).mean(1)
    np.testing.assert_allclose(nll, ENTROPY, atol=0.01)


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.few(1)
def test_restarts_may_have_different_rows(restarts):
    """Each is as if it were alone, with what is drawn, held out, given and jittered."""
    tables = np.stack([draws(i, 60) + 10 * i for i in range(restarts)])
    others = tables[:, ::2] + 0.1
    jitter = 0.01 * (1 + np.arange(restarts))[:, None, None] * np.ones((1, 3))
    options = {"context": tables[:, :, :1], "held_out_context": others[:, :, :1]}
    objective = ForwardKL(tables, 8, held_out=others, jitter=jitter, per_restart=True, **options)
    models = stacked("gaussian", restarts, context_dim=1)
    fitted = train(models, objective, jax.random.key(1), steps=40, learning_rate=0.1)
    assert np.all(np.isfinite(fitted.values))
    key, step = jax.random.key(2), jnp.asarray(0)
    for i in range(restarts):
        rows = (objective.data, objective.validation, objective.jitter)
        of_one = jax.tree.map(lambda a, i=i: a[i], rows)
        mine = eqx.tree_at(lambda o: (o.data, o.validation, o.jitter), objective, of_one)
        alone = ForwardKL(
            tables[i],
            8,
            tables[i, :, :1],
            jitter=jitter[i],
            held_out=others[i],
            held_out_context=others[i, :, :1],
        )
        model = pick(i, fitted.models)
        assert mine(model, key, step).value == alone(model, key, step).value
        np.testing.assert_array_equal(mine.held_out(model, key), alone.held_out(model, key))


def test_the_whole_table_is_the_likelihood():
    data = draws(0, 50)
    flow = flows.build("gaussian", jax.random.key(0), 3)
    estimate = ForwardKL(data)(flow, jax.random.key(1), jnp.asarray(0))
    np.testing.assert_allclose(estimate.value, -np.mean(flow.log_prob(data)), rtol=1e-12)
    assert estimate.surrogate is estimate.value


def test_minibatches_are_unbiased_and_pair_rows_with_contexts():
    data = draws(0, 40)
    flow = flows.build("gaussian", jax.random.key(0), 3, 3)
    # The location is the context, so a row paired with another's context has another density.
    noise = 0.3 * np.random.default_rng(2).normal(size=(3, 3))
    flow = jax.tree.map(lambda leaf: leaf + noise if leaf.shape == (3, 3) else leaf, flow)
    whole = ForwardKL(data, None, data)(flow, jax.random.key(0), jnp.asarray(0)).value
    apart = ForwardKL(data, None, data[::-1])(flow, jax.random.key(0), jnp.asarray(0)).value
    assert abs(whole - apart) > 0.1
    batches = jax.vmap(lambda k: ForwardKL(data, 8, data)(flow, k, jnp.asarray(0)).value)(
        jax.random.split(jax.random.key(3), 4000)
    )
    error = batches.std() / len(batches) ** 0.5
    assert abs(batches.mean() - whole) < 4 * error


@pytest.mark.parametrize("objective", [ForwardKL(draws(0, 200)), ReverseKL(lambda x: -x @ x, 200)])
@pytest.mark.few(1)
def test_log_determinants_are_estimated_where_they_can_be(objective):
    def values(log_det):
        flow = flows.build("residual", jax.random.key(0), 3, layers=2, hidden=(8,), log_det=log_det)
        free, fixed = split_trainable(flow)
        moved = eqx.combine(jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(leaf), free), fixed)
        value = jax.jit(lambda key: objective(moved, key, jnp.asarray(0)).value)
        return np.array([value(jax.random.key(seed)) for seed in range(6)])

    exact, estimated = values("exact"), values("hutchinson")
    error = estimated - exact
    assert np.abs(error).max() > 1e-6
    assert np.abs(error.mean()) < 0.1


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("data", "batch", "context", "says"),
    [
        (np.zeros((0, 3)), None, None, "no rows"),
        (np.zeros((4, 3)), 0, None, "batch_size must be a whole number of at least 1"),
        (np.zeros((4, 3)), None, np.zeros((3, 1)), "4 rows of data need as many contexts, got 3"),
    ],
)
def test_bad_data_are_refused(data, batch, context, says):
    with pytest.raises(ValueError, match=says):
        ForwardKL(data, batch, context)


def test_noise_blurs_the_data_by_its_variance():
    data = jnp.zeros((20_000, 1))
    flow = flows.build("gaussian", jax.random.key(0), 1)
    value = ForwardKL(data, noise=0.5)(flow, jax.random.key(1), jnp.asarray(0)).value
    # −E ln N(x; 0, 1) = ln 2π / 2 + E x² / 2, for the flow starts as the standard normal.
    np.testing.assert_allclose(value, 0.5 * np.log(2 * np.pi) + 0.125, rtol=0.01)


def test_rows_may_be_drawn_from_observations():
    bits = np.random.default_rng(0).integers(0, 2, (30, 4))
    made = BinaryMADE(4, key=jax.random.key(0), hidden=(8,))
    made = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, made)
    value = ForwardKL(Bits.pack(bits))(made, jax.random.key(1), jnp.asarray(0)).value
    np.testing.assert_allclose(value, -np.mean(made.log_prob(bits)), rtol=1e-12)
    levels = Grey(np.full((5, 2, 2), 51, np.uint8))  # an event keeps its shape
    flow = flows.build("gaussian", jax.random.key(0), 4)
    image = Flow(StandardNormal((2, 2)), Reshaped(flow.bijection, (2, 2)))
    value = ForwardKL(levels, 3)(image, jax.random.key(1), jnp.asarray(0)).value
    np.testing.assert_allclose(value, 2 * np.log(2 * np.pi) + 2 * 0.2**2, rtol=1e-6)


def test_the_parameters_that_do_best_on_held_out_rows_are_kept():
    data, others = draws(0, 15), draws(1, 400)
    objective = ForwardKL(data, held_out=others)
    fitted = train(
        stacked("gaussian", 1), objective, jax.random.key(1), steps=1000, learning_rate=0.05
    )
    held_out = np.array(fitted.history.held_out)[:, 0]
    assert held_out[-1] > held_out.min() + 0.1  # fifteen rows are overfitted in the end
    kept = -np.mean(jax.vmap(lambda m: m.log_prob(others))(fitted.models))
    assert kept < held_out[-1] - 0.1


@pytest.mark.parametrize(("reorder", "reach"), [(True, None), (False, None), (False, 0.9)])
def test_steps_cycle_through_masks(reorder, reach):
    bits = jnp.asarray(np.random.default_rng(0).integers(0, 2, (30, 4)))
    made = BinaryMADE(4, key=jax.random.key(0), hidden=(8,))
    made = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, made)
    objective = ForwardKL(bits, held_out=bits, masks=3, reorder=reorder, reach=reach)
    values = [float(objective(made, jax.random.key(1), jnp.asarray(t)).value) for t in range(6)]
    assert values[:3] == values[3:]
    assert len(set(values)) == 3
    members = [shuffled(made, mask_key(i), reorder=reorder, reach=reach) for i in range(3)]
    np.testing.assert_allclose(values[:3], [-np.mean(m.log_prob(bits)) for m in members])
    np.testing.assert_allclose(
        objective.held_out(made, jax.random.key(0)), -members[0].log_prob(bits)
    )


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_numbers_of_masks_and_held_out_contexts_are_refused():
    with pytest.raises(ValueError, match="masks must be a whole number of at least 1, got 0"):
        ForwardKL(jnp.zeros((3, 1)), masks=0)
    with pytest.raises(ValueError, match="reach must be positive, got 0"):
        ForwardKL(jnp.zeros((3, 1)), masks=2, reach=0)
    with pytest.raises(ValueError, match="2 rows of data need as many contexts, got 3"):
        ForwardKL(jnp.zeros((3, 1)), held_out=jnp.zeros((2, 1)), held_out_context=jnp.zeros((3, 1)))


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_a_noise_that_is_no_size_is_refused(noise):
    with pytest.raises(ValueError, match="noise"):
        ForwardKL(jnp.zeros((3, 1)), noise=noise)


def test_slanted_images_fall_away():
    images = np.random.default_rng(0).integers(0, 2, (40, 4, 4))
    model = BinaryMADE(16, key=jax.random.key(0), hidden=(8,))
    model = jax.tree.map(lambda leaf: leaf + 0.3 if eqx.is_inexact_array(leaf) else leaf, model)
    plain = ForwardKL(Bits.pack(images), 20)
    falling = ForwardKL(Bits.pack(images), 20, augment=1.0, until=10)

    def value(objective, step):
        return float(objective(model, jax.random.key(1), jnp.asarray(step)).value)

    assert abs(value(falling, 0) - value(plain, 0)) > 1e-3
    assert value(falling, 10) == value(falling, 11) == value(plain, 0)
    with pytest.raises(ValueError, match="augment is for images"):
        ForwardKL(images.reshape(40, 16).astype(float), augment=0.5)


def test_every_restart_can_have_its_own_noise():
    """Normals that learn one column, blurred by 0 and by 1."""
    rows = 2 * jax.random.normal(jax.random.key(0), (4000, 1))
    models = eqx.filter_vmap(lambda loc: DiagonalNormal(loc, jnp.ones(1)))(jnp.zeros((2, 1)))
    trained = train(
        models,
        ForwardKL(rows, 500, noise=(0.0, 1.0)),
        jax.random.key(1),
        steps=400,
        learning_rate=0.05,
    )
    plain, blurred = (pick(i, trained.models).sample(jax.random.key(2), (20_000,)) for i in (0, 1))
    np.testing.assert_allclose(plain.std(), 2.0, rtol=0.05)
    np.testing.assert_allclose(blurred.std(), 5**0.5, rtol=0.05)


def test_jitter_fills_the_cells_of_integers():
    """Integers 0 and 1 under the uniform density on [0, 2): ln 2 nats, exactly."""
    rows = jnp.asarray([[0.0], [1.0]])
    uniform = Uniform(jnp.zeros(1), jnp.full(1, 2.0))
    objective = ForwardKL(rows, 64, held_out=rows, jitter=jnp.eye(1))
    value = objective(uniform, jax.random.key(0), jnp.asarray(0)).value
    np.testing.assert_allclose(value, np.log(2))
    np.testing.assert_allclose(objective.held_out(uniform, jax.random.key(0)), np.log(2))
    # Nothing falls on 0 itself, as rows that are left as they are would.
    above = Uniform(jnp.full(1, 1e-7), jnp.full(1, 2.0))
    assert np.isfinite(objective.held_out(above, jax.random.key(0))).all()

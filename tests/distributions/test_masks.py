"""Binary MADE sums to one, draws what it says, and gains from other orders of its bits."""

import itertools
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from nets.conditioners import moved

from thalweg import flows
from thalweg.bijections import Planar
from thalweg.distributions import BinaryMADE, Ensemble, Flow, StandardNormal, shuffled
from thalweg.nets import GRU, MaskedResidualMLP
from thalweg.nets.masked_mlp import MaskedMLP

KINDS = {
    "masked": None,
    "direct": partial(MaskedMLP, hidden=(16, 11), direct=True),
    "centred": partial(MaskedMLP, hidden=(16, 11), direct=True, centred=True),
    "residual": partial(MaskedResidualMLP, hidden=16, blocks=1),
    "gru": partial(GRU, hidden=(8,)),
}
every = pytest.mark.parametrize("kind", sorted(KINDS))
CONTEXT = jnp.array([0.5, -1.0])


def cube(dim):
    return np.array(list(itertools.product([0.0, 1.0], repeat=dim)))


def made(dim, kind="masked", *, conditional=False, seed=0):
    fresh = BinaryMADE(
        dim,
        key=jax.random.key(seed),
        context_shape=(2,) if conditional else None,
        order=jax.random.permutation(jax.random.key(seed + 1), dim),
        hidden=(16, 11),
        make_conditioner=KINDS[kind],
    )
    return moved(fresh, seed, 0.7)


@every
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.few(3)
def test_probabilities_sum_to_one(kind, conditional):
    model = made(10, kind, conditional=conditional)
    log_p = model.log_prob(cube(10), CONTEXT if conditional else None)
    assert np.ptp(log_p) > 3
    assert float(jnp.sum(jnp.exp(log_p))) == pytest.approx(1, abs=1e-10)


def test_logits_give_the_probability_of_each_bit_and_see_earlier_bits_alone():
    model = made(6)
    x = cube(6)
    logits = np.asarray(model.logits(x))
    log_p = -np.log1p(np.exp(np.where(x == 1, -logits, logits)))
    np.testing.assert_allclose(model.log_prob(x), log_p.sum(1), rtol=1e-11)
    turn = np.argsort(model.order)
    for j in range(6):
        flipped = np.array(x)
        flipped[:, j] = 1 - flipped[:, j]
        changes = np.abs(model.logits(flipped) - logits).max(0) > 0
        np.testing.assert_array_equal(changes, turn > turn[j])


@every
@pytest.mark.few(2)
def test_draws_are_as_frequent_as_they_are_probable(kind):
    model = made(5, kind, conditional=True)
    draws = np.asarray(model.sample(jax.random.key(2), (40_000,), CONTEXT))
    assert set(np.unique(draws)) == {0.0, 1.0}
    observed = np.bincount((draws @ 2 ** np.arange(4, -1, -1)).astype(int), minlength=32)
    expected = 40_000 * np.exp(model.log_prob(cube(5), CONTEXT))
    assert np.sum((observed - expected) ** 2 / expected) < 31 + 5 * np.sqrt(62)


def test_sequential_draws_are_those_of_a_pass_a_bit():
    model = made(9)
    key = jax.random.key(3)
    noise = np.asarray(jax.random.logistic(key, (50, 9)))  # stands in the order of the bits
    x = np.zeros((50, 9))
    for place, i in enumerate(np.asarray(model.order)):
        x[:, i] = noise[:, place] > -np.asarray(model.logits(x))[:, i]
    np.testing.assert_array_equal(model.sample(key, (50,)), x)


def test_what_is_not_binary_has_no_probability():
    model = made(3)
    log_p = model.log_prob(np.array([[0, 1, 1], [0, 0.5, 1], [0, 2, 1]]))
    assert np.isfinite(log_p[0])
    assert np.array_equal(log_p[1:], [-np.inf, -np.inf])
    assert model.log_prob(np.array([True, False, True])).shape == ()
    with pytest.raises(ValueError, match="x must end in shape"):
        model.log_prob(np.zeros(4))
    with pytest.raises(ValueError, match="an order holds"):
        BinaryMADE(3, key=jax.random.key(0), order=[0, 1, 1])


# --- other orders, and ensembles over them -------------------------------------------------------


def real_made():
    return moved(flows.build("made", jax.random.key(0), 4, hidden=(16,)), 4, 0.3)


def binary_made():
    return made(4)


@pytest.mark.parametrize("make", [binary_made, real_made])
@pytest.mark.few(1)
def test_an_ensemble_is_the_mean_and_beats_the_mean_of_its_members(make):
    model = make()
    ensemble = Ensemble.create(lambda k: shuffled(model, k), jax.random.key(1), 6)
    assert len(ensemble) == 6
    x = model.sample(jax.random.key(2), (200,))
    each = np.stack(
        [shuffled(model, k).log_prob(x) for k in jax.random.split(jax.random.key(1), 6)]
    )
    assert np.ptp(each, 0).min() > 0
    np.testing.assert_allclose(ensemble.log_prob(x), np.log(np.exp(each).mean(0)), rtol=1e-9)
    assert np.mean(ensemble.log_prob(x)) > each.mean() + 1e-3


def test_an_ensemble_is_normalised_and_draws_from_its_density():
    ensemble = Ensemble.create(lambda k: shuffled(made(4), k), jax.random.key(1), 3)
    p = np.exp(ensemble.log_prob(cube(4)))
    assert p.sum() == pytest.approx(1, abs=1e-12)
    draws = np.asarray(ensemble.sample(jax.random.key(2), (20_000,)))
    observed = np.bincount((draws @ 2 ** np.arange(3, -1, -1)).astype(int), minlength=16)
    assert np.sum((observed - 20_000 * p) ** 2 / (20_000 * p)) < 15 + 5 * np.sqrt(30)


def test_orders_reach_every_layer_of_a_stack():
    flow = moved(flows.build("maf", jax.random.key(0), 3, layers=2, hidden=(8,)), 1, 0.3)
    other = shuffled(flow, jax.random.key(2))
    orders = other.bijection.bijections[1].layers.bijections[1].bijection.order
    assert orders.shape == (2, 3)
    x, log_q = other.sample_and_log_prob(jax.random.key(3), (5,))
    np.testing.assert_allclose(other.log_prob(x), log_q, rtol=1e-9)
    assert np.abs(flow.log_prob(x) - log_q).min() > 1e-3


def test_what_has_no_order_is_refused():
    planar = Flow(StandardNormal((2,)), Planar(2, key=jax.random.key(0)))
    with pytest.raises(ValueError, match="a Flow without autoregressive maps has no masks"):
        shuffled(planar, jax.random.key(0))


def test_training_over_orders_improves_every_order():
    """A fresh order at each step, inside the compiled step, serves orders never trained alone."""
    means = np.array([[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]])
    rng = np.random.default_rng(0)
    data = (rng.random((512, 6)) < 0.05 + 0.9 * means[rng.integers(3, size=512)]) * 1.0
    model = BinaryMADE(6, key=jax.random.key(0), hidden=(64,))
    optimiser = optax.adam(1e-2)

    def loss(model, key):
        return -jnp.mean(shuffled(model, key).log_prob(data))

    @eqx.filter_jit
    def fit(model, key):
        arrays, static = eqx.partition(model, eqx.is_inexact_array)

        def step(carry, key):
            arrays, state = carry
            slopes = jax.grad(lambda a: loss(eqx.combine(a, static), key))(arrays)
            updates, state = optimiser.update(slopes, state)
            return (optax.apply_updates(arrays, updates), state), None

        start = (arrays, optimiser.init(arrays))
        (arrays, _), _ = jax.lax.scan(step, start, jax.random.split(key, 800))
        return eqx.combine(arrays, static)

    fitted = fit(model, jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 20)  # none of those of the fit
    values = np.array(eqx.filter_jit(lambda m: jax.lax.map(lambda k: loss(m, k), keys))(fitted))
    ones = data.mean(0)
    independent = -np.sum(ones * np.log(ones) + (1 - ones) * np.log1p(-ones))
    assert np.all(values < independent - 0.4)

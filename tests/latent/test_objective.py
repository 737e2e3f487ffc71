"""The evidence bound: annealing, free bits, importance weights; training reaches the evidence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from latent.linear_gaussian import Known, exact, model_of

from thalweg.data.observations import Reals
from thalweg.latent import EvidenceBound, Terms
from thalweg.objectives import Annealing
from thalweg.training.train import train
from thalweg.tree import stack_of_one

TERMS = Terms(*(jnp.array([row]) for row in ([-3.0, -5.0], [-2.0, -1.0], [-0.5, 0.5], [0.2, 0.1])))


def cost(**options):
    return float(EvidenceBound(Reals(np.zeros((1, 2))), **options)._cost(TERMS, 1, jnp.asarray(0)))


def test_the_paper_anneals_the_joint_density():
    likelihood, prior, base, det = (np.asarray(leaf)[0] for leaf in TERMS)
    half = Annealing(0.5, np.inf)
    expected = np.mean(base - det - 0.5 * (prior + likelihood))
    assert np.isclose(cost(annealing=half, annealed="likelihood"), expected)


def test_warm_up_anneals_the_divergence():
    likelihood, prior, base, det = (np.asarray(leaf)[0] for leaf in TERMS)
    half = Annealing(0.5, np.inf)
    assert np.isclose(cost(annealing=half), np.mean(0.5 * (base - det - prior) - likelihood))


def test_without_annealing_the_cost_is_minus_the_bound():
    assert np.isclose(cost(), -np.mean(TERMS.bound))


def test_free_bits_have_no_gradient():
    objective = EvidenceBound(Reals(np.zeros((1, 2))), free_bits=50.0)
    pull = jax.grad(lambda terms: objective._cost(terms, 1, jnp.asarray(0)))(TERMS)
    np.testing.assert_allclose(pull.log_prior, 0, atol=1e-12)
    np.testing.assert_allclose(pull.log_likelihood, -0.5)
    free = EvidenceBound(Reals(np.zeros((1, 2))), free_bits=0.01)
    pull = jax.grad(lambda terms: free._cost(terms, 1, jnp.asarray(0)))(TERMS)
    np.testing.assert_allclose(pull.log_prior, -0.5)


def test_more_draws_bound_the_evidence_more_tightly():
    known = Known(rows=50)
    model = model_of(known, mean=0.8 * known.gain, log_scale=-0.3)
    keys = jax.random.split(jax.random.key(0), 400)

    def mean(draws):
        objective = EvidenceBound(Reals(known.x), 50, draws=draws)
        values = eqx.filter_jit(jax.vmap(lambda k: objective(model, k, jnp.asarray(0)).value))(keys)
        return -np.mean(values), np.std(values) / len(keys) ** 0.5

    (one, error), (ten, _) = mean(1), mean(10)
    assert one + 5 * error < ten < known.evidence().mean() + 5 * error


def test_dropped_numbers_are_dropped_from_the_encoder_alone():
    known = Known(rows=50)
    model = exact(known)
    key = jax.random.key(0)
    whole = EvidenceBound(Reals(known.x), 50)(model, key, jnp.asarray(0)).value
    falling = EvidenceBound(Reals(known.x), 50, drop=0.5, until=10)
    part = falling(model, key, jnp.asarray(0)).value
    assert part > whole + 0.1
    np.testing.assert_allclose(falling(model, key, jnp.asarray(10)).value, whole, rtol=1e-6)
    stays = EvidenceBound(Reals(known.x), 50, drop=0.5)
    assert stays(model, key, jnp.asarray(10**6)).value == stays(model, key, jnp.asarray(0)).value


@pytest.mark.parametrize("rows", [1, 100, 253])
def test_every_held_out_row_is_scored_once_and_in_order(rows):
    """At the exact posterior a bound is the evidence of its row, whatever is drawn."""
    known = Known(rows=300)
    objective = EvidenceBound(Reals(known.x), 50, held_out=Reals(known.x[:rows]))
    found = objective.held_out(exact(known), jax.random.key(0))
    np.testing.assert_allclose(-found, known.evidence()[:rows], rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        *({"batch_size": 0}, {"draws": 0}, {"annealed": "beta"}, {"free_bits": -1.0}),
        *({"drop": 1.0}, {"until": 0.0}, {"augment": 1.5}, {"augment": 0.5}),
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EvidenceBound(Reals(np.zeros((1, 2))), **options)


def test_training_reaches_the_evidence():
    """With diagonal posteriors a diagonal q₀ is exact."""
    known = Known(rows=500)
    stacked = stack_of_one(model_of(known))
    objective = EvidenceBound(Reals(known.x), 100, held_out=Reals(Known(seed=0, rows=600).x[500:]))
    found = train(stacked, objective, jax.random.key(0), steps=2000, learning_rate=1e-2)
    history = np.array(found.history.value)[-20:, 0]
    assert abs(-history.mean() - known.evidence().mean()) < 0.05
    assert np.isfinite(found.history.held_out).all()

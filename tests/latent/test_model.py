"""The bound of a model whose evidence is known, and what a flow has to do with it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from latent.linear_gaussian import D, Known, N, exact, model_of

from thalweg import flows
from thalweg.data.observations import Reals
from thalweg.distributions import StandardNormal
from thalweg.latent import Decoder, DeepDecoder, Gaussian, LatentModel, evaluate, linear_start
from thalweg.nets.features import Features


@pytest.fixture(scope="module")
def known():
    return Known()


def test_at_the_exact_posterior_every_draw_gives_the_evidence(known):
    terms = exact(known).terms(jnp.asarray(known.x), jax.random.key(1))
    np.testing.assert_allclose(terms.bound, known.evidence(), atol=1e-9)


def test_the_gap_of_a_normal_posterior_is_its_divergence(known):
    """With q = N(E[z | x], 1) the gap is KL(q ‖ p(z | x)), known in closed form."""
    model = model_of(known, mean=known.gain)
    found = evaluate(model, Reals(known.x), jax.random.key(2), draws=20_000)
    inverse = np.linalg.inv(known.covariance)
    gap = 0.5 * (np.trace(inverse) - D + np.linalg.slogdet(known.covariance)[1])
    away = np.abs(known.evidence() - gap - found.bound)
    assert (away < 4 * found.bound_se).all()
    mean = known.posterior_mean()
    np.testing.assert_allclose(
        found.kl, 0.5 * (mean**2).sum(1), atol=4 * 20_000**-0.5 * (1 + np.abs(mean).max()) * D
    )


def test_importance_comes_to_the_evidence_from_below(known):
    model = model_of(known, mean=0.9 * known.gain, log_scale=-0.5)
    data, evidence = Reals(known.x), known.evidence()
    few = [evaluate(model, data, jax.random.key(i), draws=4).log_likelihood for i in range(200)]
    few = np.stack(few)
    error = few.std(0) / len(few) ** 0.5
    many = evaluate(model, data, jax.random.key(5), draws=20_000)
    assert (many.bound < few.mean(0) + 3 * error).all()
    assert (few.mean(0) < evidence + 3 * error).all()
    assert (np.abs(many.log_likelihood - evidence) < 4 * many.log_likelihood_se).all()
    assert (many.log_likelihood_se < 0.1).all()


@pytest.mark.parametrize("draws", [2, 50, 53, 101])
@pytest.mark.few(1)
def test_as_many_draws_count_as_are_asked_for(known, draws):
    model, x = model_of(known, mean=0.9 * known.gain), jnp.asarray(known.x)
    key = jax.random.key(3)
    found = evaluate(model, Reals(known.x), key, draws)
    _, latent = jax.random.split(jax.random.fold_in(key, 0))
    keys = [jax.random.split(jax.random.fold_in(latent, i), 50) for i in range(3)]
    terms = jax.vmap(lambda k: model.terms(x, k))(jnp.concatenate(keys)[:draws])
    np.testing.assert_allclose(found.bound, terms.bound.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.bound_se, terms.bound.std(0, ddof=1) / draws**0.5, rtol=1e-6)
    mean_weight = jax.nn.logsumexp(terms.bound, 0) - np.log(draws)
    np.testing.assert_allclose(found.log_likelihood, mean_weight, rtol=1e-9)
    weights = jnp.exp(terms.bound - terms.bound.max(0))
    effective = weights.sum(0) ** 2 / (weights**2).sum(0)
    np.testing.assert_allclose(found.effective(draws), effective, rtol=1e-6)


def test_a_flow_changes_the_bound_but_no_prior_draws(known):
    plain = model_of(known, mean=known.gain)
    planar = flows.build("planar", jax.random.key(0), D, layers=4)
    noisy = jax.tree.map(
        lambda v: (
            v + jax.random.normal(jax.random.key(1), v.shape) if eqx.is_inexact_array(v) else v
        ),
        planar,
    )
    with_flow = model_of(known, noisy, known.gain)
    x, key = jnp.asarray(known.x), jax.random.key(3)
    assert np.abs(plain.terms(x, key).bound - with_flow.terms(x, key).bound).min() > 1e-3
    np.testing.assert_array_equal(plain.generate(key, 7), with_flow.generate(key, 7))


def test_log_dets_of_the_flow_are_not_summed_over_the_batch(known):
    flow = flows.build("planar", jax.random.key(0), D, context_dim=N, layers=2)
    model = model_of(known, flow, known.gain)
    terms = model.terms(jnp.asarray(known.x), jax.random.key(0))
    assert {leaf.shape for leaf in terms} == {(len(known.x),)}
    assert len(np.unique(terms.log_det)) == len(known.x)


@pytest.mark.parametrize("amortised", [True, False])
@pytest.mark.few(1)
def test_the_bound_is_ln_p_minus_the_density_of_the_draw(known, amortised):
    """ln q(z | x) by the inverse of the flow, z as it was drawn."""
    flow = flows.build(
        "real_nvp", jax.random.key(4), D, context_dim=N if amortised else None, layers=2
    )
    model = model_of(known, flow, known.gain)
    x, key = jnp.asarray(known.x), jax.random.key(0)
    features = model.features(x)
    z, log_base, log_det = model.posterior(features, key)
    given = features if amortised else None
    z0, back = jax.vmap(flow.bijection.inverse_and_log_det, (0, 0 if amortised else None))(z, given)
    log_q = model.start.log_prob(z0, features) + back
    np.testing.assert_allclose(log_base - log_det, log_q, atol=1e-9)


def test_two_stochastic_layers_have_the_moments_of_the_linear_model():
    sizes, width, n = (2, 3), 4, 5
    decoder = DeepDecoder(sizes, width, (), jnp.ones((1, n)), key=jax.random.key(0))
    near, far = (np.asarray(g.weight) for g in decoder.generators)
    through = np.asarray(decoder.transforms[0][1].weight)
    out = np.asarray(decoder.out.head.weight)
    state = through.T @ far.T @ far @ through + near.T @ near
    covariance = out.T @ state @ out
    z = jax.random.normal(jax.random.key(1), (200_000, sum(sizes)))
    x = np.asarray(jax.vmap(decoder)(z))[:, 0]
    np.testing.assert_allclose(x.mean(0), 1.0, atol=0.02)
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.02 * np.abs(covariance).max())


def test_stochastic_layers_are_in_order():
    """z₁ stands next to the data: the top layer reaches it only through T₁."""
    decoder = DeepDecoder((2, 3), 4, (8,), jnp.zeros((1, 5)), key=jax.random.key(0))
    cut = eqx.tree_at(lambda d: d.transforms[0][1].weight, decoder, replace_fn=jnp.zeros_like)
    moved = jax.jacobian(lambda z: cut(z)[0])(jnp.ones(5))
    assert np.abs(moved[:, :2]).min() > 0
    np.testing.assert_array_equal(moved[:, 2:], 0)


def test_latent_shapes_must_agree(known):
    with pytest.raises(ValueError, match="latent shapes differ"):
        LatentModel(
            Features(N, (), key=jax.random.key(0)),
            linear_start(jax.random.key(0), D, N),
            None,
            StandardNormal((D + 1,)),
            Decoder(D, (), jnp.zeros((1, N)), key=jax.random.key(0)),
            Gaussian(0.0),
        )


@pytest.mark.parametrize("rows", [1, 100, 101])
def test_blocks_of_rows_come_back_in_order(rows):
    known = Known(rows=rows)
    found = evaluate(exact(known), Reals(known.x), jax.random.key(0), draws=2)
    np.testing.assert_allclose(found.log_likelihood, known.evidence(), atol=1e-9)
    np.testing.assert_allclose(found.log_likelihood_se, 0, atol=1e-6)


def test_weights_that_no_float_holds_are_streamed(known):
    """e^-5000 is 0: sums of weights are kept relative to the largest."""
    far = known.x + 100.0
    known_far = Known()
    known_far.x = far
    found = evaluate(exact(known_far), Reals(far), jax.random.key(0), draws=120)
    assert known_far.evidence().max() < -1000
    np.testing.assert_allclose(found.log_likelihood, known_far.evidence(), rtol=1e-9)

"""The guide in NumPyro's own machinery: SVI, Predictive, NeuTra; and what it refuses."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from in_numpyro.models import (
    RESPONSE,
    mixed,
    regression,
    regression_evidence,
    regression_posterior,
    scalar,
)
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, init_to_value
from numpyro.infer.reparam import NeuTraReparam
from numpyro.infer.util import log_density

from thalweg import flows
from thalweg.distributions import Flow, StudentT
from thalweg.numpyro import AutoFlow
from thalweg.tree import leaf_names, split_trainable

SMALL = {"layers": 2, "hidden": (8,)}


def met(guide, *args):
    """The guide, once it has met its model, and the params that it begins with."""
    trace = handlers.trace(handlers.seed(guide, 0)).get_trace(*args)
    return {name: site["value"] for name, site in trace.items() if site["type"] == "param"}


def fit(model, guide, steps, *args, rate=0.02, particles=32):
    optimiser = numpyro.optim.Adam(rate)
    svi = SVI(model, guide, optimiser, Trace_ELBO(num_particles=particles))
    return svi.run(jax.random.key(0), steps, *args, progress_bar=False)


@pytest.fixture(scope="module")
def gaussian():
    guide = AutoFlow(regression, "gaussian", gradient="path")
    return guide, fit(regression, guide, 1500, RESPONSE).params


def test_a_gaussian_reaches_the_exact_posterior(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    draws = guide.get_posterior(params).sample(jax.random.key(1), (100_000,))
    # The path gradient has no noise at the optimum, so what is left is that of the draws.
    np.testing.assert_allclose(jnp.mean(draws, 0), mean, atol=0.01)
    np.testing.assert_allclose(jnp.cov(draws.T), covariance, atol=0.01)
    loss = Trace_ELBO(num_particles=100).loss(
        jax.random.key(2), params, regression, guide, RESPONSE
    )
    np.testing.assert_allclose(-loss, regression_evidence(), atol=1e-3)


def test_the_elbo_is_log_p_less_log_q_at_the_same_draws():
    guide = AutoFlow(mixed, "planar", layers=2)
    params = met(guide, 0.3)

    @jax.jit
    def loss(key):
        return Trace_ELBO(num_particles=3).loss(key, params, mixed, guide, 0.3)

    @jax.jit
    def term(key):
        trace = handlers.trace(handlers.seed(guide, key)).get_trace(0.3)
        u = trace["_auto_latent"]["value"]
        draw = {name: trace[name]["value"] for name in ("rate", "share", "weights", "effect")}
        log_p = log_density(handlers.seed(mixed, 0), (0.3,), {}, draw)[0]
        # ln|det| of the maps from the latent vector, worked out by hand.
        parts = guide._unpack_latent(u)
        stick = jax.nn.sigmoid(parts["weights"] - jnp.log(jnp.array([2.0, 1.0])))
        log_det = parts["rate"] + jnp.log(draw["share"] * (1 - draw["share"]))
        log_det += jnp.sum(jnp.log(stick * (1 - stick))) + jnp.log(1 - stick[0])
        return log_p + log_det - guide.flow(params).log_prob(u)

    key = jax.random.key(3)
    terms = [term(jax.random.split(particle)[1]) for particle in jax.random.split(key, 3)]
    np.testing.assert_allclose(-loss(key), np.mean(terms), rtol=1e-10)


def test_it_begins_near_a_narrow_normal_at_the_start():
    values = {"w": jnp.array([3.0, -2.0])}
    guide = AutoFlow(regression, "real_nvp", init_loc_fn=init_to_value(values=values), **SMALL)
    params = met(guide, RESPONSE)
    draws = guide.get_posterior(params).sample(jax.random.key(0), (4000,))
    np.testing.assert_allclose(jnp.mean(draws, 0), values["w"], atol=0.02)
    np.testing.assert_allclose(jnp.std(draws, 0), 0.1, atol=0.02)
    wide = AutoFlow(regression, "mean_field", init_scale=2.0)
    params = met(wide, RESPONSE)
    assert abs(float(jnp.std(wide.flow(params).sample(jax.random.key(0), (4000,)))) - 2) < 0.4


@pytest.mark.slow
def test_what_is_fixed_is_no_param_and_stays():
    guide = AutoFlow(mixed, "real_nvp", **SMALL)
    params = met(guide, 0.3)
    whole = guide.flow(params)
    trained, fixed = split_trainable(whole)
    assert list(params) == ["auto_flow"]
    assert set(params["auto_flow"]) == set(leaf_names(trained))
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(fixed)]
    assert any(leaf.dtype.kind == "i" for leaf in before)  # permutations
    after = fit(mixed, guide, 3, 0.3, rate=0.1).params
    again, still = split_trainable(guide.flow(after))
    for one, other in zip(before, jax.tree.leaves(still), strict=True):
        np.testing.assert_array_equal(one, other)
    moved = [
        bool(jnp.any(a != b))
        for a, b in zip(jax.tree.leaves(trained), jax.tree.leaves(again), strict=True)
    ]
    assert sum(moved) > len(moved) / 2


@pytest.mark.slow
def test_a_whitened_flow_of_ones_own_keeps_its_whitening():
    from thalweg.bijections import Chain, ElementwiseAffine, FixedAffine

    frame = FixedAffine(jnp.ones(2), 2 * jnp.eye(2))
    own = Flow(StudentT(5.0, 2), Chain([ElementwiseAffine((2,)), frame]))
    guide = AutoFlow(regression, own)
    after = fit(regression, guide, 3, RESPONSE, rate=0.1).params
    kept = guide.flow(after).bijection.bijections[0].bijections[1]
    np.testing.assert_array_equal(kept.factor(), 2 * jnp.eye(2))
    assert not any("factor" in name for name in after["auto_flow"])
    assert any(name.startswith("base") for name in after["auto_flow"])
    assert guide.get_base_dist().event_shape == (2,)


def test_predictive_and_posterior_draws_have_their_shapes(gaussian):
    guide, params = gaussian
    mean, _ = regression_posterior()
    draws = Predictive(guide, params=params, num_samples=500)(jax.random.key(0))
    assert draws["w"].shape == (500, 2)
    predicted = Predictive(regression, guide=guide, params=params, num_samples=500)(
        jax.random.key(0)
    )
    assert predicted["y"].shape == (500, 5)
    draws = guide.sample_posterior(jax.random.key(1), params, sample_shape=(4, 250))
    assert draws["w"].shape == (4, 250, 2) and draws["sum"].shape == (4, 250)
    np.testing.assert_allclose(jnp.mean(draws["w"], (0, 1)), mean, atol=0.1)
    assert guide.sample_posterior(jax.random.key(1), params)["w"].shape == (2,)


def test_quantiles_are_those_of_the_normal(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    found = guide.quantiles(params, [0.16, 0.5, 0.84])
    assert found["w"].shape == (3, 2) and found["sum"].shape == (3,)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found["w"], mean + np.outer([-0.99446, 0, 0.99446], sd), atol=0.03)
    np.testing.assert_array_equal(guide.median(params)["w"], found["w"][1])


def test_log_density_takes_the_params(gaussian):
    guide, params = gaussian
    draw = {"w": jnp.array([1.0, 0.5])}
    given = {**params, "_auto_latent": draw["w"]}
    value, _ = log_density(guide, (RESPONSE,), {}, given)
    np.testing.assert_allclose(value, guide.flow(params).log_prob(draw["w"]), rtol=1e-10)


def test_params_can_be_kept_and_taken_up_by_a_new_guide(gaussian, tmp_path):
    guide, params = gaussian
    np.savez(tmp_path / "params.npz", **params["auto_flow"])
    with np.load(tmp_path / "params.npz") as file:
        loaded = {"auto_flow": {name: jnp.asarray(file[name]) for name in file.files}}
    again = AutoFlow(regression, "gaussian")
    with pytest.raises(ValueError, match="has not met its model yet"):
        again.get_transform(loaded)
    met(again, RESPONSE)
    u = jnp.array([[0.3, 0.4]])
    np.testing.assert_array_equal(again.flow(loaded).log_prob(u), guide.flow(params).log_prob(u))


@pytest.mark.slow
def test_neutra_with_nuts_gives_the_right_mean(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    neutra = NeuTraReparam(guide, params)
    mcmc = MCMC(
        NUTS(neutra.reparam(regression)), num_warmup=100, num_samples=600, progress_bar=False
    )
    mcmc.run(jax.random.key(0), RESPONSE)
    z = mcmc.get_samples()["auto_shared_latent"]
    draws = neutra.transform_sample(z)["w"]
    np.testing.assert_allclose(jnp.mean(draws, 0), mean, atol=0.1)
    np.testing.assert_allclose(jnp.std(draws, 0), np.sqrt(np.diag(covariance)), atol=0.1)


RECIPES = [
    pytest.param("planar", {"layers": 2}),
    pytest.param("gaussian", {}),
    pytest.param("maf", SMALL, marks=pytest.mark.slow),
    pytest.param("iaf", SMALL, marks=pytest.mark.slow),
    pytest.param("neural_spline_coupling", {**SMALL, "bins": 4}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "options"), RECIPES)
@pytest.mark.few(1)
def test_recipes_take_a_step_and_transport(name, options):
    guide = AutoFlow(mixed, name, **options)
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(1e-3))
    svi = SVI(mixed, guide, optimiser, Trace_ELBO(num_particles=4))
    state, loss = jax.jit(svi.stable_update)(svi.init(jax.random.key(0), 0.3), 0.3)
    params = svi.get_params(state)
    assert np.isfinite(loss)
    z = guide.get_base_dist().sample(jax.random.key(1), (3,))
    transform = guide.get_transform(params)
    u = transform(z)
    assert u.shape == (3, 7)
    np.testing.assert_allclose(transform._inverse(u), z, atol=1e-8)
    np.testing.assert_allclose(
        guide.get_posterior(params).log_prob(u), guide.flow(params).log_prob(u), atol=1e-12
    )


def test_one_latent_number_is_enough():
    guide = AutoFlow(scalar, layers=2)
    params = fit(scalar, guide, 800, 2.0).params
    draws = guide.flow(params).sample(jax.random.key(0), (20_000,))
    np.testing.assert_allclose(jnp.mean(draws), 1.6, atol=0.1)
    np.testing.assert_allclose(jnp.std(draws), np.sqrt(0.8), atol=0.1)
    one = AutoFlow(scalar, "real_nvp", **SMALL)
    assert guide.flow(params).shape == one.flow(met(one, 2.0)).shape == (1,)


@pytest.mark.slow
def test_setting_up_inside_a_compiled_function_leaks_nothing():
    guide = AutoFlow(mixed, "real_nvp", **SMALL)
    svi = SVI(mixed, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())
    state = jax.jit(svi.init)(jax.random.key(0), 0.3)
    params = svi.get_params(svi.update(state, 0.3)[0])
    assert guide.get_posterior(params).sample(jax.random.key(0), (2,)).shape == (2, 7)
    assert guide.get_base_dist().event_shape == (7,)


def test_the_seed_makes_the_flow_and_functions_of_key_and_dim_do():
    def start(flow, seed, **options):
        return met(AutoFlow(scalar, flow, seed=seed, **options), 2.0)["auto_flow"]

    by_name = start("planar", 3, layers=2)
    made = start(lambda key, dim: flows.build("planar", key, dim, layers=2), 3)
    other = start("planar", 4, layers=2)
    assert set(by_name) == set(made) == set(other)
    for name, leaf in by_name.items():
        np.testing.assert_array_equal(leaf, made[name])
    assert any(np.any(np.asarray(leaf != other[name])) for name, leaf in by_name.items())


@pytest.mark.slow
def test_it_works_in_single_precision():
    code = (
        "import jax, numpyro, numpyro.distributions as dist\n"
        "from numpyro.infer import SVI, Trace_ELBO\n"
        "import thalweg\n"
        "def model(y):\n"
        "    m = numpyro.sample('m', dist.Normal(0, 1).expand([2]).to_event(1))\n"
        "    numpyro.sample('y', dist.Normal(m.sum(), 1), obs=y)\n"
        "guide = thalweg.numpyro.AutoFlow(model, layers=2)\n"
        "svi = SVI(model, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())\n"
        "params = svi.run(jax.random.key(0), 2, 1.0, progress_bar=False).params\n"
        "print({str(v.dtype) for v in params['auto_flow'].values()})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'float32'}"


def discrete(y):
    z = numpyro.sample("z", dist.Bernoulli(0.5))
    numpyro.sample("y", dist.Normal(z, 1), obs=y)


def observed_only(y):
    numpyro.sample("y", dist.Normal(0, 1), obs=y)


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (discrete, {}, "site 'z' of the model 'discrete' is discrete; a flow needs continuous"),
        (observed_only, {}, "the model 'observed_only' has no latent sites"),
        (scalar, {"flow": "real_nvq"}, "unknown flow 'real_nvq'"),
        (scalar, {"flow": "planar", "bins": 3}, "flow 'planar' has no option 'bins'"),
        (scalar, {"flow": 3}, "flow must be a name, a Flow or a function"),
        (scalar, {"flow": lambda key, dim: None}, "must be a Flow on (1,)"),
        (scalar, {"flow": "circular_spline"}, "the flow lives in a box"),
        (scalar, {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (scalar, {"gradient": "score"}, "gradient must be 'path' or 'total', got 'score'"),
        (scalar, {"init_scale": 0.0}, "init_scale must be a finite number above 0, got 0.0"),
    ],
)
def test_what_cannot_be_guided_is_refused_in_one_sentence(model, options, says):
    with pytest.raises(ValueError) as caught:
        met(AutoFlow(model, **options), 1.0)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_guide_that_could_not_be_set_up_says_so_again():
    guide = AutoFlow(scalar, "planar", bins=3)
    for _ in range(2):
        with pytest.raises(ValueError, match="flow 'planar' has no option 'bins'"):
            met(guide, 1.0)


def test_params_of_another_guide_are_refused(gaussian):
    _, params = gaussian
    guide = AutoFlow(regression, "gaussian", prefix="other")
    met(guide, RESPONSE)
    with pytest.raises(ValueError, match="have no 'other_flow' of this guide's flow"):
        guide.get_transform(params)
    larger = AutoFlow(mixed, "gaussian")
    met(larger, 0.3)
    with pytest.raises(ValueError, match="another prefix, flow or model"):
        NeuTraReparam(larger, params)


def test_without_numpyro_the_import_says_what_to_install():
    code = (
        "import sys; sys.modules['numpyro'] = None\n"
        "import thalweg\n"
        "try:\n    import thalweg.numpyro\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "thalweg.numpyro needs numpyro: pip install 'thalweg[numpyro]'"

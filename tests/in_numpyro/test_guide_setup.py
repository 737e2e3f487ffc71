"""The flow of a guide: its start, recipes, seed and precision, and the models it refuses."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from in_numpyro.guides import SMALL, fit, met
from in_numpyro.models import RESPONSE, mixed, regression, scalar
from numpyro.infer import SVI, Trace_ELBO, init_to_value

from thalweg import flows
from thalweg.distributions import Flow, StudentT
from thalweg.numpyro import AutoFlow
from thalweg.tree import leaf_names, split_trainable


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
def test_fixed_leaves_are_no_params_and_stay():
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
def test_models_without_a_guide_are_refused_in_one_sentence(model, options, says, unchecked_shapes):
    with pytest.raises(ValueError) as caught:
        met(AutoFlow(model, **options), 1.0)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_guide_that_could_not_be_set_up_says_so_again():
    guide = AutoFlow(scalar, "planar", bins=3)
    for _ in range(2):
        with pytest.raises(ValueError, match="flow 'planar' has no option 'bins'"):
            met(guide, 1.0)


def test_without_numpyro_the_import_says_what_to_install():
    code = (
        "import sys; sys.modules['numpyro'] = None\n"
        "import thalweg\n"
        "try:\n    import thalweg.numpyro\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "thalweg.numpyro needs numpyro: pip install 'thalweg[numpyro]'"

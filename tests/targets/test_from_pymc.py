"""PyMC models as targets: the same density to rounding, the same names, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets import check_target, from_function, from_pymc

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCALE = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


@pytest.fixture(scope="module")
def pm():
    return pytest.importorskip("pymc", reason="the extra thalweg[pymc] is not installed")


def schools(pm):
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, shape=8)
        pm.Deterministic("twice", 2 * theta)
        pm.Normal("y", theta, SCALE, observed=Y)
    return model


def everything(pm):
    """A variable of every support, bounds that depend on others among them."""
    with pm.Model() as model:
        share = pm.Beta("share", 1, 1)
        pm.Uniform("rest", 0, 1 - share)
        pm.Uniform("wide", -3, 5)
        pm.Dirichlet("weights", np.ones(3))
        pm.Normal(
            "order",
            0,
            1,
            shape=3,
            initval=np.arange(3.0),
            transform=pm.distributions.transforms.ordered,
        )
        pm.Gamma("rates", 2, 1, shape=(2, 2))
        pm.Potential("data", -(share**2))
    return model


@pytest.mark.parametrize("make", [schools, everything])
def test_the_density_is_the_one_of_pymc(pm, make):
    model = make(pm)
    target = from_pymc(model)
    theirs = model.compile_logp(jacobian=True)
    begin = model.initial_point()
    for seed in range(3):
        u = np.random.default_rng(seed).normal(size=target.dim)
        point, at = {}, 0
        for variable in model.value_vars:
            size = begin[variable.name].size
            point[variable.name] = u[at : at + size].reshape(begin[variable.name].shape)
            at += size
        np.testing.assert_allclose(target.log_density(jnp.asarray(u)), theirs(point), rtol=1e-8)
        assert np.all(np.isfinite(jax.grad(target.log_density)(jnp.asarray(u))))


def test_parameters_are_the_free_variables(pm):
    target = from_pymc(everything(pm))
    assert list(target.parameters.shapes) == ["share", "rest", "wide", "weights", "order", "rates"]
    u = jax.random.normal(jax.random.key(0), (200, target.dim))
    draws = target.parameters.trees(u)
    assert np.all((draws["rest"] > 0) & (draws["rest"] < 1 - draws["share"]))
    assert np.all((draws["wide"] > -3) & (draws["wide"] < 5))
    np.testing.assert_allclose(draws["weights"].sum(-1), 1, rtol=1e-12)
    assert np.all(np.diff(draws["order"], axis=-1) > 0)
    np.testing.assert_allclose(target.parameters.unconstrain(draws), u, rtol=1e-6, atol=1e-6)
    check_target(target, u[:4])


def test_the_same_model_as_a_function_has_the_same_density(pm):
    def log_joint(p):
        normal, cauchy = jax.scipy.stats.norm.logpdf, jax.scipy.stats.cauchy.logpdf
        prior = normal(p["mu"], 0, 5) + cauchy(p["tau"], 0, 5) + jnp.log(2)
        prior = prior + normal(p["theta"], p["mu"], p["tau"]).sum()
        return prior + normal(Y, p["theta"], SCALE).sum()

    shapes = {"mu": (), "tau": (), "theta": (8,)}
    by_hand = from_function(log_joint, parameters=shapes, supports={"tau": "positive"})
    target = from_pymc(schools(pm))
    u = jax.random.normal(jax.random.key(1), (10,))
    # PyMC works the constants of a half-Cauchy out in float32.
    np.testing.assert_allclose(target.log_density(u), by_hand.log_density(u), rtol=1e-8)


def discrete(pm):
    pm.Poisson("count", 3)
    pm.Normal("y", 0, 1, observed=1.0)


def without_data(pm):
    pm.Normal("mu", 0, 1)


def without_parameters(pm):
    pm.Normal("y", 0, 1, observed=1.0)


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (discrete, "variable 'count' .* is discrete"),
        (without_data, r"no data: none of its variables \(mu\)"),
        (without_parameters, "has no parameters"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(pm, fill, words):
    with pm.Model() as model:
        fill(pm)
    with pytest.raises(ValueError, match=words):
        from_pymc(model)


def test_what_is_no_model_is_refused(pm):
    with pytest.raises(ValueError, match=r"made of a pm\.Model, got schools"):
        from_pymc(schools)


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymc", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[pymc\]'"):
        from_pymc(object())

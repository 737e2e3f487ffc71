"""PyMC models as targets: PyMC's own log density and transforms."""

import math
import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from targets.frameworks.pymc_models import SCALE, Y, nothing, pm, pt, pytensor, schools, transforms

import thalweg as tw
from thalweg.supports import Support
from thalweg.targets import check_target, from_function, from_pymc

# Neither a compiler nor the simplifications that the target goes through.
PLAIN = pytensor.compile.mode.Mode(linker="py", optimizer=None)


def labelled_schools():
    """Named dimensions and data that can be changed, a custom start, another model within."""
    model = pm.modelcontext(None)
    model.add_coord("school", list("ABCDEFGH"))
    y, scale = pm.Data("seen", Y, dims="school"), pm.Data("scale", SCALE, dims="school")
    with pm.Model(name="group"):
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5, initval=3.0)
    theta = pm.Normal("theta", mu, tau, dims="school")
    pm.Normal("y", theta, scale, observed=y, dims="school")


def own_supports():
    """Transforms that thalweg has names for."""
    pm.Normal("real", shape=(2, 2))
    pm.Gamma("positive", 2, 1, shape=2)
    pm.Beta("share", 1, 2)
    pm.Uniform("between", -1, 3, shape=2)
    pm.TruncatedNormal("low", 0, 1, lower=-2.0)
    pm.TruncatedNormal("high", 0, 1, upper=2.0)
    pm.Normal("order", 0, 1, shape=3, transform=transforms.ordered, initval=[-1, 0, 1.0])
    rising = transforms.Ordered(positive=True)
    pm.Normal("rising", 0, 1, shape=3, transform=rising, initval=[1, 2, 3.0])
    nothing()


def their_supports():
    """Transforms that only PyMC has, of other shapes and with bounds that depend on others."""
    share = pm.Beta("share", 1, 1)
    pm.Uniform("rest", 0, 1 - share)
    pm.Dirichlet("weights", np.ones((2, 3)))
    pm.ZeroSumNormal("effects", shape=4)
    falling = transforms.Ordered(ascending=False)
    pm.Normal("falling", 0, 1, shape=3, transform=falling, initval=[1, 0, -1.0])
    pm.HalfNormal("soft", 1, default_transform=transforms.log_exp_m1)
    seen = pm.Normal("seen", share, 1, observed=[0.5, 2.0])
    pm.Uniform("beyond", seen[1], seen[1] + share)


def factors():
    factor, _, _ = pm.LKJCholeskyCov("factor", n=3, eta=2.0, sd_dist=pm.Exponential.dist(1.0))
    mu = pm.Normal("mu", 0, 1, shape=3)
    pm.MvNormal("y", mu, chol=factor, observed=np.cos(np.arange(12.0)).reshape(4, 3))


def cut():
    """Truncated and censored normals, and values that are missing."""
    mu = pm.Normal("mu")
    pm.TruncatedNormal("inside", mu, 1.3, lower=-1.0, upper=2.0)
    pm.Normal("y", mu, 1, observed=np.ma.masked_invalid([1.0, np.nan]))
    pm.Censored("z", pm.Normal.dist(mu, 1), lower=-1.0, upper=1.0, observed=[-1.0, 0.3, 1.0])


MODELS = [schools, labelled_schools, own_supports, their_supports, factors, cut]
_made, _compiled = {}, {}


def built(model):
    """The PyMC model and its target, made once."""
    if model not in _made:
        with pm.Model() as context, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyMC mentions the missing value
            model()
        _made[model] = context, from_pymc(context)
    return _made[model]


def theirs(model, u):
    """PyMC's log density with the Jacobian and without it, and the parameters by name."""
    context, target = built(model)
    if model not in _compiled:
        view = context.replace_rvs_by_values(context.free_RVs)
        outputs = [context.logp(jacobian=True), context.logp(jacobian=False), *view]
        _compiled[model] = context.compile_fn(
            outputs, inputs=context.value_vars, mode=PLAIN, on_unused_input="ignore"
        )
    whole, bare, *values = _compiled[model](pieces(context, target, u))
    return whole, bare, dict(zip(target.parameters.shapes, values, strict=True))


def pieces(context, target, u):
    """The coordinates by the names of PyMC's value variables."""
    found, begin = {}, 0
    for variable in context.free_RVs:
        shape = target.parameters.shapes[variable.name]
        free = target.parameters.supports[variable.name].free(shape)
        part = u[begin : begin + math.prod(free)]
        found[context.rvs_to_values[variable].name] = part.reshape(free)
        begin += math.prod(free)
    return found


def points(target, n=4):
    return np.random.default_rng(0).normal(size=(n, target.dim))


@pytest.mark.parametrize("model", MODELS)
def test_the_density_is_that_of_pymc(model):
    _, target = built(model)
    u = points(target)
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(target.log_density)))(u)
    wanted = [theirs(model, point)[0] for point in u]
    np.testing.assert_allclose(values, wanted, atol=1e-8, rtol=0)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_those_of_pymc(model):
    """There and back; the density with the Jacobian less the one without is ln|det|."""
    _, target = built(model)
    u = points(target)
    trees, log_dets = jax.jit(jax.vmap(target.parameters.constrain))(u)
    back = target.parameters.unconstrain(trees)  # refuses what is outside its support
    np.testing.assert_allclose(back, u, atol=1e-9)
    for i, point in enumerate(u):
        whole, bare, values = theirs(model, point)
        np.testing.assert_allclose(log_dets[i], whole - bare, atol=1e-9)
        for name, value in values.items():
            np.testing.assert_allclose(trees[name][i], value, atol=1e-12)


def test_maps_of_the_same_kind_are_thalwegs():
    supports = built(own_supports)[1].parameters.supports
    assert {name: str(one) for name, one in supports.items()} == {
        "real": "real",
        "positive": "positive",
        "share": "unit_interval",
        "between": "interval(-1, 3)",
        "low": "greater_than(-2)",
        "high": "less_than(2)",
        "order": "ordered",
        "rising": "positive_ordered",
    }
    theirs = built(their_supports)[1].parameters.supports
    assert str(theirs["weights"]) == "Simplex of PyMC"
    assert theirs["rest"].needs == ("share",)
    assert theirs["effects"].free((4,)) == (3,)
    with pytest.raises(ValueError, match=r"of shape \(4,\), got \(5,\)"):
        theirs["effects"].free((5,))


def test_points_outside_a_support_are_named():
    target = built(their_supports)[1]
    parameters = target.parameters
    good, _ = jax.jit(parameters.constrain)(points(target)[0])
    outside = {
        "share": 1.5,
        "rest": 1.0 - good["share"] / 2,
        "weights": np.full((2, 3), 0.3),
        "effects": np.array([1.0, -1.0, 0.0, 0.1]),
        "falling": np.array([1.0, 2.0, 0.0]),
        "soft": -1.0,
        "beyond": 1.9,
    }
    holds = jax.jit(
        lambda tree: {n: one.holds(tree[n], good) for n, one in parameters.supports.items()}
    )
    bad = {name: jnp.asarray(value, float) for name, value in outside.items()}
    assert all(holds(good).values())
    assert not any(holds(bad).values())
    with pytest.raises(ValueError, match=r"'soft' is .* outside its support LogExpM1 of"):
        parameters.unconstrain({**good, "soft": -1.0})


def test_wide_bounds_do_not_put_points_outside():
    def wide():
        shift = pm.Normal("shift")
        pm.Uniform("far", -1e6 + shift, 1e6)
        nothing()

    parameters = built(wide)[1].parameters
    point = {"shift": 0.3, "far": 1e-3}
    tree, _ = parameters.constrain(parameters.unconstrain(point))
    np.testing.assert_allclose(tree["far"], 1e-3, atol=1e-8)


def test_names_and_shapes_are_kept():
    context, target = built(schools)
    inner = built(labelled_schools)[1].parameters
    assert target.parameters.shapes == {"mu": (), "tau": (), "theta": (8,)}
    assert target.parameters.names[:3] == ("mu", "tau", "theta[0]")
    assert target.source == "a PyMC model"
    assert check_target(target, points(target, 16)).all()
    assert list(inner.shapes) == [
        "group::mu",
        "group::tau",
        "theta",
    ]
    assert context.free_RVs[0].name == "mu"  # the model is as it was


def test_the_same_model_as_a_function_has_the_same_density():
    def log_density(p):
        norm = jax.scipy.stats.norm.logpdf
        prior = norm(p["mu"], 0, 5) + math.log(2) + jax.scipy.stats.cauchy.logpdf(p["tau"], 0, 5)
        schools = norm(p["theta"], p["mu"], p["tau"]) + norm(Y, p["theta"], SCALE)
        return prior + jnp.sum(schools)

    def exact_schools():
        # PyMC takes the logarithm of a plain 5 in float32: off by 2e-8.
        five = np.array(5.0)
        mu = pm.Normal("mu", 0, five)
        tau = pm.HalfCauchy("tau", five)
        pm.Normal("y", pm.Normal("theta", mu, tau, shape=8), SCALE, observed=Y)

    _, target = built(exact_schools)
    shapes = {"mu": (), "tau": (), "theta": (8,)}
    plain = from_function(log_density, parameters=shapes, supports={"tau": "positive"})
    u = points(target)
    ours, written = (jax.jit(jax.vmap(one.log_density))(u) for one in (target, plain))
    np.testing.assert_allclose(ours, written, atol=1e-8, rtol=0)


def test_data_are_those_of_the_moment():
    with pm.Model() as context:
        seen = pm.Data("seen", [1.0])
        pm.Normal("y", pm.Normal("mu"), 1, observed=seen)
    before = from_pymc(context)
    with context:
        pm.set_data({"seen": [3.0]})
    after = from_pymc(context)
    at = jnp.zeros(1)
    np.testing.assert_allclose(before.log_density(at) - after.log_density(at), 4.0)


@pytest.mark.parametrize("model", [schools, factors])
def test_float32_is_quiet_and_does_not_spoil_float64(model):
    context, exact = built(model)
    u = jnp.asarray(points(exact, 1)[0])
    with jax.enable_x64(False):
        target = from_pymc(context)
        value, slope = jax.jit(jax.value_and_grad(target.log_density))(np.float32(u))
        tree, _ = jax.jit(target.parameters.constrain)(np.float32(u))
    assert {x.dtype for x in jax.tree.leaves((value, slope, tree))} == {jnp.dtype("float32")}
    wanted = jax.jit(exact.log_density)(u)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(target.log_density)(u), wanted, rtol=1e-12)


def test_checks_of_parameters_hold_in_jax():
    def negative():
        pm.Normal("y", 0, pm.Normal("scale"), observed=1.0)

    _, target = built(negative)
    assert np.isneginf(target.log_density(jnp.array([-1.0])))
    assert np.isfinite(target.log_density(jnp.array([1.0])))

    def raising():
        x = pm.Normal("x")
        pm.Potential("p", pytensor.raise_op.Assert("x must be positive")(x, x > 0))

    assert np.isnan(built(raising)[1].log_density(jnp.array([-1.0])))
    assert np.isfinite(built(raising)[1].log_density(jnp.array([1.0])))


def test_erfcx_is_exact_on_both_sides_of_where_its_formula_changes():
    from thalweg.targets.frameworks.pymc.pytensor_graphs import JaxFunction

    x = pt.vector("x", shape=(9,))
    at = np.array([-20.0, -1.0, 0.0, 0.5, 7.9, 8.0, 8.1, 30.0, 1e9])
    function = JaxFunction([x], [pt.erfcx(x)], "a test")
    np.testing.assert_allclose(jax.jit(function)(at)[0], special.erfcx(at), rtol=1e-13)
    slope = jax.jit(jax.grad(lambda v: function(v)[0].sum()))
    np.testing.assert_allclose(
        slope(at),
        2 * at * special.erfcx(at) - 2 / math.sqrt(math.pi),
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.slow
def test_the_settings_of_the_process_are_left_alone():
    code = """
import os
import jax
import numpy as np
import pymc as pm
from thalweg.targets import from_pymc

with pm.Model() as model:
    pm.Normal("y", pm.Normal("mu"), pm.HalfNormal("s"), observed=np.ones(3))
with jax.enable_x64(True):
    assert from_pymc(model).log_density(np.zeros(2)).dtype == "float64"
assert from_pymc(model).log_density(np.zeros(2)).dtype == "float32"
assert not jax.config.jax_enable_x64
assert "device_count" not in os.environ.get("XLA_FLAGS", "")
assert jax.device_count() == 1
"""
    made = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "JAX_ENABLE_X64"},
    )
    assert made.returncode == 0, made.stderr
    assert "dtype" not in made.stderr


# --- inference -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_normal_model_is_fitted():
    """The precision of the mean is 1/4 + 3, so that its mean is 6 / 3.25, its sd 3.25^−½."""
    with pm.Model() as context:
        mu = pm.Normal("mu", 0, 2)
        share = pm.Beta("share", 1, 1)
        pm.Uniform("rest", 0, 1 - share)
        pm.Normal("y", mu, 1, observed=[1.0, 2.0, 3.0])
    posterior = tw.infer(from_pymc(context), flow="gaussian", steps=300, progress=False)
    draws = posterior.resample(4000)
    assert set(draws) == {"mu", "share", "rest"}
    assert {np.shape(x) for x in draws.values()} == {(4000,)}
    np.testing.assert_allclose(np.mean(draws["mu"]), 6 / 3.25, atol=0.05)
    np.testing.assert_allclose(np.std(draws["mu"]), 3.25**-0.5, atol=0.05)
    assert np.all((draws["share"] > 0) & (draws["rest"] > 0))
    assert np.all(draws["share"] + draws["rest"] < 1)
    assert isinstance(posterior.parameters.supports["rest"], Support)


def dotted():
    first = pm.Normal("a", 1, 1)
    pm.LogNormal("a.b", first, 1)
    pm.Beta("a[0] c", 2, 2)
    nothing()


def test_names_of_pymc_are_opaque_keys():
    _, target = built(dotted)
    assert target.parameters.shapes == {"a": (), "a.b": (), "a[0] c": ()}
    u = jnp.array([0.3, -0.5, 0.2])
    tree = target.parameters.constrain(u)[0]
    np.testing.assert_allclose([tree["a"], tree["a.b"]], [0.3, math.exp(-0.5)])
    share = special.expit(0.2)
    by_hand = math.log(6 * (share * (1 - share)) ** 2) - math.log(2 * math.pi)
    by_hand += -0.5 * 0.7**2 - 0.5 * 0.8**2
    np.testing.assert_allclose(target.log_density(u), by_hand, rtol=1e-7)


def test_a_density_that_is_not_pymcs_is_refused(monkeypatch):
    adapter = sys.modules["thalweg.targets.frameworks.pymc.from_pymc"]
    whole = adapter._of_ours

    def mistaken(transform, inputs):
        found = whole(transform, inputs)
        return tw.supports.greater_than(0.5) if str(found) == "positive" else found

    monkeypatch.setattr(adapter, "_of_ours", mistaken)
    with pm.Model() as model:
        pm.Normal("y", 0, pm.HalfNormal("a.scale"), observed=Y)
    # The density takes coordinates, so that only the Jacobian and the values could be wrong.
    with pytest.raises(ValueError, match=r"variable 'a\.scale' of the model 'model' is not PyMC's"):
        from_pymc(model)


def test_a_variable_of_size_0_is_kept_with_no_numbers():
    def half_empty():
        mu = pm.Normal("mu", 0, 1)
        extra = pm.HalfNormal("extra", 1, shape=0)
        pm.Normal("y", mu + extra.sum(), 1, observed=1.0)

    _, target = built(half_empty)
    assert target.parameters.names == ("mu",)
    assert target.parameters.trees(jnp.ones((2, 1)))["extra"].shape == (2, 0)


def test_a_shape_clash_is_told_with_the_line_of_the_model():
    def clash():
        pm.Normal("y", pm.Normal("mu", shape=7) * pm.Data("x", np.ones(8)), 1, observed=Y)

    with pm.Model() as model:
        clash()
    with pytest.raises(ValueError) as caught:
        from_pymc(model)
    line = clash.__code__.co_firstlineno + 1
    assert f"(line {line} of test_from_pymc.py)" in str(caught.value)

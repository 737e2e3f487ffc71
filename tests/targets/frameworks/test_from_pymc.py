"""PyMC models as targets: PyMC's own log density, in both precisions, and a fit."""

import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from targets.frameworks.pymc_models import SCALE, Y, pm, pt, pytensor, schools
from targets.frameworks.pymc_targets import MODELS, built, factors, points, theirs

import thalweg as tw
from thalweg.supports import Support
from thalweg.targets import from_function, from_pymc


@pytest.mark.parametrize("model", MODELS)
def test_the_density_is_that_of_pymc(model):
    _, target = built(model)
    u = points(target)
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(target.log_density)))(u)
    wanted = [theirs(model, point)[0] for point in u]
    np.testing.assert_allclose(values, wanted, atol=1e-8, rtol=0)
    assert np.isfinite(slopes).all()


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


def test_a_shape_clash_is_told_with_the_line_of_the_model():
    def clash():
        pm.Normal("y", pm.Normal("mu", shape=7) * pm.Data("x", np.ones(8)), 1, observed=Y)

    with pm.Model() as model:
        clash()
    with pytest.raises(ValueError) as caught:
        from_pymc(model)
    line = clash.__code__.co_firstlineno + 1
    assert f"(line {line} of test_from_pymc.py)" in str(caught.value)

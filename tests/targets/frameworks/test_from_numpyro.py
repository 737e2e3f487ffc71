"""NumPyro models as targets: the same density to rounding, the same names."""

import inspect
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.contrib.module import random_eqx_module
from numpyro.infer.reparam import LocScaleReparam
from numpyro.infer.util import constrain_fn, potential_energy
from targets.frameworks.numpyro_models import Y, schools

from thalweg.targets import check_target, from_numpyro


def everything():
    """A site of every support, bounds that depend on others, and an improper one."""
    share = numpyro.sample("share", dist.Beta(1, 1))
    numpyro.sample("rest", dist.Uniform(0, 1 - share))
    numpyro.sample("low", dist.TruncatedNormal(0, 1, low=-2.0))
    numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    numpyro.sample("factor", dist.LKJCholesky(3, 1.0))
    numpyro.sample("vector", dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)))
    numpyro.sample("rates", dist.Gamma(jnp.ones((2, 2)), 1.0).to_event(1))
    improper = dist.ImproperUniform(dist.constraints.ordered_vector, (), (3,))
    order = numpyro.sample("order", improper)
    numpyro.factor("data", -jnp.sum(order**2))


def pieces(target, u):
    """The coordinates of each site, as NumPyro takes them."""
    found, begin = {}, 0
    for name, shape in target.parameters.shapes.items():
        free = target.parameters.supports[name].free(shape)
        found[name] = u[begin : begin + math.prod(free)].reshape(free)
        begin += math.prod(free)
    return found


@pytest.mark.parametrize(("model", "args"), [(schools, (Y,)), (everything, ())])
@pytest.mark.few(1)
def test_the_density_is_minus_the_potential_energy(model, args):
    target = from_numpyro(model, *args)
    ours = jax.jit(target.log_density)
    theirs = jax.jit(lambda u: -potential_energy(model, args, {}, pieces(target, u)))
    for seed in range(5):
        u = jax.random.normal(jax.random.key(seed), (target.dim,))
        np.testing.assert_allclose(ours(u), theirs(u), rtol=1e-12)


@pytest.mark.parametrize(("model", "args"), [(schools, (Y,)), (everything, ())])
@pytest.mark.few(1)
def test_parameters_are_the_sites(model, args):
    target = from_numpyro(model, *args)
    u = jax.random.normal(jax.random.key(0), (target.dim,))
    ours, _ = jax.jit(target.parameters.constrain)(u)
    theirs = jax.jit(lambda u: constrain_fn(model, args, {}, pieces(target, u)))(u)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-12)
    np.testing.assert_allclose(target.parameters.unconstrain(ours), u, atol=1e-9)


def test_names_and_shapes_are_kept():
    target = from_numpyro(schools, Y)
    assert target.name == "schools"
    assert target.parameters.shapes == {"mu": (), "tau": (), "theta": (8,)}
    assert target.parameters.names[:3] == ("mu", "tau", "theta[0]")
    assert str(target.parameters.supports["tau"]) == "positive"
    assert check_target(target, np.random.default_rng(0).normal(size=(16, 10))).all()


def clash(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5).expand([7]))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def clash_in_the_middle(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5).expand([7]))
    numpyro.sample("y", dist.Normal(mu * y, 1), obs=y)


def line_of(model, text):
    lines, first = inspect.getsourcelines(model)
    return first + next(i for i, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    ("model", "text"), [(clash, "obs=y"), (clash_in_the_middle, "mu * y")], ids=["site", "formula"]
)
def test_a_shape_clash_is_told_with_the_line_of_the_model(model, text):
    with pytest.raises(ValueError) as caught:
        from_numpyro(model, Y)
    assert f"(line {line_of(model, text)} of test_from_numpyro.py)" in str(caught.value)
    assert "(8,)" in str(caught.value) and "(7,)" in str(caught.value)


def large_counts():
    rate = numpyro.sample("rate", dist.LogNormal(14.0, 1.0))
    numpyro.sample("y", dist.Poisson(rate), obs=jnp.full(20, 1.3e6))


def test_rounding_is_no_disagreement():
    with jax.enable_x64(False):
        assert from_numpyro(large_counts).dim == 1


def scaled_and_masked(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    with handlers.scale(scale=3.0), handlers.mask(mask=y > 0):
        numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def scanned(y):
    s = numpyro.sample("s", dist.HalfNormal())

    def step(before, value):
        x = numpyro.sample("x.t", dist.LogNormal(before, s))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=value)
        return x, None

    scan(step, 0.0, y)


LINEAR = eqx.nn.Linear(2, 1, key=jax.random.key(0))


def network(y, prior):
    net = random_eqx_module("net.a", LINEAR, prior)
    x = jnp.arange(16.0).reshape(8, 2) / 8
    numpyro.sample("y", dist.Normal(jax.vmap(net)(x)[:, 0], 1), obs=y)


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (scaled_and_masked, {"mu": ()}),
        (scanned, {"s": (), "x.t": (8,)}),
        (handlers.condition(schools, data={"mu": 1.0}), {"tau": (), "theta": (8,)}),
        (
            handlers.reparam(schools, config={"theta": LocScaleReparam(0.0)}),
            {"mu": (), "tau": (), "theta_decentered": (8,)},
        ),
    ],
)
@pytest.mark.few(2)
def test_models_within_handlers_agree_with_numpyro(model, shapes):
    target = from_numpyro(model, Y)
    assert target.parameters.shapes == shapes
    u = jax.random.normal(jax.random.key(1), (target.dim,))
    seeded = handlers.seed(model, 3)
    theirs = -potential_energy(seeded, (Y,), {}, pieces(target, u))
    np.testing.assert_allclose(target.log_density(u), theirs, rtol=1e-10)


@pytest.mark.slow
def test_modules_with_priors_are_models():
    """Ridge regression: the mode in closed form, under names with a slash and a dot."""
    target = from_numpyro(network, Y, dist.Normal(0, 2))
    assert target.parameters.shapes == {"net.a/weight": (1, 2), "net.a/bias": (1,)}
    design = np.column_stack([np.arange(16.0).reshape(8, 2) / 8, np.ones(8)])
    precision = design.T @ design + np.eye(3) / 4
    gradient = jax.grad(target.log_density)(jnp.asarray(np.linalg.solve(precision, design.T @ Y)))
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    with pytest.raises(ValueError, match=r"site 'net.a\$params' of the model 'network' is a param"):
        from_numpyro(network, Y, {"weight": dist.Normal(0, 2)})


def half_empty(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    extra = numpyro.sample("extra", dist.HalfNormal().expand([0]).to_event(1))
    numpyro.sample("y", dist.Normal(mu + jnp.sum(extra), 1), obs=y)


def test_a_site_of_size_0_is_kept_with_no_numbers():
    parameters = from_numpyro(half_empty, Y).parameters
    assert parameters.names == parameters.coordinates == ("mu",)
    u = jnp.arange(3.0)[:, None]
    tree = parameters.trees(u)
    assert tree["extra"].shape == (3, 0)
    np.testing.assert_array_equal(parameters.rows(tree), u)
    np.testing.assert_array_equal(parameters.unconstrain(tree), u)
    assert parameters.from_rows(parameters.rows(tree))["extra"].shape == (3, 0)

"""NumPyro models as targets: the same density to rounding, the same names, and what is refused."""

import inspect
import math
import sys

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

from thalweg import supports
from thalweg.targets import check_target, from_function, from_numpyro

Y = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCALE = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def schools(y=None, scale=SCALE):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("J", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.deterministic("twice", 2 * theta)
        numpyro.sample("y", dist.Normal(theta, scale), obs=y)


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


def discrete(y):
    p = numpyro.sample("p", dist.Beta(1, 1))
    z = numpyro.sample("z", dist.Bernoulli(p))
    numpyro.sample("y", dist.Normal(z, 1), obs=y)


def with_param(y):
    numpyro.sample("y", dist.Normal(numpyro.param("m", 0.0), 1), obs=y)


def subsampled(y):
    mu = numpyro.sample("mu", dist.Normal())
    with numpyro.plate("rows", 8, subsample_size=2) as rows:
        numpyro.sample("y", dist.Normal(mu, 1), obs=y[rows])


def observed_only(y):
    numpyro.sample("y", dist.Normal(0, 1), obs=y)


def clash(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5).expand([7]))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def clash_in_the_middle(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5).expand([7]))
    numpyro.sample("y", dist.Normal(mu * y, 1), obs=y)


def random(y):
    mu = numpyro.sample("mu", dist.Normal())
    noise = jax.random.normal(numpyro.prng_key(), (8,))
    numpyro.sample("y", dist.Normal(mu + noise, 1), obs=y)


def point_mass(y):
    mu = numpyro.sample("mu", dist.Delta(2.0).expand([2]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal())
    numpyro.sample("y", dist.Normal(mu[0], s), obs=y)


def on_a_sphere(y):
    direction = numpyro.sample("direction", dist.ProjectedNormal(jnp.zeros(3)))
    numpyro.sample("y", dist.Normal(direction[0], 1), obs=y)


def without_numbers(y):
    slopes = numpyro.sample("slopes", dist.Normal().expand([0]))
    numpyro.sample("y", dist.Normal(jnp.sum(slopes), 1), obs=y)


def leaves(y):
    raise SystemExit(7)


class _Wordless(BaseException):
    def __str__(self):
        raise RuntimeError("no words")


def wordless(y):
    raise _Wordless


def line_of(model, text):
    lines, first = inspect.getsourcelines(model)
    return first + next(i for i, line in enumerate(lines) if text in line)


def broken(y):
    numpyro.sample("mu", dist.Normal())
    raise RuntimeError("no such file")


@pytest.mark.parametrize(
    ("model", "args", "says"),
    [
        (discrete, (1.0,), "site 'z' of the model 'discrete' is discrete"),
        (point_mass, (1.0,), "site 'mu' of the model 'point_mass' is a point mass (line "),
        (on_a_sphere, (1.0,), "spherical sample site 'direction'"),
        (without_numbers, (1.0,), "has no parameters: its sites are of size 0"),
        (random, (Y,), "the density of the model 'random' is random"),
        (leaves, (1.0,), "the model 'leaves' raised SystemExit: 7 (line "),
        (wordless, (1.0,), "the model 'wordless' raised _Wordless (line "),
        (
            handlers.substitute(schools, data={"mu": 1.0}),
            (Y,),
            "site 'mu' of the model 'schools' has been given a value by handlers.substitute",
        ),
        (with_param, (1.0,), "site 'm' of the model 'with_param' is a param"),
        (subsampled, (Y,), "plate 'rows' of the model 'subsampled' is subsampled"),
        (schools, (), "has no data: none of its sites (mu, tau, theta, y) is observed"),
        (observed_only, (1.0,), "has no parameters"),
        (broken, (1.0,), "the model 'broken' raised RuntimeError: no such file (line "),
        (schools, (Y, SCALE, 3), "the model 'schools' raised TypeError"),
    ],
)
def test_bad_models_are_refused_in_one_sentence(model, args, says):
    with pytest.raises(ValueError) as caught:
        from_numpyro(model, *args)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "text"), [(clash, "obs=y"), (clash_in_the_middle, "mu * y")], ids=["site", "formula"]
)
def test_a_shape_clash_is_told_with_the_line_of_the_model(model, text):
    with pytest.raises(ValueError) as caught:
        from_numpyro(model, Y)
    assert f"(line {line_of(model, text)} of test_from_numpyro.py)" in str(caught.value)
    assert "(8,)" in str(caught.value) and "(7,)" in str(caught.value)


def test_a_density_that_is_not_numpyros_is_refused(monkeypatch):
    """A map that is not NumPyro's, as an adapter's mistake would bring it."""
    adapter = sys.modules["thalweg.targets.frameworks.numpyro.from_numpyro"]
    found = adapter._of_ours

    def mistaken(constraint):
        right = found(constraint)
        return supports.interval(0, 1.5) if right == supports.unit_interval else right

    monkeypatch.setattr(adapter, "_of_ours", mistaken)

    def coin():
        p = numpyro.sample("group.p", dist.Beta(2, 2, validate_args=False))
        numpyro.sample("q", dist.Normal())
        numpyro.factor("data", -p)

    with pytest.raises(ValueError) as caught:
        from_numpyro(coin)
    said = str(caught.value)
    assert said.startswith("the density made of the model 'coin' is not NumPyro's own: at u = (")
    assert "nats, NumPyro has" in said and said.endswith("; site 'group.p' has another value there")


def test_a_value_that_does_not_arrive_is_noticed(monkeypatch):
    """A site that is drawn instead of given: what the trusted wrong posterior came from."""
    from numpyro.infer import util

    whole = util.log_density
    monkeypatch.setattr(
        util,
        "log_density",
        lambda model, args, kwargs, params: whole(
            model, args, kwargs, {k: v for k, v in params.items() if k != "tau"}
        ),
    )
    with pytest.raises(ValueError, match="is not NumPyro's own"):
        from_numpyro(schools, Y)


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


@pytest.mark.parametrize("thing", [3, None, "model"])
def test_other_objects_than_models_are_refused(thing):
    with pytest.raises(ValueError, match="a NumPyro model is a function, got "):
        from_numpyro(thing)


def test_a_model_that_is_taken_for_a_density_is_told_what_to_do():
    with pytest.raises(ValueError, match=r"by thalweg\.targets\.from_numpyro\(model, data\)$"):
        check_target(from_function(schools, 2), np.ones((4, 2)))


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

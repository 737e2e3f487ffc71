"""NumPyro models as targets: the same density to rounding, the same names, and what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import constrain_fn, potential_energy

from thalweg.targets import check_target, from_numpyro

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
def test_the_density_is_minus_the_potential_energy(model, args):
    target = from_numpyro(model, *args)
    for seed in range(5):
        u = jax.random.normal(jax.random.key(seed), (target.dim,))
        theirs = -potential_energy(model, args, {}, pieces(target, u))
        np.testing.assert_allclose(target.log_density(u), theirs, rtol=1e-12)


@pytest.mark.parametrize(("model", "args"), [(schools, (Y,)), (everything, ())])
def test_parameters_are_the_sites(model, args):
    target = from_numpyro(model, *args)
    u = jax.random.normal(jax.random.key(0), (target.dim,))
    ours, _ = target.parameters.constrain(u)
    theirs = constrain_fn(model, args, {}, pieces(target, u))
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


def broken(y):
    numpyro.sample("mu", dist.Normal())
    raise RuntimeError("no such file")


@pytest.mark.parametrize(
    ("model", "args", "says"),
    [
        (discrete, (1.0,), "site 'z' of the model 'discrete' is discrete"),
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

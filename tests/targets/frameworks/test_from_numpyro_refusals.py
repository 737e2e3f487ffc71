"""NumPyro models that are refused, each in one sentence."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from targets.frameworks.numpyro_models import SCALE, Y, schools

from thalweg import supports
from thalweg.targets import check_target, from_function, from_numpyro


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


@pytest.mark.parametrize("thing", [3, None, "model"])
def test_other_objects_than_models_are_refused(thing):
    with pytest.raises(ValueError, match="a NumPyro model is a function, got "):
        from_numpyro(thing)


def test_a_model_that_is_taken_for_a_density_is_told_what_to_do():
    with pytest.raises(ValueError, match=r"by thalweg\.targets\.from_numpyro\(model, data\)$"):
        check_target(from_function(schools, 2), np.ones((4, 2)))

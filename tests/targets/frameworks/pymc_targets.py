"""PyMC models with transforms of every kind, their targets, and PyMC's own densities."""

import math
import warnings

import numpy as np
from targets.frameworks.pymc_models import SCALE, Y, nothing, pm, pytensor, schools, transforms

from thalweg.targets import from_pymc

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

"""Flows whose fit to a target is known, their importance weights, and evidence on them."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from thalweg import flows
from thalweg.bijections import Chain, FixedAffine
from thalweg.diagnostics import Diagnostics, decide
from thalweg.diagnostics.components import Component
from thalweg.diagnostics.draws import draw
from thalweg.diagnostics.importance import corrected_mean, mean_shift, summarise
from thalweg.diagnostics.mixture_evidence import Own, mixture_evidence
from thalweg.distributions import Flow
from thalweg.targets.evaluator import Evaluator

N = 20_000


@functools.cache
def normal_at(place, scale=1.0):
    """A flow that is exactly N(place, scale² I) in two dimensions."""
    flow = flows.build("gaussian", jax.random.key(0), 2)
    whitening = FixedAffine(jnp.full(2, float(place)), scale * jnp.eye(2))
    return Flow(flow.base, Chain([flow.bijection, whitening]))


def stacked(*models):
    return jax.tree.map(
        lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *models
    )


def log_normal(x, place, scale=1.0):
    return jnp.sum(-0.5 * ((x - place) / scale) ** 2 - jnp.log(scale * jnp.sqrt(2 * jnp.pi)))


def one_mode(x):
    return log_normal(x, 0.0) + 3.0


def two_modes(x):
    """Two equal normals ten units apart."""
    return logsumexp(jnp.stack([log_normal(x, 0.0), log_normal(x, 7.0)])) - jnp.log(2.0)


def cauchy(x):
    return jnp.sum(-jnp.log1p(x**2) - jnp.log(jnp.pi))


@functools.cache
def drawn(target, scale=1.0):
    return draw(normal_at(0, scale), target, jax.random.key(1), N)


@functools.cache
def weighed(target, scale=1.0):
    """The numbers `decide` looks at, from draws of a normal around 0."""
    draws = drawn(target, scale)
    shift = mean_shift(draws.x, draws.log_weights)
    return Diagnostics(**summarise(draws.log_weights), draws=N, mean_shift=shift)


def verdict_on(numbers, coverage, census=None, **more):
    """`decide` with this evidence from elsewhere."""
    return decide(dataclasses.replace(numbers, coverage=coverage, census=census), **more)


def own_estimates(target, scale=1.0):
    """The estimates of that flow by its own draws."""
    draws, numbers = drawn(target, scale), weighed(target, scale)
    means = draws.x.mean(0), corrected_mean(draws.x, draws.log_weights)
    return Own(numbers["log_evidence"], numbers["log_evidence_se"], *means, draws.x.std(0))


@functools.cache
def elsewhere(target, place=0.0, scale=1.0, seed=2):
    """The evidence with draws also from around `place` and from a wide law."""
    places = [Component(np.zeros(2), 3 * np.eye(2), 4.0), Component(np.full(2, place), np.eye(2))]
    flow = stacked(normal_at(0, scale))
    return mixture_evidence(
        flow,
        Evaluator(target),
        places,
        jax.random.key(seed),
        own_estimates(target, scale),
        0,
        poor=False,
    )


GOOD = Diagnostics(
    elbo=-0.01,
    elbo_se=0.001,
    log_evidence=0.0,
    log_evidence_se=0.002,
    khat=0.1,
    beyond=0.02,
    ess_fraction=0.98,
    draws=32_768,
    mean_shift=0.01,
)

"""Densities of integers: bounds, their limit, and bits per dimension."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit
from jax.scipy.special import ndtr, ndtri
from scipy import integrate, stats

from thalweg.bijections import Chain, ElementwiseAffine, Logit
from thalweg.distributions import (
    Dequantised,
    DiagonalNormal,
    Distribution,
    Flow,
    StandardNormal,
    Uniform,
    bits_per_dimension,
)
from thalweg.flows.glow import dequantising_noise, image_map
from thalweg.serialization import load, save

KEY = jax.random.key(0)
LOC, SCALE, LEVELS = 0.45, 0.2, 8
NORMAL = DiagonalNormal(jnp.full(2, LOC), jnp.full(2, SCALE))


def exact(x, levels=LEVELS):
    """ln P of pairs of independent integers under the normal."""
    normal = stats.norm(LOC, SCALE)
    return np.log(normal.cdf((x + 1) / levels) - normal.cdf(x / levels)).sum(-1)


class TruncatedNormal(Distribution):
    """Noise that has the density of NORMAL within the cell: the bound is then tight."""

    levels: ClassVar[int] = LEVELS
    shape: tuple[int, ...] = (2,)
    context_shape: tuple[int, ...] | None = (2,)

    def _ends(self, context):
        x = (context + 1) / 2 * self.levels - 0.5
        return x, ndtr((x / self.levels - LOC) / SCALE), ndtr(((x + 1) / self.levels - LOC) / SCALE)

    def log_prob(self, x, context=None):
        cell, low, high = self._ends(context)
        own = stats.norm.logpdf((cell + x) / self.levels, LOC, SCALE) - np.log(self.levels)
        return jnp.asarray((own - np.log(high - low)).sum(-1))

    def sample(self, key, shape=(), context=None):
        cell, low, high = self._ends(context)
        p = low + (high - low) * jax.random.uniform(key, (*shape, 2))
        return self.levels * (LOC + SCALE * ndtri(p)) - cell


def test_uniform_pixels_have_8_bits():
    shape = (2, 2, 1)
    model = Dequantised(Uniform(jnp.zeros(shape), jnp.ones(shape)))
    x = jax.random.randint(KEY, (5, *shape), 0, 256)
    for log_prob in (model.log_prob_bound(KEY, x), model.log_prob_estimate(KEY, x, 3)):
        assert log_prob.shape == (5,)
        np.testing.assert_allclose(bits_per_dimension(log_prob, shape), 8, rtol=1e-12)


def test_bits_of_a_known_distribution():
    """The bits of one pixel of 2 values with probabilities 1/4 and 3/4."""
    bits = bits_per_dimension(jnp.log(jnp.array([0.25, 0.75])), (1,))
    np.testing.assert_allclose(bits, [2, 2 - np.log2(3)])
    np.testing.assert_allclose(bits_per_dimension(jnp.log(0.25), (1, 2, 1)), 1)


def test_the_bound_is_that_of_quadrature():
    """E ln p((x + u)/L) − D ln L over the cell, and below ln P(x)."""
    x = np.array([[3, 4], [0, 7], [6, 1]])
    model = Dequantised(NORMAL, LEVELS)
    found = model.log_weights(KEY, x, 20_000)
    log_p = stats.norm(LOC, SCALE).logpdf
    one = [integrate.quad(lambda u, k=k: log_p((k + u) / LEVELS), 0, 1)[0] for k in range(LEVELS)]
    bound = np.array(one)[x].sum(-1) - 2 * np.log(LEVELS)
    error = np.std(found, 0) / 20_000**0.5
    assert (np.abs(found.mean(0) - bound) < 4 * error).all()
    np.testing.assert_array_equal(model.log_prob_bound(KEY, x, 20_000), found.mean(0))
    assert (bound < exact(x) - 1e-3).all()


def test_many_draws_give_the_probability():
    x = np.stack(np.meshgrid(range(LEVELS), range(LEVELS)), -1)
    found = Dequantised(NORMAL, LEVELS).log_prob_estimate(KEY, x, 20_000)
    np.testing.assert_allclose(found, exact(x), atol=0.03)


def test_with_the_right_noise_the_bound_is_the_probability():
    x = np.array([[3, 4], [0, 7]])
    model = Dequantised(NORMAL, LEVELS, TruncatedNormal())
    np.testing.assert_allclose(model.log_weights(KEY, x, 5), np.tile(exact(x), (5, 1)), rtol=1e-9)


def test_draws_follow_the_probabilities():
    model = Dequantised(NORMAL, LEVELS)
    draws = np.asarray(model.sample(KEY, (4000,)))
    assert draws.min() >= 0 and draws.max() < LEVELS and draws.dtype == np.int32
    counts = np.bincount(draws[:, 0], minlength=LEVELS)
    normal = stats.norm(LOC, SCALE)
    edges = np.array([-np.inf, *np.arange(1, LEVELS) / LEVELS, np.inf])  # clipped into the ends
    assert stats.chisquare(counts, 4000 * np.diff(normal.cdf(edges))).pvalue > 1e-3


def variational():
    shape = (4, 4, 1)
    inner = jit(image_map)(KEY, shape, layers=2, hidden=(4,))
    flow = Flow(StandardNormal(shape), Chain([inner, Logit(shape)]))
    noise = jit(dequantising_noise)(KEY, shape, layers=2, hidden=(4,))
    return Dequantised(flow, 256, noise)


def test_variational_noise_depends_on_the_image_and_trains(tmp_path):
    model = variational()
    x = jax.random.randint(KEY, (6, 4, 4, 1), 0, 256)

    @jit
    @eqx.filter_grad
    def gradient(model, key):
        return jnp.mean(model.log_prob_bound(key, x, 2))

    # Fresh, the last layers of its networks are zero; a step away they are not.
    steps = jax.tree.map(lambda g: 0.05 * jnp.sign(g), gradient(model, KEY))
    model = eqx.apply_updates(model, steps)
    gradients = gradient(model, KEY)
    for part in (gradients.flow, gradients.noise):
        leaves = [g for g in jax.tree.leaves(part) if eqx.is_inexact_array(g)]
        assert all(np.isfinite(g).all() for g in leaves)
        assert sum(np.abs(g).max() > 0 for g in leaves) > len(leaves) / 2
    u = [
        model.noise.sample(KEY, (), image)
        for image in (-jnp.ones(x.shape[1:]), jnp.zeros((4, 4, 1)))
    ]
    assert np.abs(u[0] - u[1]).max() > 1e-4
    assert min(v.min() for v in u) > 0 and max(v.max() for v in u) < 1
    save(tmp_path / "m.safetensors", model)
    again = load(tmp_path / "m.safetensors")
    assert np.array_equal(again.log_prob_bound(KEY, x), model.log_prob_bound(KEY, x))


def test_float32_stays_within_the_cell():
    """No draw rounds to the next integer, where the logit of a pixel of 255 has no value."""
    shape = (4,)
    flow = Flow(StandardNormal(shape), Chain([ElementwiseAffine(shape), Logit(shape, 0.0)]))
    flow = jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_array(a) else a, flow)
    model = Dequantised(flow)
    for level in (0, 255):
        found = model.log_weights(KEY, jnp.full(shape, level), 100_000)
        assert found.dtype == jnp.float32 and np.isfinite(found).all()


def test_contexts_go_to_the_flow():
    flow = Flow(StandardNormal((2,)), ElementwiseAffine((2,), key=KEY, context_shape=(3,)))
    model = Dequantised(flow, 4)
    x, context = jnp.array([[0, 1], [2, 3]]), jax.random.normal(KEY, (2, 3))
    found = model.log_prob_bound(KEY, x, 2, context)
    assert found.shape == (2,)
    assert np.abs(found - model.log_prob_bound(KEY, x, 2, -context)).min() > 1e-6
    assert model.sample(KEY, (5, 2), context).shape == (5, 2, 2)


def test_refusals():
    with pytest.raises(ValueError, match="levels must be a whole number of at least 2, got 1"):
        Dequantised(NORMAL, 1)
    with pytest.raises(ValueError, match=r"noise must have the shape \(2,\)"):
        Dequantised(NORMAL, 4, StandardNormal((3,)))
    with pytest.raises(ValueError, match="draws must be a whole number of at least 1"):
        Dequantised(NORMAL, 4).log_prob_bound(KEY, jnp.zeros(2), 0)
    with pytest.raises(ValueError, match="x must end in shape"):
        Dequantised(NORMAL, 4).log_prob_bound(KEY, jnp.zeros(3))

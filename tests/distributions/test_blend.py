"""Blends: the formula, draws from the right part, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thalweg import flows
from thalweg.distributions import Blend, DiagonalNormal, FullNormal, StandardNormal
from thalweg.serialization import load, save

NARROW = DiagonalNormal(jnp.array([3.0, -1.0]), jnp.array([0.1, 0.2]))
WIDE = FullNormal(jnp.zeros(2), jnp.array([[2.0, 0.0], [1.0, 1.0]]))
BLEND = Blend([NARROW, WIDE], jnp.array([1.0, 3.0]))


def known(x):
    narrow = stats.multivariate_normal([3, -1], np.diag([0.01, 0.04])).pdf(x)
    return 0.25 * narrow + 0.75 * stats.multivariate_normal([0, 0], [[4, 2], [2, 2]]).pdf(x)


def test_a_blend_is_the_weighted_mean_of_densities():
    x = 2 * np.random.default_rng(0).normal(size=(5, 7, 2))
    np.testing.assert_allclose(np.exp(BLEND.log_prob(jnp.asarray(x))), known(x), rtol=1e-10)
    assert BLEND.log_prob(jnp.zeros(2)).shape == ()


def test_draws_come_from_the_parts_as_often_as_weighed():
    drawn = np.asarray(BLEND.sample(jax.random.key(0), (40_000,)))
    assert drawn.shape == (40_000, 2)
    np.testing.assert_allclose(drawn.mean(0), [0.75, -0.25], atol=0.04)
    near = np.abs(drawn - [3, -1]).max(1) < 0.5
    wide = stats.multivariate_normal([0, 0], [[4, 2], [2, 2]])
    corners = [wide.cdf([a, b]) for a, b in [(3.5, -0.5), (2.5, -0.5), (3.5, -1.5), (2.5, -1.5)]]
    inside = corners[0] - corners[1] - corners[2] + corners[3]
    narrow = stats.norm.cdf([5, 2.5]) * 2 - 1
    assert near.mean() == pytest.approx(0.25 * narrow.prod() + 0.75 * inside, abs=0.01)


def test_parts_may_have_a_context_or_none():
    made = flows.build("real_nvp", jax.random.key(0), 2, 3, layers=2, hidden=(8,))
    blend = Blend([made, StandardNormal((2,))], jnp.ones(2))
    context = jnp.arange(12.0).reshape(4, 3)
    drawn = blend.sample(jax.random.key(1), (), context)
    assert drawn.shape == (4, 2)
    two = made.log_prob(drawn, context), StandardNormal((2,)).log_prob(drawn)
    expected = np.log(0.5 * np.exp(two[0]) + 0.5 * np.exp(two[1]))
    np.testing.assert_allclose(blend.log_prob(drawn, context), expected, rtol=1e-10)


def test_a_blend_is_saved_and_loaded_to_the_bit(tmp_path):
    save(tmp_path / "blend.safetensors", BLEND)
    x = jnp.ones((3, 2))
    again = load(tmp_path / "blend.safetensors")
    np.testing.assert_array_equal(again.log_prob(x), BLEND.log_prob(x))


@pytest.mark.parametrize(
    ("parts", "weights", "words"),
    [
        ([NARROW, StandardNormal((3,))], [1.0, 1.0], "the same events"),
        ([], [], "the same events"),
        ([NARROW, WIDE], [1.0], "2 densities need as many positive weights"),
        ([NARROW, WIDE], [1.0, 0.0], "2 densities need as many positive weights"),
        ([NARROW, WIDE], [1.0, np.nan], "2 densities need as many positive weights"),
    ],
)
def test_what_cannot_be_blended_is_refused(parts, weights, words):
    with pytest.raises(ValueError, match=words):
        Blend(parts, jnp.array(weights))

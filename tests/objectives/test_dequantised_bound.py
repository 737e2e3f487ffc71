"""The bound that flows of integers learn by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.distributions import Dequantised, DiagonalNormal, Uniform
from thalweg.objectives import DequantisedBound
from thalweg.training import train
from thalweg.tree import pick, stack_of_one

KEY = jax.random.key(0)


def test_uniform_levels_cost_their_logarithm():
    model = Dequantised(Uniform(jnp.zeros(3), jnp.ones(3)), 16)
    rows = jax.random.randint(KEY, (40, 3), 0, 16)
    objective = DequantisedBound(rows, 8, held_out=rows[:7])
    estimate = objective(model, KEY, jnp.asarray(0))
    np.testing.assert_allclose(estimate.value, 3 * np.log(16), rtol=1e-12)
    held = objective.held_out(model, KEY)
    assert held.shape == (7,)
    np.testing.assert_allclose(held, 3 * np.log(16), rtol=1e-12)
    assert DequantisedBound(rows).held_out(model, KEY) is None


def test_a_normal_learns_where_bytes_lie():
    """Noise that fills cells adds 1/12 to the variance of the integers."""
    rows = np.random.default_rng(0).integers(96, 160, size=(4000, 1)).astype(np.uint8)
    model = Dequantised(DiagonalNormal(jnp.full(1, 0.3), jnp.full(1, 0.3)), 256)
    trained = train(
        stack_of_one(model),
        DequantisedBound(jnp.asarray(rows), 200),
        KEY,
        steps=800,
        learning_rate=0.02,
    )
    flow = pick(0, trained.models).flow
    np.testing.assert_allclose(flow.loc, 0.5, atol=0.01)
    np.testing.assert_allclose(jnp.exp(flow.log_scale), 64 / 256 / 12**0.5, rtol=0.05)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [(jnp.zeros((0, 2), int), {}, "no rows"), (jnp.zeros((3, 2), int), {"batch_size": 0}, "got 0")],
)
def test_bad_arguments_are_refused(rows, options, words):
    with pytest.raises(ValueError, match=words):
        DequantisedBound(rows, **options)

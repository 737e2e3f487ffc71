"""Glow as a recipe: levels, images as vectors, what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit, randomised

from thalweg import flows
from thalweg.bijections import Repeat
from thalweg.flows.glow import image_map

KEY = jax.random.key(0)


def scales(shape, **options):
    """The event shapes that the steps of each level work on, the shallowest first."""
    traced = eqx.filter_eval_shape(image_map, KEY, shape, layers=2, hidden=(4,), **options)
    is_stack = lambda node: isinstance(node, Repeat)  # noqa: E731
    stacks = [n for n in jax.tree.leaves(traced, is_leaf=is_stack) if is_stack(n)]
    return sorted((s.shape for s in stacks), reverse=True)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((32, 32, 3), [(16, 16, 12), (8, 8, 24), (4, 4, 48)]),
        ((28, 28, 1), [(14, 14, 4), (7, 7, 8)]),
        ((64, 64, 3), [(32, 32, 12), (16, 16, 24), (8, 8, 48)]),
        ((8, 8, 1), [(4, 4, 4)]),
        ((2, 2, 1), [(1, 1, 4)]),
        ((2, 3, 2), [(2, 3, 2)]),
        ((1, 1, 5), [(1, 1, 5)]),
    ],
)
def test_levels_by_default(shape, expected):
    assert scales(shape) == expected


def test_levels_can_be_chosen():
    assert scales((8, 8, 1), levels=0) == [(8, 8, 1)]
    assert scales((8, 8, 1), levels=3) == [(4, 4, 4), (2, 2, 8), (1, 1, 16)]


def test_an_image_as_a_vector():
    """The recipe's flow is that of the image map, row by row."""
    options = {"layers": 2, "hidden": (4,)}
    flow = jit(flows.build)("glow", KEY, 16, image_shape=(4, 4, 1), **options)
    flow = randomised(flow, KEY, 0.3)
    image = flow.bijection.bijection
    assert image.shape == (4, 4, 1)
    x = jax.random.normal(KEY, (3, 16))

    @jit
    def both(flow, x):
        z, log_det = jax.vmap(image.inverse_and_log_det)(x.reshape(3, 4, 4, 1))
        by_hand = flow.base.log_prob(z.reshape(3, 16)) + log_det
        return flow.log_prob(x), by_hand, jax.jacfwd(flow.bijection.forward)(jnp.zeros(16))

    log_prob, by_hand, jacobian = both(flow, x)
    np.testing.assert_allclose(log_prob, by_hand, rtol=1e-12)
    # A pixel moves with its neighbours.
    assert (np.abs(jacobian) > 0).mean() > 0.5


@pytest.mark.parametrize(
    ("dim", "options", "message"),
    [
        (5, {"image_shape": (2, 2, 1)}, r"h·w·c = 5, got \(2, 2, 1\)"),
        (4, {"image_shape": (2, 2)}, r"must be \(h, w, c\)"),
        (4, {"image_shape": (2, 2, 1), "levels": 2}, r"has 0 to 1 levels, got 2"),
        (6, {"image_shape": (2, 3, 1), "levels": 1}, r"has 0 to 0 levels, got 1"),
        (4, {"levels": -1}, "levels must be a whole number of at least 0, got -1"),
    ],
)
def test_refusals(dim, options, message):
    with pytest.raises(ValueError, match=message):
        flows.build("glow", KEY, dim, **options)

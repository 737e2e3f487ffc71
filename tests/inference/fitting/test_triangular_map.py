"""Triangular maps on the host are the bijection of JAX: draws, densities, scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.triangular_maps import some_map

from thalweg.distributions import Flow, StandardNormal
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.triangular_map import (
    TriangularMap,
    product,
    product_of_rows,
)
from thalweg.precision import computing_in


@pytest.fixture(params=[1, 2, 5])
def both(request):
    """A map and the flow that it is, in float64."""
    with computing_in("float64"):
        made = some_map(request.param)
        frame = Flow(StandardNormal((request.param,)), made.frame.as_bijection())
        yield made, made.as_flow(frame)


def test_draws_have_the_density_of_the_flow(both):
    made, flow = both
    x, log_q = made.draw(np.random.default_rng(1), 50)
    np.testing.assert_allclose(made.log_prob(x), log_q, atol=1e-9)
    np.testing.assert_allclose(flow.log_prob(jnp.asarray(x)), log_q, atol=1e-9)


def test_the_score_is_the_gradient_of_the_density(both):
    made, _ = both
    flat = Gaussian(np.zeros(made.frame.loc.size), np.eye(made.frame.loc.size))
    frame = Flow(StandardNormal((flat.loc.size,)), flat.as_bijection())
    flow = TriangularMap(flat, made.coefficients).as_flow(frame)
    z = np.random.default_rng(2).normal(size=(20, flat.loc.size))
    y, _ = made.coefficients.push(z)
    slopes = jax.vmap(jax.grad(flow.log_prob))(jnp.asarray(y))
    np.testing.assert_allclose(made.coefficients.score(z), slopes, atol=1e-8)


def test_points_of_nowhere_have_no_density():
    made = some_map(2)
    x = np.array([[np.nan, 0.0], [np.inf, 1.0], [1e200, 0.0]])
    assert np.all(made.log_prob(x) == -np.inf)


def test_products_in_blocks_are_products():
    rng = np.random.default_rng(0)
    for rows, inner, columns in ((2048, 45, 8), (7, 3, 2), (512, 500, 300), (1, 1, 1)):
        a, b = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
        np.testing.assert_allclose(product(a, b), a @ b, atol=1e-10)
        c = rng.normal(size=(rows, columns))
        np.testing.assert_allclose(product_of_rows(a, c), a.T @ c, atol=1e-10)

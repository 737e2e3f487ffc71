"""Shapes and kinds of numbers as JAX takes them: n for (n,), whole numbers as points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import flows
from thalweg.bijections import FixedAffine
from thalweg.distributions import (
    Blend,
    DiagonalNormal,
    Ensemble,
    Flow,
    FullNormal,
    GaussianMixture,
    LinearShift,
    StandardNormal,
    StudentT,
    Uniform,
)

KEY = jax.random.key(0)
FULL = FullNormal(jnp.zeros(2), jnp.eye(2))
ALL = {
    "flow": flows.build("mean_field", KEY, 2),
    "standard": StandardNormal((2,)),
    "diagonal": DiagonalNormal(jnp.zeros(2), jnp.ones(2)),
    "full": FULL,
    "t": StudentT(4.0, 2),
    "uniform": Uniform(-2 * jnp.ones(2), 2 * jnp.ones(2)),
    "mixture": GaussianMixture(jnp.ones(2) / 2, jnp.zeros((2, 2)), jnp.ones((2, 2))),
    "blend": Blend([FULL, StudentT(4.0, 2)], jnp.ones(2)),
    "ensemble": Ensemble.create(lambda k: flows.build("mean_field", k, 2), KEY, 2),
}


@pytest.mark.parametrize("density", ALL.values(), ids=ALL)
@pytest.mark.few(6)
def test_t_the_shape_of_draws_may_be_a_number(density):
    drawn = density.sample(KEY, 10)
    assert drawn.shape == (10, 2)
    np.testing.assert_array_equal(drawn, density.sample(KEY, (10,)))
    assert density.sample_and_log_prob(KEY, 3)[1].shape == (3,)
    for shape in (-1, 2.5, "10", None, (3, -1), True):
        with pytest.raises(ValueError, match="the shape of draws must be n or a tuple"):
            density.sample(KEY, shape)


def test_t_a_number_of_numpy_is_drawn_or_refused_in_a_sentence():
    """Where a whole program is compiled it is a value that is not known."""
    with pytest.raises(ValueError, match=r"int\(n\) makes one"):
        ALL["flow"].sample(KEY, np.int64(10))
    assert ALL["full"].sample(KEY, np.int64(10)).shape == (10, 2)


@pytest.mark.parametrize("density", ALL.values(), ids=ALL)
@pytest.mark.few(6)
def test_t_points_may_be_whole_numbers(density):
    points = np.array([[0, 1], [1, -1]])
    np.testing.assert_array_equal(
        density.log_prob(jnp.asarray(points)), density.log_prob(jnp.asarray(points, float))
    )


def test_a_plane_moves_a_density(rng):
    slopes = np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])
    moved = LinearShift(FULL, jnp.asarray(slopes))
    x, c = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(moved.log_prob(x, c), FULL.log_prob(x - c @ slopes.T))
    drawn = moved.sample(KEY, (5,), c)
    np.testing.assert_allclose(drawn, FULL.sample(KEY, (5,)) + c @ slopes.T)
    assert moved.sample(KEY, 4, c[0]).shape == (4, 2)
    with pytest.raises(ValueError, match="without a context"):
        LinearShift(moved, jnp.asarray(slopes))


def test_a_flow_followed_by_a_map_is_its_push_forward(rng):
    shift = FixedAffine(jnp.array([1.0, 2.0]), jnp.diag(jnp.array([2.0, 4.0])))
    flow = Flow(FULL, shift)
    followed, x = flow.then(shift), rng.normal(size=(5, 2))
    np.testing.assert_allclose(followed.sample(KEY, 3), shift_twice(FULL.sample(KEY, 3)))
    inner = (x - np.array([1.0, 2.0])) / np.array([2.0, 4.0])
    np.testing.assert_allclose(followed.log_prob(x), flow.log_prob(inner) - np.log(8.0))
    with pytest.raises(ValueError, match="shape"):
        flow.then(FixedAffine(jnp.zeros(3), jnp.eye(3)))


def shift_twice(z):
    loc, scale = np.array([1.0, 2.0]), np.array([2.0, 4.0])
    return loc + scale * (loc + scale * z)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(3, 2), (2,)])
def test_slopes_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="slopes must be of shape"):
        LinearShift(FULL, jnp.ones(shape))

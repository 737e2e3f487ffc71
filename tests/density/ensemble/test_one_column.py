"""Splines of one column, without a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thalweg import DensityEstimator
from thalweg.bijections import ElementwiseTransform
from thalweg.bijections.transformers import RationalQuadratic
from thalweg.density.ensemble.held_out import FLOWS

SHAPES = {
    "normal": stats.norm(3.0, 2.0),
    "heavy": stats.t(2),
    "bounded": stats.beta(0.8, 2.0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_one_column_comes_near_its_entropy(name):
    known = SHAPES[name]
    x, fresh = (known.rvs(size=(n, 1), random_state=n) for n in (1000, 20_000))
    fitted = DensityEstimator(random_state=0).fit(x)
    assert -fitted.score(fresh) < -known.logpdf(fresh).mean() + {"bounded": 0.06}.get(name, 0.03)
    assert fitted.members_ == 4
    assert fitted.flow_options_ == {"layers": 1, "bins": 16}
    grid = np.linspace(*known.ppf([1e-4, 1 - 1e-4]), 20_001)[:, None]
    mass = np.trapezoid(np.exp(fitted.score_samples(grid)), grid[:, 0])
    assert mass == pytest.approx(1.0, abs=0.02)


def test_a_flow_that_is_asked_for_is_fitted():
    x = SHAPES["normal"].rvs(size=(100, 1), random_state=0)
    fitted = DensityEstimator(steps=2, layers=1, hidden=(4,), random_state=0).fit(x)
    assert fitted.n_steps_ == 2
    assert fitted.flow_options_["layers"] == 1


def test_a_column_with_equal_quartiles_has_a_spline_too(rng):
    x = np.where(
        rng.random((400, 1)) < 0.8, 1e-3 * rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    )
    assert FLOWS in DensityEstimator(random_state=0).fit(x).weights_


def test_the_transform_of_a_coordinate_has_its_own_parameters(rng):
    transform = ElementwiseTransform(3, RationalQuadratic(4))
    theta = jnp.asarray(rng.normal(size=(11, 3)))
    z = jnp.asarray(rng.normal(size=3))
    x, log_det = transform.transform(theta, z)
    each = [transform.transformer.forward_and_log_det(theta[:, i], z[i]) for i in range(3)]
    np.testing.assert_allclose(x, [one for one, _ in each])
    np.testing.assert_allclose(log_det, sum(slope for _, slope in each))
    many = jnp.asarray(rng.normal(size=(3, 7)))
    columns = jax.vmap(lambda one: transform.transform(theta, one)[0], 1, 1)(many)
    np.testing.assert_allclose(transform.transform(theta, many)[0], columns)

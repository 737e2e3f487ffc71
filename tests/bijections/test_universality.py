"""Normal draws become draws of any density: Kolmogorov-Smirnov on what comes out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thalweg.bijections import EmpiricalInverseCDF, GaussianConditionals, Rosenblatt
from thalweg.distributions import Flow, StandardNormal

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[-3.0, 0.0], [2.0, 2.0], [3.0, -2.0]])
FACTORS = np.array([[[0.6, 0], [0.4, 0.3]], [[1.0, 0], [-0.8, 0.5]], [[0.3, 0], [0, 1.5]]])


def push(bijection, rows=20_000):
    z = jax.random.normal(jax.random.key(0), (rows, *bijection.shape))
    return np.asarray(eqx.filter_jit(lambda b, v: jax.vmap(b.forward)(v))(bijection, z))


def mixture_pdf(points):
    pairs = zip(MEANS, FACTORS, strict=True)
    each = [stats.multivariate_normal(m, f @ f.T).pdf(points) for m, f in pairs]
    return WEIGHTS @ np.array(each)


def test_rosenblatt_has_the_joint_density_of_its_conditionals():
    flow = Flow(StandardNormal((2,)), Rosenblatt(GaussianConditionals(WEIGHTS, MEANS, FACTORS)))
    x = push(flow.bijection)
    for i in range(2):
        scales = np.sqrt((FACTORS**2).sum(-1)[:, i])

        def cdf(t, i=i, scales=scales):
            return stats.norm.cdf((t[:, None] - MEANS[:, i]) / scales) @ WEIGHTS

        assert stats.kstest(x[:, i], cdf).pvalue > 1e-3
    np.testing.assert_allclose(flow.log_prob(x[:50]), np.log(mixture_pdf(x[:50])), atol=1e-8)


def test_no_tail_is_rounded_away():
    """Beyond eight standard deviations a probability counted from below is 1."""
    normal = GaussianConditionals(np.ones(1), np.full((1, 1), 5.0), np.full((1, 1, 1), 2.0))
    bijection = Rosenblatt(normal)
    z = jnp.array([[-30.0], [-9.0], [9.0], [30.0]])
    x = jax.vmap(bijection.forward)(z)
    np.testing.assert_allclose(x, 5 + 2 * z, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(bijection.inverse)(x), z, rtol=1e-12)


def test_an_empirical_map_draws_its_marginals():
    rng = np.random.default_rng(1)
    sample = np.stack([rng.gamma(3.0, size=40_000), rng.standard_t(4, size=40_000)], 1)
    x = push(EmpiricalInverseCDF(sample, knots=512))
    for i, law in enumerate((stats.gamma(3.0), stats.t(4))):
        assert stats.kstest(x[:, i], law.cdf).statistic < 0.015


@pytest.mark.parametrize(
    ("sample", "knots", "says"),
    [
        (np.zeros((1, 2)), 8, "two rows"),
        (np.zeros(5), 8, "two rows"),
        (np.array([[0.0], [np.nan]]), 2, "not finite"),
        (np.repeat([[1.0], [2.0]], 10, 0), 8, "column 0 of the sample has equal quantiles"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_samples_are_refused(sample, knots, says):
    with pytest.raises(ValueError, match=says):
        EmpiricalInverseCDF(sample, knots)


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_mixtures_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        GaussianConditionals([1.0], [[0.0, 0.0]], [[[1.0]]])
    with pytest.raises(ValueError, match="positive"):
        GaussianConditionals([1.0], [[0.0]], [[[-1.0]]])

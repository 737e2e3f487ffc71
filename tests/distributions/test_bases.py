"""Base densities against SciPy, and their draws and gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from thalweg.distributions import (
    DiagonalNormal,
    FullNormal,
    GaussianMixture,
    StandardNormal,
    StudentT,
    Uniform,
)

KEY = jax.random.key(0)
LOC = np.array([1.0, -2.0])
SCALE = np.array([0.5, 3.0])
FACTOR = np.array([[2.0, 0.0], [-1.0, 0.5]])
WEIGHTS = np.array([0.2, 0.5, 0.3])
LOCS = np.array([[0.0, 0.0], [3.0, 1.0], [-4.0, 2.0]])
FACTORS = np.stack([FACTOR, np.eye(2), np.diag(SCALE)])
DF = np.array([1.5, 7.0])


def _mixture(x):
    parts = [
        stats.multivariate_normal(m, f @ f.T).pdf(x) for m, f in zip(LOCS, FACTORS, strict=True)
    ]
    return np.log(WEIGHTS @ np.array(parts))


CASES = {
    "standard": (StandardNormal((2,)), lambda x: stats.norm.logpdf(x).sum(-1)),
    "diagonal": (DiagonalNormal(LOC, SCALE), lambda x: stats.norm(LOC, SCALE).logpdf(x).sum(-1)),
    "full": (
        FullNormal(LOC, FACTOR),
        lambda x: stats.multivariate_normal(LOC, FACTOR @ FACTOR.T).logpdf(x),
    ),
    "student_t": (StudentT(DF), lambda x: stats.t(DF).logpdf(x).sum(-1)),
    "uniform": (
        Uniform([-1.0, 2.0], [3.0, 4.0]),
        lambda x: stats.uniform([-1, 2], [4, 2]).logpdf(x).sum(-1),
    ),
    "mixture": (GaussianMixture(WEIGHTS, LOCS, FACTORS), _mixture),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.few(3)
def test_density_is_scipys(name):
    base, reference = CASES[name]
    x = np.random.default_rng(0).normal(size=(50, 2)) * 3 + [0.0, 2.0]
    np.testing.assert_allclose(base.log_prob(jnp.asarray(x)), reference(x), rtol=1e-10, atol=1e-10)
    assert base.log_prob(jnp.asarray(x.reshape(5, 10, 2))).shape == (5, 10)
    assert base.log_prob(jnp.asarray(x[0])).shape == ()
    assert base.log_prob(jnp.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("name", CASES)
def test_density_integrates_to_one(name):
    base, _ = CASES[name]
    if name == "student_t":  # heavy tails: by the coordinate, over the whole line
        for df in DF:
            one = StudentT(df, dim=1)
            density = lambda x, one=one: float(np.exp(one.log_prob(jnp.array([x]))))  # noqa: E731
            mass, _ = integrate.quad(density, -np.inf, np.inf, epsabs=1e-6, limit=100)
            assert mass == pytest.approx(1, abs=1e-4)
        return
    side = np.linspace(-20, 20, 1600, endpoint=False) + 0.0125
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1)
    mass = np.exp(base.log_prob(jnp.asarray(grid))).sum() * 0.025**2
    assert mass == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.few(3)
def test_draws_follow_the_density(name):
    base, _ = CASES[name]
    draws = np.asarray(base.sample(KEY, (20_000,)))
    marginals = {
        "standard": [stats.norm().cdf] * 2,
        "diagonal": [stats.norm(m, s).cdf for m, s in zip(LOC, SCALE, strict=True)],
        "full": [stats.norm(m, s).cdf for m, s in zip(LOC, [2.0, 1.25**0.5], strict=True)],
        "student_t": [stats.t(df).cdf for df in DF],
        "uniform": [stats.uniform(-1, 4).cdf, stats.uniform(2, 2).cdf],
        "mixture": [
            lambda v, i=i: sum(
                w * stats.norm(m[i], np.linalg.norm(f[i])).cdf(v)
                for w, m, f in zip(WEIGHTS, LOCS, FACTORS, strict=True)
            )
            for i in range(2)
        ],
    }[name]
    for i, cdf in enumerate(marginals):
        assert stats.kstest(draws[:, i], cdf).pvalue > 1e-4
    if name == "full":
        np.testing.assert_allclose(np.cov(draws.T), FACTOR @ FACTOR.T, atol=0.15)
    for shape in ((), (3,), (2, 3), (0,)):
        x, log_q = base.sample_and_log_prob(KEY, shape)
        assert x.shape == (*shape, 2) and log_q.shape == shape


@pytest.mark.slow
def test_student_t_differentiates_through_df():
    """E|x| = 2√ν Γ((ν+1)/2) / (√π (ν−1) Γ(ν/2)): its slope in ln(ν−1) from draws alone."""
    n, df = 400_000, 6.0
    start_base = StudentT(df, dim=1)

    def mean_size(log_excess):
        base = jax.tree.map(lambda _: log_excess * jnp.ones(1), start_base)
        return jnp.mean(jnp.abs(base.sample(KEY, (n,))))

    def exact(log_excess):
        nu = 1 + jnp.exp(log_excess)
        ratio = jax.scipy.special.gammaln((nu + 1) / 2) - jax.scipy.special.gammaln(nu / 2)
        return 2 * jnp.sqrt(nu / jnp.pi) / (nu - 1) * jnp.exp(ratio)

    start = jnp.log(df - 1)
    slope = jax.jit(jax.grad(mean_size))(start)
    assert slope == pytest.approx(float(jax.grad(exact)(start)), rel=0.05)
    assert abs(slope) > 0.01
    # The density's own gradient, against differences of SciPy's.
    x = jnp.array([0.3, -4.0])
    by_df = jax.grad(lambda base: base.log_prob(x))(StudentT(DF)).log_excess
    h = 1e-6
    for i in range(2):
        up, down = (stats.t(1 + (DF[i] - 1) * np.exp(s)).logpdf(x[i]) for s in (h, -h))
        assert by_df[i] == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_mixture_forms():
    """Scalar and diagonal factors are short for full ones; weights are normalised."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(20, 2)))
    full = GaussianMixture(WEIGHTS, LOCS, np.stack([np.eye(2) * 0.7] * 3))
    for factors in (0.7, 0.7 * np.ones((3, 2))):
        short = GaussianMixture(4 * WEIGHTS, LOCS, factors)
        np.testing.assert_allclose(short.log_prob(x), full.log_prob(x), rtol=1e-12)
    np.testing.assert_allclose(full.weights, WEIGHTS, rtol=1e-12)


def test_parameters_survive_construction():
    np.testing.assert_allclose(StudentT(DF).df, DF, rtol=1e-12)
    np.testing.assert_allclose(CASES["mixture"][0].factors, FACTORS, rtol=1e-12)
    np.testing.assert_allclose(jnp.exp(CASES["diagonal"][0].log_scale), SCALE, rtol=1e-12)


def test_events_of_any_shape():
    base = StandardNormal((2, 3))
    x, log_q = base.sample_and_log_prob(KEY, (4,))
    assert x.shape == (4, 2, 3)
    np.testing.assert_allclose(log_q, stats.norm.logpdf(x).sum((1, 2)), rtol=1e-12)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FullNormal(jnp.zeros(2), jnp.eye(3)), r"got \(2,\), \(3, 3\)"),
        (lambda: StudentT(1.0, dim=2), "df > 1"),
        (lambda: StudentT(3.0), "vector of df"),
        (lambda: Uniform([0.0, 1.0], [1.0, 1.0]), "low < high"),
        (lambda: GaussianMixture(WEIGHTS, LOCS[:2], 1.0), r"got \(3,\), \(2, 2\)"),
        (lambda: GaussianMixture([-0.5, 1.0, 0.5], LOCS, 1.0), "positive"),
        (lambda: StandardNormal((2,)).log_prob(jnp.zeros(3)), r"must end in shape \(2,\)"),
        (lambda: StandardNormal((2,)).log_prob(jnp.zeros(())), r"must end in shape \(2,\)"),
        (
            lambda: StandardNormal((2,)).expectation(jnp.sum, KEY, 1),
            "n must be a whole number",
        ),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_choice_is_the_part_of_a_mixture_that_draws_do_not_show():
    mixture = GaussianMixture(WEIGHTS, LOCS, FACTORS)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(7, 2)))
    np.testing.assert_allclose(mixture.log_prob_of_choice(x), mixture.log_prob(x), rtol=1e-12)

    def summed(method):
        return eqx.filter_grad(lambda m: jnp.sum(getattr(m, method)(x)))(mixture)

    choice, whole = summed("log_prob_of_choice"), summed("log_prob")
    np.testing.assert_allclose(choice.logits, whole.logits, rtol=1e-10)
    assert np.any(choice.logits)
    for leaf in (choice.locs, choice.below, choice.log_diagonals):
        assert not np.any(leaf)


def test_draws_of_a_normal_reach_all_its_parameters():
    normal = DiagonalNormal(np.zeros(2), np.ones(2))
    assert not np.any(normal.log_prob_of_choice(jnp.ones((3, 2))))

"""Densities in the units of their columns: normals, whole numbers, contexts, members."""

import pickle

import numpy as np
import pytest
from scipy import integrate, stats

import thalweg as tw
from thalweg import DensityEstimator

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def normal():
    """A correlated normal in two columns of very different units."""
    factor = np.array([[1e3, 0.0], [0.02, 0.01]])
    rng = np.random.default_rng(0)
    x = np.array([1e6, -0.5]) + rng.normal(size=(4000, 2)) @ factor.T

    def known(rows):
        z = np.linalg.solve(factor, (rows - [1e6, -0.5]).T).T
        return stats.norm.logpdf(z).sum(1) - np.log(np.diagonal(factor)).sum()

    fitted = DensityEstimator(flow="gaussian", members=2, steps=300, random_state=0).fit(x)
    return fitted, x, known


def test_a_normal_is_found_in_its_units(normal):
    fitted, x, known = normal
    assert abs(known(x).mean() - fitted.score(x)) < 0.01
    assert fitted.train_nll_ == pytest.approx(-known(x[fitted.learned_rows_]).mean(), abs=0.01)
    drawn = fitted.sample(20_000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), [1e6, -0.5], rtol=2e-3)
    np.testing.assert_allclose(np.corrcoef(drawn.T)[0, 1], 0.02 / 0.0005**0.5, atol=0.01)


def test_files_and_pickles_give_the_same_numbers(normal, tmp_path):
    fitted, x, _ = normal
    fitted.save(tmp_path / "folder")
    tw.save(tmp_path / "again", fitted)
    for other in (
        tw.load(tmp_path / "folder"),
        tw.load(tmp_path / "again"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        np.testing.assert_array_equal(other.score_samples(x[:50]), fitted.score_samples(x[:50]))
        np.testing.assert_array_equal(
            other.sample(5, random_state=0), fitted.sample(5, random_state=0)
        )
        assert other.get_params() == fitted.get_params()
        assert other.train_nll_ == fitted.train_nll_


@pytest.mark.parametrize(
    ("column", "options", "low", "high"),
    [
        (RNG.normal(50, 10, 400), {}, -50, 150),
        (RNG.gamma(2.0, 100.0, 400), {"marginals": "positive"}, 0, 1e5),
        (RNG.beta(2, 1, 400) * 7 - 2, {"marginals": ("interval", -2, 5)}, -2, 5),
        (RNG.standard_t(2, 400), {"marginals": "heavy"}, -1e5, 1e5),
        (RNG.normal(size=400) + 8 * RNG.integers(2, size=400), {"whiten": False}, -30, 40),
    ],
    ids=["identity", "positive", "interval", "heavy", "plain"],
)
@pytest.mark.few(1)
def test_densities_integrate_to_one_in_the_units_of_the_column(column, options, low, high):
    fitted = DensityEstimator(
        "neural_spline_autoregressive",
        layers=2,
        hidden=(8,),
        steps=100,
        members=1,
        noise=0.05,
        random_state=0,
        **options,
    ).fit(column[:, None])
    # Points that lie close where the mass is, and ever wider apart in the tails.
    far = np.median(column) + np.sinh(np.linspace(-16, 16, 4001)) * column.std() / 50
    near = np.linspace(column.min(), column.max(), 20_001)
    grid = np.unique(np.clip(np.concatenate([[low, high], far, near]), low, high))
    values = np.exp(fitted.score_samples(grid[:, None]))
    assert integrate.trapezoid(values, grid) == pytest.approx(1.0, abs=0.01)


def test_probabilities_of_whole_numbers_sum_to_one(rng):
    counts = rng.poisson(4.0, size=(1000, 1)).astype(float)
    options = {"layers": 2, "hidden": (16,), "steps": 300, "members": 1, "noise": 0.05}
    fitted = DensityEstimator(random_state=0, **options).fit(counts)
    assert fitted.discrete_columns_ == ["x0"]
    cells = np.arange(-20.0, 60.0)[:, None]
    total = np.exp(fitted.score_samples(cells)).sum()
    assert 0.9 < total < 1.001  # each a bound from below
    known = -stats.poisson(4.0).logpmf(counts[:, 0]).mean()
    assert fitted.train_nll_ == pytest.approx(known, abs=0.06)
    drawn = fitted.sample(500, random_state=0)
    np.testing.assert_array_equal(drawn, np.round(drawn))


@pytest.mark.slow
def test_densities_of_rounded_numbers_integrate_to_one(rng):
    """One number for each cell, of a width that is not 1."""
    x = np.round(3 * rng.normal(size=(2000, 1)) / 0.5) * 0.5
    options = {"layers": 2, "hidden": (16,), "steps": 300, "members": 1, "noise": 0.05}
    fitted = DensityEstimator(random_state=0, **options).fit(x)
    assert fitted.discrete_columns_ == ["x0"]
    assert fitted.repeated_values_ == {}
    places = np.arange(-20.0, 20.0, 0.5)
    total = 0.5 * np.exp(fitted.score_samples(places[:, None])).sum()
    assert 0.95 < total < 1.001
    known = -np.log(np.diff(stats.norm(0, 3).cdf(np.append(places, 20.0) - 0.25)) / 0.5)
    at = np.searchsorted(places, x[:, 0])
    assert fitted.train_nll_ == pytest.approx(known[at].mean(), abs=0.05)
    np.testing.assert_array_equal(fitted.sample(500, random_state=0) % 0.5, 0.0)


@pytest.mark.slow
def test_a_context_moves_the_density(rng):
    """x given c ~ N(3 c, (0.1 + |c|)²)."""
    c = rng.uniform(-1, 1, size=(3000, 1))
    x = 3 * c + (0.1 + np.abs(c)) * rng.normal(size=c.shape)
    options = {"layers": 2, "hidden": (32, 32), "steps": 1000, "members": 1, "noise": 0.03}
    fitted = DensityEstimator(random_state=0, **options).fit(x, context=c)
    at = rng.uniform(-1, 1, size=(2000, 1))
    fresh = 3 * at + (0.1 + np.abs(at)) * rng.normal(size=at.shape)
    known = stats.norm.logpdf(fresh, 3 * at, 0.1 + np.abs(at)).mean()
    assert known - fitted.score(fresh, context=at) < 0.06
    drawn = fitted.sample(4000, context=[[0.5]], random_state=0)
    assert drawn.mean() == pytest.approx(1.5, abs=0.1)
    assert drawn.std() == pytest.approx(0.6, abs=0.1)
    with pytest.raises(ValueError, match="fitted with a context"):
        fitted.score(fresh)
    with pytest.raises(ValueError, match="contexts have 1 columns here, got 2"):
        fitted.sample(context=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="2000 rows of X need as many of context, got 3"):
        fitted.score(fresh, context=at[:3])


@pytest.mark.slow
def test_members_are_averaged_as_densities(rng):
    x = rng.normal(size=(200, 2))
    options = {"layers": 1, "hidden": (8,), "steps": 50, "random_state": 0, "noise": 0.1}
    fitted = DensityEstimator(members=3, gaussian=False, **options).fit(x)
    each = fitted.flow_.log_probs(np.asarray(fitted.preparation_.to_flow(x)[0]))
    units = fitted.preparation_.to_flow(x)[1]
    mean = np.logaddexp.reduce(np.asarray(each), 0) - np.log(3) + units
    np.testing.assert_allclose(fitted.score_samples(x), mean, rtol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 1e-3
    assert fitted.gaussian_weight_ == 0


@pytest.mark.filterwarnings("ignore:the flow is worse than a Gaussian")
@pytest.mark.slow
def test_rows_that_are_normal_are_described_by_a_gaussian(rng):
    """A poor flow gets no weight; without held-out rows there is no weight to choose."""
    x = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 3))
    options = {"layers": 1, "hidden": (8,), "steps": 5, "noise": 0.0, "learning_rate": 0.3}
    fitted = DensityEstimator(members=1, random_state=0, **options).fit(x)
    assert fitted.gaussian_weight_ > 0.9
    covariance = np.cov(x.T)
    known = stats.multivariate_normal(x.mean(0), covariance).logpdf(x).mean()
    assert fitted.score(x) == pytest.approx(known, abs=0.1)
    np.testing.assert_allclose(
        np.cov(fitted.sample(20_000, random_state=0).T), covariance, atol=0.5
    )
    alone = DensityEstimator(members=1, random_state=0, valid_fraction=0, **options).fit(x)
    assert alone.gaussian_weight_ == 0


@pytest.mark.filterwarnings("ignore:the flow is worse than a Gaussian")
@pytest.mark.parametrize("members", [1, 4, 5])
@pytest.mark.slow
def test_held_out_scores_predict_scores_of_new_rows(members, rng):
    """A covariance of 60 columns knows its 400 rows: of these a Gaussian is worth 4.6 nats more.

    Members of folds of their own are each scored on rows held out from them.
    """
    x, fresh = rng.normal(size=(400, 60)), rng.normal(size=(4000, 60))
    found = DensityEstimator(members=members, steps=1, layers=1, random_state=0).fit(x)
    count = len(found.held_out_rows_) * -(-members // 2)
    error = found.score_samples(fresh).std() / count**0.5
    assert abs(found.valid_nll_ + found.score(fresh)) < 3 * error < 4.0
    # Of rows that some have learned densities are higher.
    others = found.score(x[found.learned_rows_])
    assert others > found.score(fresh) + 3


@pytest.mark.slow
def test_a_row_far_outside_is_not_impossible(rng):
    """The base has heavy tails, unless another is asked for."""
    x = rng.normal(size=(300, 2))
    options = {"layers": 1, "hidden": (8,), "steps": 30, "noise": 0.1, "members": 1}
    far = np.array([[60.0, -60.0]])
    found = {
        base: DensityEstimator(base=base, random_state=0, **options).fit(x).score(far)
        for base in (None, "recipe")
    }
    assert found[None] > -300
    assert found["recipe"] < -1000
    with pytest.raises(ValueError, match="base must be 'student_t' or 'recipe', got 'cauchy'"):
        DensityEstimator(base="cauchy").fit(x)
    with pytest.raises(ValueError, match="'circular_spline' has a base of its own"):
        DensityEstimator("circular_spline", base="student_t").fit(x)

"""The estimator with outliers, rows that overflow, few rows, and failed fits."""

import numpy as np
import pytest
from scipy import stats

from thalweg import DensityEstimator
from thalweg.density.columns.outliers import limits_of
from thalweg.density.ensemble.gaussian import fit_gaussian, gaussian_prior_rows
from thalweg.density.ensemble.stacking import stack_weights
from thalweg.progress import Silent

FAST = {"flow": "mean_field", "members": 1, "steps": 30, "noise": 0.0, "random_state": 0}
SEED = 7


def normal(count, dim, seed=SEED):
    return np.random.default_rng(seed).normal(size=(count, dim))


def entropy(rows):
    return -stats.norm.logpdf(rows).sum(1).mean()


# --- W8: outlying values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("far", "discrete"),
    [
        ({(5, 0): 1e6}, False),
        ({(5, 0): 1e3, (6, 0): -1e9, (7, 1): 1e6}, False),
        ({(5, 0): 1e9}, True),
    ],
    ids=["one", "three", "beside counts"],
)
@pytest.mark.few(1)
def test_w8_outlying_values_in_x_are_named_and_survived(far, discrete):
    x, fresh = normal(1000, 2), normal(2000, 2, 1)
    if discrete:
        x, fresh = np.round(x, 1), np.round(fresh, 1)
    for place, value in far.items():
        x[place] = value
    with pytest.warns(UserWarning, match="outweigh all others") as said:
        fitted = DensityEstimator(**FAST).fit(x)
    rows = {f"x{j}": sorted(i for i, k in far if k == j) for _, j in far}
    assert fitted.outlying_rows_ == rows
    text = " ".join(str(one.message) for one in said)
    for (i, j), value in far.items():
        assert f"column 'x{j}'" in text
        assert f"{value:g} (row {i})" in text
    assert -fitted.score(fresh) == pytest.approx(entropy(fresh), abs=0.05)
    assert -fitted.valid_nll_ == pytest.approx(-entropy(fresh), abs=0.4)
    low, high = np.quantile(fitted.sample(4000, random_state=0), [0.25, 0.75], axis=0)
    np.testing.assert_allclose([*low, *-high], -0.67, atol=0.2)
    # Neither impossible nor likely: the wide density stands for them.
    own = fitted.score_samples(x[[i for i, _ in far]])
    assert np.all(np.isfinite(own))
    assert np.all(own < -20)


@pytest.mark.slow
def test_w8_an_outlying_count_does_not_hide_the_grid():
    x = np.random.default_rng(0).poisson(3.0, size=(1000, 1)).astype(float)
    x[3] = 1e7
    with pytest.warns(UserWarning, match=r"column 'x0' .* 1e\+07 \(row 3\)"):
        fitted = DensityEstimator(**FAST).fit(x)
    assert fitted.discrete_columns_ == ["x0"]
    assert fitted.sample(500, random_state=0).max() < 20


@pytest.mark.filterwarnings("ignore:the flow is worse")
def test_w8_outlying_values_in_a_context_are_named_and_survived():
    c, e = normal(1000, 1), normal(1000, 1, 1)
    y = c + 0.5 * e
    at, fresh = normal(2000, 1, 2), normal(2000, 1, 3)
    c[4], c[8] = 1e9, -1e4
    with pytest.warns(UserWarning, match=r"column 'context 0' .* 1e\+09 \(row 4\), -10000 \(row 8"):
        fitted = DensityEstimator(**FAST).fit(y, context=c)
    assert fitted.outlying_rows_ == {"context 0": [4, 8]}
    known = -stats.norm.logpdf(0.5 * fresh, scale=0.5).mean()
    assert -fitted.score(at + 0.5 * fresh, context=at) == pytest.approx(known, abs=0.05)
    # In rows that are only scored they are numbers too.
    odd = fitted.score_samples([[0.3], [0.3]], context=[[1e9], [-1e300]])
    assert not np.isnan(odd).any()


@pytest.mark.parametrize("scale", [1e-100, 1e-3, 1.0, 1e12])
def test_limits_of_values_do_not_depend_on_units(scale):
    x = normal(1000, 1) * scale
    x[::300] = 1e4 * scale
    assert np.flatnonzero(limits_of(x, ["a"]).outside(x)[:, 0]).tolist() == [0, 300, 600, 900]


@pytest.mark.parametrize(
    "column",
    [
        np.random.default_rng(0).normal(size=1000),
        np.random.default_rng(0).exponential(size=1000),
        np.random.default_rng(0).standard_t(3, size=1000),
        np.random.default_rng(0).lognormal(0, 1, size=1000),
        (np.arange(1000) < 10) * 1.0,
        np.where(np.arange(1000) < 30, -999.0, np.random.default_rng(0).normal(size=1000)),
        np.where(np.arange(1000) < 970, 0.0, np.random.default_rng(0).lognormal(size=1000)),
    ],
    ids=["normal", "exponential", "t3", "lognormal", "rare", "sentinel", "zeros"],
)
def test_values_of_the_distribution_are_no_outliers(column):
    assert not limits_of(column[:, None], ["a"]).outside(column[:, None]).any()


# --- W9: beyond all numbers -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain():
    return DensityEstimator(**FAST).fit(normal(300, 2))


def test_w9_rows_beyond_all_numbers_have_density_0_and_are_the_most_anomalous(plain):
    rows = np.array([[0.0, 0.0], [1e39, 0.0], [1e300, -1e300], [-1.7e308, 1.7e308], [50.0, 0.0]])
    found = plain.score_samples(rows)
    assert not np.isnan(found).any()
    assert np.argsort(found)[-2:].tolist() == [4, 0]
    assert found[2] == found[3] == -np.inf
    with pytest.warns(UserWarning, match=r"of 5 rows have density 0, the first of them row"):
        assert plain.score(rows) == -np.inf


def test_w9_single_precision_ends_in_minus_infinity_too(plain):
    import jax

    with jax.enable_x64(False):
        single = DensityEstimator(**{**FAST, "steps": 5}).fit(normal(300, 2))
        found = single.score_samples([[1e39, 0.0], [1e300, -1e300], [1e25, 1e25], [0.0, 0.0]])
    assert found[:3].tolist() == [-np.inf] * 3
    assert np.isfinite(found[3])


# --- W11, W13: draws ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conditional():
    c = normal(300, 2)
    return DensityEstimator(**FAST).learn(c[:, :1] + normal(300, 1, 1), c, Silent())


@pytest.mark.slow
def test_w11_one_context_serves_all_draws_and_several_have_one_each(conditional):
    drawn = conditional.sample(1000, context=[[3.0, 0.0]], random_state=0)
    assert drawn.shape == (1000, 1)
    assert 2 < drawn.mean() < 4
    many = np.repeat([[-3.0, 0.0], [3.0, 0.0]], 200, axis=0)
    for count in (1, 400):
        drawn = conditional.sample(count, context=many, random_state=0)
        assert drawn.shape == (400, 1)
        assert drawn[:200].mean() < -2 < 2 < drawn[200:].mean()
    with pytest.raises(ValueError, match="3 draws given 400 rows of context: give one row for all"):
        conditional.sample(3, context=many)


def test_w13_draws_are_new_at_every_call_unless_a_seed_is_given(plain):
    assert not np.array_equal(plain.sample(5), plain.sample(5))
    np.testing.assert_array_equal(plain.sample(5, random_state=3), plain.sample(5, random_state=3))
    state = np.random.RandomState(0)
    assert not np.array_equal(
        plain.sample(5, random_state=state), plain.sample(5, random_state=state)
    )


# --- W12: few rows --------------------------------------------------------------------------------


def test_w12_five_rows_are_a_gaussian_with_wide_tails_and_a_warning():
    x, fresh = normal(5, 2, 1), normal(4000, 2, 2)
    with pytest.warns(UserWarning, match="5 rows are too few to learn a flow from"):
        fitted = DensityEstimator(random_state=0).fit(x)
    assert fitted.gaussian_weight_ == 1.0
    assert fitted.valid_nll_ is None
    assert -fitted.score(fresh) < entropy(fresh) + 1.5
    assert fitted.sample(7).shape == (7, 2)


@pytest.mark.parametrize("dim", [1, 2, 5, 10])
@pytest.mark.parametrize("count", [2, 3, 5, 10, 20, 50])
@pytest.mark.few(5)
def test_w12_few_rows_are_never_much_worse_than_a_shrunk_gaussian(count, dim):
    """Without the flow, whose weight of so few rows is small: the mean over tables."""
    from sklearn.covariance import LedoitWolf

    from thalweg.density.columns.preparation import prepare

    apart = []
    for seed in range(10):
        random = np.random.default_rng([seed, count, dim])
        factor = random.normal(size=(dim, dim))
        x, fresh = (random.normal(size=(n, dim)) @ factor.T for n in (count, 300))
        ready = prepare(x, tuple(map(str, range(dim))), discrete="none")
        y, log_det = ready.to_flow(fresh)
        own = np.asarray(fit_gaussian(ready.to_flow(x)[0], None).log_prob(y)) + log_det
        scale = x.std(0)
        shrunk = LedoitWolf().fit(x / scale)
        other = (
            stats.multivariate_normal(
                shrunk.location_, shrunk.covariance_ + 1e-6 * np.eye(dim)
            ).logpdf(fresh / scale)
            - np.log(scale).sum()
        )
        apart.append(own.mean() - other.mean())
    assert np.mean(apart) > -0.02 * dim


def test_w12_the_weight_of_the_gaussian_has_a_prior_where_rows_are_few():
    better = np.stack([np.zeros(4), np.full(4, -3.0)])  # four rows; the flow is better by 3 nats
    assert stack_weights(better)[1] < 0.1
    assert stack_weights(better, [0.0, gaussian_prior_rows(10)])[1] > 0.6
    assert gaussian_prior_rows(50) == gaussian_prior_rows(5000) == 0.0


@pytest.mark.filterwarnings("ignore:the flow is worse")
def test_w12_a_gaussian_joins_conditional_fits():
    """With a useless flow the linear regression is left, and its contexts are used."""
    c, e = normal(400, 3), normal(400, 2, 1)
    slopes = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    fitted = DensityEstimator(**{**FAST, "steps": 1}).fit(c @ slopes.T + 0.3 * e, context=c)
    assert fitted.gaussian_weight_ > 0.9
    at, fresh = normal(1000, 3, 2), 0.3 * normal(1000, 2, 3)
    known = -stats.norm.logpdf(fresh, scale=0.3).sum(1).mean()
    assert -fitted.score(at @ slopes.T + fresh, context=at) == pytest.approx(known, abs=0.15)
    drawn = fitted.sample(3000, context=[[1.0, 1.0, 1.0]], random_state=0)
    np.testing.assert_allclose(np.median(drawn, 0), [1.0, 1.0], atol=0.1)


def test_w12_more_contexts_than_rows_do(rng):
    x, c = rng.normal(size=(8, 2)), rng.normal(size=(8, 20))
    with pytest.warns(UserWarning, match="8 rows are too few"):
        fitted = DensityEstimator(random_state=0).fit(x, context=c)
    assert np.isfinite(fitted.score(rng.normal(size=(50, 2)), context=rng.normal(size=(50, 20))))


# --- W14: fits that fail --------------------------------------------------------------------------


def test_w14_a_fit_that_failed_says_so_and_the_gaussian_takes_its_place():
    x, fresh = normal(300, 2), normal(2000, 2, 1)
    options = {**FAST, "learning_rate": 1000.0}
    with pytest.warns(UserWarning, match=r"worse than a Gaussian.*learning_rate=1000 and steps=30"):
        fitted = DensityEstimator(**options).fit(x)
    assert fitted.notices_
    assert -fitted.score(fresh) < entropy(fresh) + 0.1
    with pytest.warns(UserWarning, match="nothing takes its place, so do not use this density"):
        DensityEstimator(**options, gaussian=False).fit(x)
    with pytest.warns(UserWarning, match="of training rows"):
        DensityEstimator(**options, valid_fraction=0.0).fit(x)


def test_u_a_column_that_nearly_repeats_another_has_a_density():
    """y = x + 1e-5 noise: to the last digits of double precision."""
    e, fresh = normal(500, 2), normal(2000, 2, 1)
    for apart in (1e-5, 1e-9):
        x, other = (np.stack([a[:, 0], a[:, 0] + apart * a[:, 1]], 1) for a in (e, fresh))
        fitted = DensityEstimator(**FAST).fit(x)
        known = -stats.norm.logpdf(fresh).sum(1).mean() + np.log(apart)
        assert -fitted.score(other) == pytest.approx(known, abs=0.05)
    with pytest.raises(ValueError, match="column 'x1' is a combination of the columns before it"):
        DensityEstimator(**FAST).fit(np.stack([e[:, 0], 3 * e[:, 0] + 1], 1))


@pytest.mark.parametrize("scale", [1e300, 1e-310])
def test_u_columns_without_a_variance_are_named(scale):
    x = normal(50, 2)
    x[:, 1] *= scale
    with pytest.raises(ValueError, match=r"^column 'x1' spreads over .* measure it in other units"):
        DensityEstimator(**FAST).fit(x)

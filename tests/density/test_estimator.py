"""The estimator as scikit-learn knows it, and densities in the units of their columns."""

import pickle

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import thalweg as tw
from thalweg import DensityEstimator
from thalweg.density.defaults import FLOW, flow_options, members_of
from thalweg.training import compile_seconds

FAST = {"flow": "mean_field", "members": 1, "steps": 50, "noise": 0.0, "random_state": 0}
RNG = np.random.default_rng(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_scikit_learn_finds_nothing_wrong():
    checks = check_estimator(
        DensityEstimator(flow="mean_field", members=1, steps=20, noise=0.0),
        on_fail=None,
        on_skip=None,
    )
    failed = [check["check_name"] for check in checks if check["status"] == "failed"]
    skipped = {check["check_name"] for check in checks if check["status"] == "skipped"}
    assert failed == []
    # It asks for SCIPY_ARRAY_API in the environment.
    assert skipped <= {"check_array_api_input"}


def test_it_can_be_cloned_searched_and_put_in_a_pipeline(rng):
    x = rng.normal(size=(60, 2))
    model = DensityEstimator(**FAST, flow_options={})
    assert clone(model).get_params() == model.get_params()
    search = GridSearchCV(DensityEstimator(**FAST), {"weight_decay": [0.0, 0.1]}, cv=2).fit(x)
    assert np.isfinite(search.best_score_)
    piped = make_pipeline(StandardScaler(), DensityEstimator(**FAST)).fit(x)
    assert piped.score_samples(x).shape == (60,)


def test_a_second_fit_compiles_nothing(rng):
    """Of rows as many: what made flows used to be a new function, and a new program, each time."""
    x = rng.normal(size=(60, 2))
    model = DensityEstimator(flow="nice", hidden=(4,), members=4, steps=20, random_state=0)
    first = model.fit(x).score(x)
    before = compile_seconds()
    assert model.set_params(random_state=1).fit(x).score(x) != first
    assert compile_seconds() == before


@pytest.mark.parametrize("hidden", [np.array([4, 4]), {"a": 1}, [[4]]])
def test_options_that_are_no_numbers_are_refused_by_name(rng, hidden):
    model = DensityEstimator(**{**FAST, "flow": "nice"}, flow_options={"hidden": hidden})
    with pytest.raises(ValueError, match=r"^option 'hidden' of flow 'nice' cannot be "):
        model.fit(rng.normal(size=(30, 2)))


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
    """Of a poor flow nothing is left; where nothing is held out no one can say so."""
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
def test_held_out_rows_say_what_fresh_ones_will(members, rng):
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


@pytest.mark.parametrize(
    ("rows", "dim", "members"),
    [(1000, 2, 16), (5000, 2, 16), (5001, 2, 4), (500, 30, 8), (4500, 45, 4), (4999, 3, 8)],
)
def test_small_tables_have_more_members(rows, dim, members):
    assert members_of(rows, dim) == members


@pytest.mark.parametrize(("dim", "layers"), [(2, 12), (100, 12), (200, 6), (500, 3), (5000, 3)])
def test_few_rows_of_many_columns_have_fewer_layers(dim, layers):
    assert flow_options(FLOW, 1000, dim)["layers"] == layers
    assert flow_options("planar", 1000, dim) == {}


@pytest.mark.filterwarnings("ignore:the flow is worse than a Gaussian")
@pytest.mark.slow
def test_how_many_members_there_are_is_known(rng):
    options = {**FAST, "members": None, "steps": 2}
    assert DensityEstimator(**options).fit(rng.normal(size=(50, 1))).members_ == 16
    assert DensityEstimator(**{**options, "members": 2}).fit(rng.normal(size=(50, 1))).members_ == 2


def test_names_come_with_tables(rng):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"height": rng.normal(size=50), "weight": rng.normal(size=50)})
    fitted = DensityEstimator(**FAST).fit(table)
    assert fitted.feature_names_in_.tolist() == ["height", "weight"]
    assert fitted.column_names == ("height", "weight")
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.score(table.rename(columns={"height": "width"}))
    text = table.assign(town="Ghent")
    with pytest.raises(ValueError, match="column 'town' holds text"):
        DensityEstimator(**FAST).fit(text)
    holes = table.copy()
    holes.loc[[3, 8], "weight"] = np.nan
    with pytest.raises(ValueError, match="column 'weight' of X has 2 values that are not finite"):
        DensityEstimator(**FAST).fit(holes)
    dropped = DensityEstimator(**FAST, missing="drop").fit(holes)
    assert len(dropped.learned_rows_) + len(dropped.held_out_rows_) == 48
    assert not {3, 8} & {*dropped.learned_rows_, *dropped.held_out_rows_}


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
@pytest.mark.few(1)
def test_other_tables_have_names_too(package, rng):
    module = pytest.importorskip(package)
    make = module.DataFrame if package == "polars" else module.table
    columns = {"height": rng.normal(size=50), "weight": rng.normal(size=50)}
    table = make(columns)
    fitted = DensityEstimator(**FAST).fit(table)
    assert fitted.feature_names_in_.tolist() == ["height", "weight"]
    rows = np.stack(list(columns.values()), 1)
    np.testing.assert_array_equal(fitted.score_samples(table), fitted.log_density(rows, None))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.score(make({"width": columns["height"], "weight": columns["weight"]}))
    with pytest.raises(ValueError, match="column 'town' holds text"):
        DensityEstimator(**FAST).fit(make({**columns, "town": ["Ghent"] * 50}))
    with pytest.raises(ValueError, match="column 'gaps' of X has 1 values that are not finite"):
        DensityEstimator(**FAST).fit(make({**columns, "gaps": [None] + [1.0] * 49}))


@pytest.mark.parametrize(
    ("options", "rows", "words"),
    [
        ({"flow": "nothing"}, 50, "unknown flow 'nothing'"),
        ({"members": 0}, 50, "members must be a whole number of at least 1, got 0"),
        (
            {"valid_fraction": 1.0},
            50,
            r"valid_fraction must be a finite number in \[0, 1\)",
        ),
        ({"valid_fraction": 0.99}, 10, "valid_fraction=0.99 of 10 rows leaves too few"),
        ({"missing": "guess"}, 50, "missing must be 'error' or 'drop'"),
        ({"noise": -1.0}, 50, "noise must be a finite number of at least 0"),
        ({"steps": 0}, 50, "steps must be a whole number of at least 1"),
        ({"hidden": 16}, 50, "hidden must be a list of whole numbers, got 16"),
        ({"flow_options": {"depth": 3}}, 50, "has no option 'depth'"),
        ({}, 1, r"1 sample\(s\)"),
        ({}, 0, r"0 sample\(s\)"),
    ],
)
def test_bad_arguments_get_one_sentence(options, rows, words, rng):
    with pytest.raises(ValueError, match=words):
        DensityEstimator(**{**FAST, **options}).fit(rng.normal(size=(rows, 2)))


@pytest.mark.slow
def test_widths_may_be_numbers_of_numpy(rng):
    """As a grid search over `np.arange` has them."""
    options = {**FAST, "flow": "made", "hidden": list(np.arange(4, 6))}
    fitted = DensityEstimator(**options).fit(rng.normal(size=(50, 2)))
    assert fitted.flow_options_["hidden"] == (4, 5)


def test_repeats_and_constants_are_noticed(rng):
    x = np.repeat(rng.normal(size=(20, 1)), 2, axis=0)
    fitted = DensityEstimator(**FAST).fit(np.concatenate([x, np.ones((40, 1))], 1))
    assert fitted.duplicate_rows_ == 20
    assert fitted.constant_columns_ == ["x1"]
    assert fitted.sample(4).shape == (4, 2)

"""Columns of real tables: contexts by name, discrete values, atoms, kinds of data."""

import datetime

import numpy as np
import pytest

import thalweg as tw
from thalweg import DensityEstimator
from thalweg.density.columns.grids import find_atoms, find_cells
from thalweg.density.columns.preparation import prepare
from thalweg.training.progress import Silent

FAST = {"flow": "mean_field", "members": 1, "steps": 30, "noise": 0.0, "random_state": 0}
pandas = pytest.importorskip("pandas")


def learn(x, context=None, **options):
    """Fit without the warning of a flow that learned little in so few steps."""
    return DensityEstimator(**{**FAST, **options}).learn(x, context, Silent())


# --- W7: contexts by name -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    c = pandas.DataFrame({"temp": rng.normal(20, 5, 300), "age": rng.normal(40, 10, 300)})
    y = (0.5 * c["temp"] - 0.1 * c["age"] + rng.normal(size=300)).to_numpy()[:, None]
    return learn(y, c), y, c


def test_w7_columns_of_a_context_go_by_name(given, tmp_path):
    fitted, y, c = given
    fitted.save(tmp_path / "run")
    for estimator in (fitted, tw.load(tmp_path / "run")):
        assert list(estimator.context_names_in_) == ["temp", "age"]
        known = estimator.score_samples(y, context=c)
        turned = c[["age", "temp"]]
        np.testing.assert_array_equal(estimator.score_samples(y, context=turned), known)
        np.testing.assert_array_equal(estimator.score_samples(y, context=c.to_numpy()), known)
        np.testing.assert_array_equal(
            estimator.sample(300, context=turned, random_state=0),
            estimator.sample(300, context=c, random_state=0),
        )
        assert estimator.score(y, context=turned) == estimator.score(y, context=c)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.drop(columns="age"), "the context has no age"),
        (lambda c: c.rename(columns={"age": "years"}), "the context has no age"),
        (lambda c: c.assign(town=1.0), "the context has town besides"),
        (lambda c: pandas.concat([c, c[["age"]]], axis=1), "the context has age twice"),
        (lambda c: c.to_numpy()[:, :1], "contexts have 2 columns here, got 1"),
    ],
)
def test_w7_other_columns_of_a_context_are_refused_by_name(given, change, said):
    fitted, y, c = given
    for ask in (
        lambda other: fitted.score(y, context=other),
        lambda other: fitted.sample(300, context=other),
    ):
        with pytest.raises(ValueError, match=said):
            ask(change(c))


def test_w7_columns_of_x_in_another_order_are_refused_as_scikit_learn_does(rng):
    x = pandas.DataFrame(rng.normal(size=(50, 2)), columns=["a", "b"])
    fitted = learn(x)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.score(x[["b", "a"]])
    with pytest.raises(ValueError, match=r"unique column names, got:\n- 'a' 2 times"):
        learn(x.set_axis(["a", "a"], axis=1))


# --- W15: what was silently ignored ---------------------------------------------------------------


def test_w15_masked_values_are_missing(rng):
    x = np.ma.array(rng.normal(size=(60, 2)), mask=np.zeros((60, 2), bool))
    x[[3, 8], 1] = np.ma.masked
    with pytest.raises(ValueError, match="column 1 of X has 2 values that are not finite"):
        learn(x)
    fitted = learn(x, missing="drop")
    assert not {3, 8} & {*fitted.learned_rows_, *fitted.held_out_rows_}
    with pytest.raises(ValueError, match="column 1 of X has 2 values"):
        fitted.score(x)


def test_w15_holes_in_a_context_leave_rows_out_too(rng):
    x, c = rng.normal(size=(60, 1)), rng.normal(size=(60, 2))
    x[2], c[5, 1] = np.nan, np.nan
    with pytest.raises(ValueError, match=r"column 1 of context has 1 values .* \(--drop-missing\)"):
        learn(x[3:], c[3:])
    fitted = learn(x, c, missing="drop")
    rows = {*fitted.learned_rows_, *fitted.held_out_rows_}
    assert rows == set(range(60)) - {2, 5}


def test_w15_another_value_of_a_constant_context_is_refused(rng):
    c = np.stack([rng.normal(size=60), np.full(60, 3.0)], 1)
    fitted = learn(rng.normal(size=(60, 1)), c)
    assert np.isfinite(fitted.score([[0.0]], context=[[0.5, 3.0]]))
    for ask in (fitted.score, fitted.score_samples):
        with pytest.raises(ValueError, match=r"column 1 of the context was 3 in all rows .* is 4"):
            ask([[0.0]], context=[[0.5, 4.0]])
    with pytest.raises(ValueError, match=r"column 1 of the context was 3 in all rows .* is 4"):
        fitted.sample(context=[[0.5, 4.0]])
    with pytest.raises(ValueError, match="all columns of the context are constant"):
        learn(rng.normal(size=(60, 1)), c[:, 1:])


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_w15_a_saved_index_is_refused(name, rng):
    x = pandas.DataFrame({name: np.arange(40), "a": rng.normal(size=40)})
    with pytest.raises(ValueError, match=f"column '{name}' of X only counts the rows"):
        learn(x)
    x[name] = rng.normal(size=40)  # a column without a name that holds numbers is one
    assert learn(x).n_features_in_ == 2


# --- U: discrete columns and atoms ----------------------------------------------------------------

RNG = np.random.default_rng(0)
DISCRETE = {
    "binary": RNG.integers(0, 2, 1000) * 1.0,
    "signs": RNG.choice([-1.0, 1.0], 1000),
    "counts": RNG.poisson(3.0, 1000) * 1.0,
    "rare": (np.arange(1000) % 100 == 0) * 1.0,
    "levels": RNG.choice([0.0, 2.0, 5.0], 1000),
    "uneven": np.log1p(RNG.poisson(3.0, 1000)),
    "thirds": RNG.integers(0, 4, 1000) / 3,
}


@pytest.mark.parametrize("column", DISCRETE.values(), ids=DISCRETE)
def test_u_draws_of_discrete_columns_are_values_that_exist(column, rng):
    """For points anywhere: no flow can draw −1 or 2 in a binary column."""
    ready = prepare(np.stack([column, rng.normal(size=1000)], 1), ("a", "b"))
    assert list(ready.grids) == [0]
    anywhere = ready.from_flow(6 * rng.normal(size=(4000, 2)))[:, 0]
    assert np.isin(anywhere, column).all()


@pytest.mark.parametrize("kind", ["binary", "uneven"])
@pytest.mark.slow
def test_u_probabilities_of_levels_sum_to_one(kind):
    column = DISCRETE[kind][:, None]
    fitted = DensityEstimator(random_state=0, members=1, steps=300, layers=2, hidden=(8,), noise=0)
    fitted.learn(column, None, Silent())
    values, counts = np.unique(column, return_counts=True)
    found = np.exp(fitted.score_samples(values[:, None]))
    assert 0.9 < found.sum() < 1.001
    # Values that do not exist are said by name.
    with pytest.warns(UserWarning, match=r"column 'x0' has 1 values .* none of the levels"):
        gone = fitted.score_samples([[values[0]], [values[0] + 0.3]])
    assert gone[1] == -np.inf if counts.min() >= 5 else gone[1] < gone[0] - 5
    drawn = fitted.sample(2000, random_state=0)
    share = [np.mean(drawn == value) for value in values]
    np.testing.assert_allclose(share, counts / 1000, atol=0.08)


def test_u_values_off_the_grid_of_counts_do_not_exist():
    fitted = learn(DISCRETE["counts"][:, None])
    with pytest.warns(UserWarning, match=r"in row 1\) that do not lie on its grid of step 1"):
        found = fitted.score_samples([[3.0], [2.5], [14.0]])
    assert np.isfinite(found).tolist() == [True, False, True]  # 14 may yet be counted


def test_u_atoms_have_a_probability_and_the_rest_a_density():
    """59 % zeros beside a continuous rest: −ln q in the mixed measure, beside the truth."""
    rng = np.random.default_rng(1)

    def draw(count):
        zero = rng.random(count) < 0.59
        return np.where(zero, 0.0, rng.lognormal(0, 0.5, count))[:, None], zero

    x, _ = draw(1000)
    fresh, zero = draw(4000)
    fitted = DensityEstimator(random_state=0, members=1, steps=400, layers=2, hidden=(8,), noise=0)
    fitted.learn(x, None, Silent())
    assert fitted.repeated_values_["x0"][0] == 0.0
    found = fitted.score_samples(fresh)
    assert np.exp(found[zero][0]) == pytest.approx(0.59, abs=0.06)
    from scipy import stats

    rest = np.log(0.41) + stats.lognorm(0.5).logpdf(fresh[~zero, 0])
    assert found[~zero].mean() == pytest.approx(rest.mean(), abs=0.15)
    drawn = fitted.sample(4000, random_state=0)
    assert drawn.min() == 0.0
    assert np.mean(drawn == 0) == pytest.approx(0.59, abs=0.06)


def test_u_atoms_and_their_room_are_inverse_to_each_other(rng):
    for column in (
        np.where(rng.random(1000) < 0.3, 0.0, rng.normal(size=1000)),
        np.minimum(np.where(rng.random(1000) < 0.3, 0.0, rng.lognormal(size=1000)), 3.0),
        np.where(rng.random(1000) < 0.2, -999.0, rng.normal(size=1000)),
    ):
        atoms = find_atoms(column)
        spread = atoms.spread(column, rng.random(1000))
        np.testing.assert_allclose(atoms.gather(spread), column, atol=1e-12)
        assert np.std(spread) < 10  # also of what stood far outside
        everywhere = atoms.gather(np.linspace(-50, 50, 2001))
        if atoms.first:
            assert everywhere.min() == column.min()
        if atoms.last:
            assert everywhere.max() == column.max()


@pytest.mark.parametrize(
    "x",
    [
        RNG.normal(size=1000),
        RNG.normal(size=300)[RNG.integers(0, 300, 1000)],
        np.arange(100.0),
        np.round(RNG.normal(size=1000), 3),
    ],
    ids=["normal", "twice", "numbers", "rounded"],
)
def test_u_continuous_columns_have_neither_levels_nor_atoms(x):
    assert find_atoms(x) is None
    assert getattr(find_cells(x), "levels", None) is None


@pytest.mark.slow
def test_u_a_fitted_density_of_atoms_and_levels_is_saved_whole(tmp_path, rng):
    x = np.stack(
        [DISCRETE["uneven"], np.where(rng.random(1000) < 0.4, 0.0, rng.gamma(2, 1, 1000))], 1
    )
    fitted = learn(x)
    fitted.save(tmp_path / "run")
    again = tw.load(tmp_path / "run")
    np.testing.assert_array_equal(again.score_samples(x[:50]), fitted.score_samples(x[:50]))
    np.testing.assert_array_equal(
        again.sample(50, random_state=0), fitted.sample(50, random_state=0)
    )
    assert again.preparation_.atoms == fitted.preparation_.atoms


# --- T: kinds of columns and of parameters --------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (lambda: pandas.period_range("2020-01", periods=50, freq="M"), "column 'b' holds dates"),
        (lambda: pandas.date_range("2020", periods=50, tz="Europe/Oslo"), "column 'b' holds dates"),
        (lambda: [datetime.date(2020, 1, 1)] * 50, "column 'b' holds dates"),
        (lambda: pandas.interval_range(0, 50), "column 'b' holds intervals"),
        (lambda: ["1", "x"] * 25, "column 'b' holds text"),
        (lambda: [1.0, 1j] * 25, "column 'b' holds complex"),
    ],
)
def test_t_columns_that_hold_no_numbers_are_refused_by_name(column, said, rng):
    table = pandas.DataFrame({"a": rng.normal(size=50), "b": column()})
    with pytest.raises(ValueError, match=said.replace("holds complex", "holds complex128")):
        learn(table)
    # As scikit-learn wants it of what is no value at all.
    with pytest.raises(TypeError, match="column 'b' holds a dict"):
        learn(table.assign(b=[{"a": 1}] * 50))


def test_t_columns_of_pandas_with_their_own_missing_values(rng):
    values = pandas.array(rng.integers(0, 2, 60).astype(bool), dtype="boolean")
    whole = pandas.DataFrame({"a": rng.normal(size=60), "b": values})
    assert learn(whole).discrete_columns_ == ["b"]
    holes = whole.copy()
    holes.loc[[1, 4], "b"] = pandas.NA
    with pytest.raises(ValueError, match="column 'b' of X has 2 values that are not finite"):
        learn(holes)
    dropped = learn(holes, missing="drop")
    assert not {1, 4} & {*dropped.learned_rows_, *dropped.held_out_rows_}
    objects = holes.astype({"b": object})
    with pytest.raises(ValueError, match="column 'b' of X has 2 values that are not finite"):
        learn(objects)


def test_t_a_column_of_holes_is_named(rng):
    x = pandas.DataFrame({"a": rng.normal(size=50), "b": np.nan})
    with pytest.raises(ValueError, match="column 'b' has most holes"):
        learn(x, missing="drop")


def test_t_a_lazy_table_is_collected(rng):
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"a": rng.normal(size=50), "b": rng.normal(size=50)})
    fitted = learn(table.lazy())
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(fitted.score_samples(table.lazy()), fitted.score_samples(table))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": "a"}, "learning_rate must be a finite number above 0, got 'a'"),
        ({"learning_rate": -1.0}, "learning_rate must be a finite number above 0, got -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number above 0"),
        ({"marginals": None}, "marginals must be 'identity', 'positive', .* got None"),
        ({"marginals": {"a": 3}}, "marginals must be .* got 3"),
        ({"marginals": ("interval", 0, "b")}, "marginals must be .* got"),
        ({"discrete": True}, "discrete must be 'auto', 'none' or a list of names of columns"),
        ({"discrete": [0]}, "discrete must be 'auto', 'none' or a list of names of columns"),
        ({"flow": None}, "flow must name a recipe"),
        ({"layers": 0}, "layers must be a whole number of at least 1"),
        ({"layers": 2.5}, "layers must be a whole number of at least 1"),
        ({"members": True}, "members must be a whole number of at least 1, got True"),
        ({"steps": "many"}, "steps must be a whole number of at least 1, got 'many'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"weight_decay": -0.1}, "weight_decay must be a finite number of at least 0"),
        ({"weight_decay": None}, "weight_decay must be a finite number of at least 0"),
        ({"noise": "loud"}, "noise must be a finite number of at least 0, got 'loud'"),
        (
            {"valid_fraction": None},
            r"valid_fraction must be a finite number in \[0, 1\), got None",
        ),
        ({"whiten": "yes"}, "whiten must be True or False, got 'yes'"),
        ({"gaussian": None}, "gaussian must be True or False, got None"),
        ({"flow_options": [1]}, "flow_options must be a dictionary of options"),
        ({"missing": None}, "missing must be 'error' or 'drop', got None"),
        ({"base": 3}, "base must be 'student_t' or 'recipe', got 3"),
        ({"hidden": "wide"}, "hidden must be a list of whole numbers"),
        ({"random_state": "x"}, "'x' cannot be used to seed"),
    ],
)
def test_t_impossible_parameters_are_refused(options, said, rng):
    with pytest.raises(ValueError, match=said):
        learn(rng.normal(size=(30, 2)), **options)

"""Columns of real tables: contexts by name, missing and constant values, kinds of data."""

import datetime

import numpy as np
import pytest
from density.short_fits import learn

import thalweg as tw

pandas = pytest.importorskip("pandas")


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

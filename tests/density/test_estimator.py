"""The estimator as scikit-learn knows it: parameters, defaults, names of tables."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from thalweg import DensityEstimator
from thalweg.density.defaults import FLOW, default_flow_options, default_members
from thalweg.density.ensemble.fit import is_short
from thalweg.density.learning import make_fit_spec
from thalweg.training import compile_seconds

FAST = {"flow": "mean_field", "members": 1, "steps": 50, "noise": 0.0, "random_state": 0}


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
    """For the same number of rows: the maker of flows used to be a new program each time."""
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


@pytest.mark.parametrize(
    ("rows", "dim", "members"),
    [(1000, 2, 8), (5000, 2, 2), (500, 30, 8), (4500, 45, 4), (4999, 3, 8)],
)
def test_small_tables_have_more_members(rows, dim, members):
    assert default_members(rows, dim) == members


@pytest.mark.parametrize(("rows", "dim", "short"), [(142, 13, True), (7654, 5, False)])
def test_long_fits_are_compiled_well(rows, dim, short):
    spec = make_fit_spec(DensityEstimator().get_params(), rows, dim, few=False)
    assert is_short(spec, dim) is short


@pytest.mark.parametrize(("dim", "layers"), [(2, 6), (3, 4), (4, 3), (500, 3)])
def test_few_rows_of_many_columns_have_fewer_layers(dim, layers):
    assert default_flow_options(FLOW, 1000, dim)["layers"] == layers
    assert default_flow_options("planar", 1000, dim) == {}


@pytest.mark.filterwarnings("ignore:the flow is worse than a Gaussian")
@pytest.mark.slow
def test_the_number_of_members_is_an_attribute(rng):
    options = {**FAST, "members": None, "steps": 2}
    assert DensityEstimator(**options).fit(rng.normal(size=(50, 1))).members_ == 8
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

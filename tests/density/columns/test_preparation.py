"""Columns to coordinates and back, with their log-determinants, in the units of the columns."""

import jax
import numpy as np
import pytest

from thalweg.density.columns.marginals import Marginal
from thalweg.density.columns.preparation import prepare

RNG = np.random.default_rng(0)
NAMES = ("a", "b", "c", "d")
ROWS = np.stack(
    [
        5e5 + 3 * RNG.normal(size=500),
        np.exp(2 * RNG.normal(size=500)),
        RNG.beta(0.5, 2.0, size=500) * 4 - 1,
        RNG.standard_t(1.2, size=500),
    ],
    1,
)
MAPS = {"b": "positive", "c": ("interval", -1, 3), "d": "heavy"}


@pytest.mark.parametrize(
    "marginal",
    [
        Marginal(),
        Marginal("positive", -2.0),
        Marginal("interval", -1.0, 3.0),
        Marginal("heavy", 0.5, 2.0),
    ],
    ids=lambda m: m.kind,
)
def test_a_map_of_a_column_has_its_inverse_and_slope(marginal):
    x = np.linspace(-0.99, 2.99, 101)
    t, slope = marginal.to_line(x)
    np.testing.assert_allclose(marginal.from_line(t), x, rtol=1e-12, atol=1e-12)
    step = 1e-6
    numerical = (marginal.to_line(x + step)[0] - marginal.to_line(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(np.exp(slope), numerical, rtol=1e-6)


def test_ends_of_an_interval_are_not_crossed():
    interval = Marginal("interval", -1.0, 3.0)
    x = interval.from_line(np.array([-800.0, -30.0, 30.0, 800.0]))
    assert np.all((x >= -1) & (x <= 3))
    outside = interval.to_line(np.array([-1.0, 3.0, 4.0]))[1]
    np.testing.assert_array_equal(outside, -np.inf)


@pytest.mark.parametrize("whiten", [True, False])
def test_rows_are_standardised_and_come_back(whiten):
    ready = prepare(ROWS, NAMES, MAPS, "none", whiten=whiten)
    y, log_det = ready.to_flow(ROWS)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(0), 1, atol=0.05)
    np.testing.assert_allclose(ready.from_flow(y), ROWS, rtol=1e-9, atol=1e-9)
    # ln|det ∂y/∂x| by differences of the inverse.
    point, step = y[:1], 1e-5
    columns = [
        (ready.from_flow(point + step * e) - ready.from_flow(point - step * e))[0] / (2 * step)
        for e in np.eye(4)
    ]
    sign, value = np.linalg.slogdet(np.stack(columns, 1))
    assert sign == 1
    np.testing.assert_allclose(log_det[0], -value, rtol=1e-5)


def test_whitening_takes_correlations_away(rng):
    mixed = rng.normal(size=(4000, 3)) @ np.array([[1, 0, 0], [5, 0.1, 0], [2, 3, 0.2]]).T
    y, _ = prepare(mixed, "abc", "identity", "none").to_flow(mixed)
    np.testing.assert_allclose(np.corrcoef(y.T), np.eye(3), atol=0.02)


def test_moments_are_those_of_the_training_rows(rng):
    x = rng.normal(size=(50, 3))
    some = np.arange(30)
    ready = prepare(x, "abc", learned=some)
    y = ready.to_flow(x[some])[0]
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(0), 1, atol=1e-3)
    np.testing.assert_allclose(ready.factor, prepare(x[some], "abc").factor)
    x[some, 1] = 7.0  # a column that moves in the other rows alone
    assert np.isfinite(prepare(x, "abc", learned=some).to_flow(x)[0]).all()
    x[:, 1] = np.arange(50) == 49  # cells have a scale even then
    ready = prepare(x, "abc", discrete=["b"], learned=some)
    assert np.isfinite(ready.to_flow(x)[0]).all()
    np.testing.assert_allclose(ready.loc[[0, 2]], x[some][:, [0, 2]].mean(0))


def test_columns_of_whole_numbers_are_cells(rng):
    counts = rng.poisson(3.0, size=(400, 1)).astype(float)
    rows = np.concatenate([counts, rng.normal(size=(400, 1))], 1)
    ready = prepare(rows, ("n", "x"))
    assert list(ready.grids) == [0]
    filled = ready.dequantised(rows, rng.uniform(size=(400, 1)))
    assert np.all(np.floor(filled[:, 0]) == counts[:, 0])
    y, _ = ready.to_flow(filled)
    np.testing.assert_allclose(y.mean(0), 0, atol=0.1)
    np.testing.assert_array_equal(ready.from_flow(y)[:, 0], counts[:, 0])
    # The noise, in the coordinates of the flow.
    apart = ready.to_flow(rows + np.array([1.0, 0.0]))[0] - ready.to_flow(rows)[0]
    np.testing.assert_allclose(apart, np.broadcast_to(ready.jitter, apart.shape), atol=1e-12)


def test_cells_have_the_width_of_the_grid(rng):
    """Numbers that were rounded: y of the cells has variance 1, and draws lie on the grid."""
    rounded = np.round(3 * rng.normal(size=(2000, 1)), 1)
    ready = prepare(rounded, ("x",))
    assert ready.grids[0].step == pytest.approx(0.1)
    y, log_det = ready.to_flow(ready.dequantised(rounded, rng.uniform(size=rounded.shape)))
    np.testing.assert_allclose([y.mean(), y.var()], [0, 1], atol=1e-3)
    np.testing.assert_allclose(np.exp(-log_det), ready.factor[0, 0])
    np.testing.assert_array_equal(ready.from_flow(y), rounded)
    assert len(ready.within) > 1
    fine = prepare(np.round(3 * rng.normal(size=(20_000, 1)), 2), ("x",))
    np.testing.assert_array_equal(fine.within, [[0.5]])


def test_a_map_that_is_asked_for_comes_before_a_grid(rng):
    """Incomes in cents have ties, and a logarithm all the same."""
    income = np.round(10 * np.exp(0.3 * rng.normal(size=4000)), 2)
    rows = np.stack([income, rng.poisson(3.0, 4000) + 1.0], 1)
    names = ("income", "children")
    assert list(prepare(rows, names).grids) == [0, 1]
    for asked, kinds in (
        ({"income": "positive"}, ["positive", "identity"]),
        ({"children": "positive"}, ["identity", "positive"]),
        ("positive", ["positive", "identity"]),
    ):
        ready = prepare(rows, names, asked)
        assert [one.kind for one in ready.marginals] == kinds
        assert list(ready.grids) == [kinds.index("identity")]
    with pytest.raises(ValueError, match="'income' cannot be discrete and have a map"):
        prepare(rows, names, {"income": "positive"}, ["income"])


def test_a_repeated_value_is_found(rng):
    """Incomes that were cut at a limit; a column of few levels has no such value."""
    cut = np.minimum(np.exp(rng.normal(size=1000)), 3.0)
    rows = np.stack([cut, rng.normal(size=1000), rng.integers(3, size=1000)], 1)
    ready = prepare(rows, ("income", "x", "level"))
    assert list(ready.grids) == [2]
    assert ready.repeated_values(rows) == {0: (3.0, np.mean(cut == 3.0))}


def test_a_constant_column_is_no_part_of_the_density():
    rows = np.concatenate([ROWS[:, :1], np.full((500, 1), 3.0)], 1)
    ready = prepare(rows, ("a", "k"))
    assert ready.dim == 1
    y, log_det = ready.to_flow(rows)
    np.testing.assert_allclose(log_det, -np.log(ROWS[:, 0].std()), rtol=1e-6)
    np.testing.assert_array_equal(ready.from_flow(y)[:, 1], 3.0)
    np.testing.assert_array_equal(ready.to_flow(rows + np.array([0.0, 1.0]))[1], -np.inf)


@pytest.mark.parametrize(
    ("asked", "discrete", "words"),
    [
        ({"b": "negative"}, "none", "unknown map 'negative' of column 'b'"),
        ({"a": ("interval", 0)}, "none", "unknown map"),
        ({"a": ("interval", 3, 1)}, "none", "must have a < b"),
        ({"d": "positive"}, "none", "column 'd' has .* values outside the support"),
        ({"e": "heavy"}, "none", "there is no column 'e'; there are a, b, c, d"),
        ("identity", ["e"], "there is no column 'e'"),
        ("identity", ["a"], "column 'a' is called discrete, but its values lie on no grid"),
    ],
)
def test_impossible_maps_are_refused(asked, discrete, words):
    with pytest.raises(ValueError, match=words):
        prepare(ROWS, NAMES, asked, discrete)


def test_a_column_that_repeats_others_has_no_density(rng):
    rows = np.concatenate([ROWS[:, :2], ROWS[:, :1] - 2 * ROWS[:, 1:2]], 1)
    with pytest.raises(ValueError, match="column 'c' is a combination of the columns before it"):
        prepare(rows, "abc")
    # Nor where numbers are rounded so finely that their cells hardly count.
    fine = np.round(rng.normal(size=(20_000, 1)), 3)
    with pytest.raises(ValueError, match="column 'b' is a combination of the columns before it"):
        prepare(np.concatenate([fine, fine], 1), "ab")


def test_columns_that_never_change_have_no_density():
    with pytest.raises(ValueError, match="all columns are constant"):
        prepare(np.ones((5, 2)), "ab")


def test_the_formulas_are_in_float64():
    assert jax.config.jax_enable_x64
    assert prepare(ROWS, NAMES).to_flow(ROWS)[0].dtype == np.float64

"""Discrete columns and atoms: draws, probabilities and files of values that repeat."""

import numpy as np
import pytest
from density.short_fits import learn

import thalweg as tw
from thalweg import DensityEstimator
from thalweg.density.columns.grids import find_atoms, find_cells
from thalweg.density.columns.preparation import prepare
from thalweg.progress import Silent

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


def test_numbers_rounded_less_than_all_before_have_a_small_density():
    x = np.round(RNG.normal(size=(400, 1)), 1)
    fitted = learn(x)
    assert fitted.discrete_columns_ == ["x0"]
    with pytest.warns(UserWarning, match=r"step 0.1: they get that of their cell less 6\.7"):
        found = fitted.score_samples([[0.4], [0.45]])
    assert found[1] - found[0] == pytest.approx(-np.log(2 * 400 + 2), abs=0.5)


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

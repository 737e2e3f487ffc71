"""Folds of training and held-out rows, and the members fitted to them."""

import signal

import jax
import numpy as np
import pytest

from thalweg.density.columns.preparation import prepare
from thalweg.density.ensemble.fit import FitSpec, fit
from thalweg.density.ensemble.folds import assign_folds, make_fold, split_folds
from thalweg.density.ensemble.held_out import ensemble, extrapolated_nll, held_out_log_prob
from thalweg.density.ensemble.members import (
    Members,
    average_members,
    concatenate_members,
    make_flows,
    select_members,
)
from thalweg.density.job import estimate, read_run, resume
from thalweg.density.rows.row_stream import Rows
from thalweg.objectives.objective import Shared
from thalweg.progress import Silent
from thalweg.training import train
from thalweg.tree import pick

NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("count", "held", "folds", "found"), [(103, 10, 4, 4), (50, 20, 4, 2), (9, 0, 4, 1)]
)
def test_no_row_is_held_out_twice(count, held, folds, found):
    parts = split_folds(count, held, folds, np.random.RandomState(0))
    assert len(parts) == found
    for learned, held_out in parts:
        assert len(held_out) == held
        np.testing.assert_array_equal(np.sort([*learned, *held_out]), np.arange(count))
    every = np.concatenate([held_out for _, held_out in parts])
    assert len(np.unique(every)) == found * held


def test_members_take_folds_two_and_two():
    assert assign_folds(7, 4).tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert assign_folds(6, 2).tolist() == [0, 0, 1, 1, 0, 0]
    assert assign_folds(3, 1).tolist() == [0, 0, 0]


def case(rng, context=False):
    """Six members of three folds of a table with a discrete column, and the table."""
    rows = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + 5
    rows[:, 1] = np.round(rows[:, 1])
    around = rng.normal(size=(60, 2)) if context else None
    given = None if around is None else prepare(around, ("d", "e"), discrete="none", whiten=False)
    every = Rows(rows, around)
    parts = split_folds(len(rows), 12, 3, np.random.RandomState(0))
    ready = [prepare(rows, NAMES, discrete=["b"], learned=inside) for inside, _ in parts]
    folds = [
        make_fold(own, ready[0], given, every.take(inside), every.take(outside))
        for own, (inside, outside) in zip(ready, parts, strict=True)
    ]
    options = {"layers": 1, "hidden": (8,)}
    flows = make_flows(
        jax.random.key(0), 6, "maf", "student_t", options, (3, 2 if context else None)
    )
    flows = jax.tree.map(lambda a: a + 0.1 * np.sin(np.arange(a.size)).reshape(a.shape), flows)
    return Members(flows, assign_folds(6, 3)), folds, ready, rows


def test_members_of_folds_are_averaged_in_the_units_of_the_table(rng):
    members, folds, ready, rows = case(rng)
    together = average_members(members, folds)
    y, log_det = ready[0].to_flow(rows)
    each = []
    for i, which in enumerate(members.fold):
        own, own_log_det = ready[which].to_flow(rows)
        each.append(np.asarray(pick(i, members.flows).log_prob(own)) + own_log_det)
    known = np.logaddexp.reduce(each, 0) - np.log(6)
    np.testing.assert_allclose(np.asarray(together.log_prob(y)) + log_det, known, rtol=1e-6)


def test_members_of_one_fold_need_no_coordinates_of_their_own(rng):
    members, folds, _, _ = case(rng)
    pair = average_members(select_members(members, np.s_[:2]), folds)
    one_by_one = [select_members(members, np.s_[i : i + 1]) for i in range(2)]
    np.testing.assert_array_equal(
        pair.log_prob(folds[0].learned.y),
        average_members(concatenate_members(one_by_one), folds).log_prob(folds[0].learned.y),
    )
    alone = average_members(select_members(members, np.s_[1:2]), folds)
    np.testing.assert_array_equal(
        alone.log_prob(folds[0].learned.y),
        pick(1, members.flows).log_prob(folds[0].learned.y),
    )


def test_held_out_rows_are_scored_by_members_not_trained_on_them(rng):
    members, folds, _, _ = case(rng)
    found = held_out_log_prob(members, folds)
    cells = np.random.default_rng(0).uniform(size=(12, 1))
    gained, alone = [], []
    for i, one in enumerate(folds):
        at = one.held_out.y + cells @ one.jitter
        each = [np.asarray(pick(k, members.flows).log_prob(at)) for k in (2 * i, 2 * i + 1)]
        alone.append(np.logaddexp(*each) - np.log(2))
        gained.append(2 * (alone[-1].mean() - np.mean(each)))
    for one, known in zip(found, alone, strict=True):
        np.testing.assert_allclose(one, known + np.mean(gained) * (1 / 2 - 1 / 6), rtol=1e-5)


def test_held_out_scores_are_in_the_units_of_the_table(rng):
    members, folds, ready, _ = case(rng)
    found = ensemble(members, folds, gaussian=False)
    known = -np.mean(
        [
            one + fold.held_out.log_det
            for one, fold in zip(held_out_log_prob(members, folds), folds, strict=True)
        ]
    )
    assert found.held_out == pytest.approx(known)
    assert found.gaussian_weight == 0
    units = np.log(np.diagonal(ready[0].factor)).sum()
    assert -folds[0].held_out.log_det[0] == pytest.approx(units)


def test_a_gaussian_of_other_rows_stands_beside_the_members_of_a_fold(rng):
    """These flows are wrong, so the Gaussian gets nearly all of the weight."""
    members, folds, _, _ = case(rng)
    wrong = Members(jax.tree.map(lambda a: a + 3.0, members.flows), members.fold)
    found = ensemble(wrong, folds, gaussian=True)
    assert found.gaussian_weight > 0.9
    assert found.held_out < ensemble(wrong, folds, gaussian=False).held_out - 1


def test_contexts_go_with_their_rows(rng):
    members, folds, _, _ = case(rng, context=True)
    assert [len(one.held_out.context) for one in folds] == [12, 12, 12]
    density = ensemble(members, folds, gaussian=True)
    assert density.gaussian_weight > 0.9  # linear in the context; these flows know nothing
    assert np.isfinite(density.held_out)


def test_a_member_with_infinite_scores_does_not_count_for_the_gain_from_averaging(rng):
    members, folds, _, _ = case(rng)
    folds[1].held_out.y[:] = 1e200
    first, second, third = held_out_log_prob(members, folds)
    without = held_out_log_prob(select_members(members, np.array([0, 1, 4, 5])), folds)
    assert not np.isfinite(second).any()
    assert np.isfinite([first, third]).all()
    # Of four members each has a half: what the pairs know is the same, what it is worth is not.
    worth = (1 / 2 - 1 / 6) / (1 / 2 - 1 / 4)
    pair = select_members(members, np.s_[:2])
    alone = held_out_log_prob(pair, folds)[0]
    np.testing.assert_allclose(first - alone, worth * (without[0] - alone), rtol=1e-4)
    assert np.isinf(extrapolated_nll(np.array([[[-np.inf, -1.0], [-1.0, -2.0]]]), 4)[0])


@pytest.mark.parametrize(
    ("members", "noise", "found"),
    [(4, None, [[0] * 6, [1, 1]]), (6, None, [[0] * 6, [1, 1, 2, 2]]), (5, 0.1, [[0, 0, 1, 1, 2]])],
)
@pytest.mark.few(1)
def test_members_are_fitted_to_and_scored_on_the_rows_of_their_folds(
    members, noise, found, rng, monkeypatch
):
    _, folds, _, _ = case(rng, context=True)
    seen = []

    def spy(models, objective, key, **options):
        seen.append(objective)
        return train(models, objective, key, **options)

    monkeypatch.setattr("thalweg.density.ensemble.fit.train", spy)
    options = {"layers": 1, "hidden": (8,)}
    asked = FitSpec("maf", options, "recipe", members, 2, 8, 1e-3, 0.0, noise, gaussian=False)
    fit(folds, asked, jax.random.key(0), Silent())
    assert len(seen) == len(found)
    for objective, which in zip(seen, found, strict=True):
        mine = [folds[i] for i in which]
        for table, points in (
            (objective.data, [one.learned for one in mine]),
            (objective.validation, [one.held_out for one in mine]),
        ):
            shared = isinstance(table, Shared)
            for i, known in enumerate(points):
                y, context = table.value if shared else (leaf[i] for leaf in table)
                np.testing.assert_array_equal(y, known.y)
                np.testing.assert_array_equal(context, known.context)


class PressesCtrlCLater(Silent):
    """Press Ctrl-C while the members of the other folds are fitted."""

    seen = 0

    def update(self, stage, step, steps, value):
        self.seen += step == 10
        if step == 10 and self.seen == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_run_that_was_stopped_among_folds_ends_as_one_that_was_not(tmp_path, rng):
    np.save(tmp_path / "rows.npy", rng.normal(size=(60, 2)))
    options = {"steps": 20, "layers": 1, "hidden": (8,), "members": 5}
    whole = estimate(tmp_path / "rows.npy", progress=False, **options)
    with pytest.raises(KeyboardInterrupt):
        estimate(
            tmp_path / "rows.npy", progress=PressesCtrlCLater(), out=tmp_path / "run", **options
        )
    resumed = resume(tmp_path / "run", progress=False)
    for name in ("train_nll", "valid_nll", "test_nll"):
        assert resumed.record["results"][name] == whole.record["results"][name]
    loaded = read_run(tmp_path / "run")
    at = rng.normal(size=(7, 2))
    np.testing.assert_array_equal(loaded.estimator.log_density(at), whole.estimator.log_density(at))
    assert loaded.estimator.sample(3, random_state=0).shape == (3, 2)


def test_the_score_of_an_average_is_extrapolated_from_two_members(rng):
    one = rng.normal(-1.0, 0.3, size=(2, 1, 500))
    np.testing.assert_allclose(extrapolated_nll(one, 1), -one.mean((1, 2)))
    two = rng.normal(-1.0, 0.3, size=(2, 2, 500))
    pairs = -(np.logaddexp(two[:, 0], two[:, 1]) - np.log(2)).mean(1)
    np.testing.assert_allclose(extrapolated_nll(two, 2), pairs)
    # Members that scatter around one density: what is gained goes as 1 − 1/m.
    many = rng.normal(-1.0, 0.3, size=(8, 4000))
    mean_of_8 = -(np.logaddexp.reduce(many, 0) - np.log(8)).mean()
    assert extrapolated_nll(many[None, :2], 8)[0] == pytest.approx(mean_of_8, abs=0.01)
    two[1, 0, 3] = np.nan
    assert np.isinf(extrapolated_nll(two, 4)[1])

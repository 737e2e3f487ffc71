"""Folds of training and held-out rows, and the members fitted to them."""

import signal

import equinox as eqx
import jax
import numpy as np
import pytest

from thalweg.density.columns.preparation import prepare
from thalweg.density.defaults import NOISES
from thalweg.density.ensemble.fit import FitSpec, fit
from thalweg.density.ensemble.folds import assign_folds, make_fold, split_folds
from thalweg.density.ensemble.held_out import (
    FLOWS,
    GAUSSIAN,
    HeldOutRows,
    ensemble,
    held_out_rows,
    score_flows,
)
from thalweg.density.ensemble.members import (
    Members,
    average_members,
    by_noise,
    make_flows,
    select_members,
)
from thalweg.density.job import estimate, read_run, resume
from thalweg.density.rows.row_stream import Rows
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
    return Members(flows, assign_folds(6, 3), np.zeros(6)), folds, ready, rows


def held_out_scores(members, folds):
    """Score the rows of all folds, one array a fold."""
    used = np.unique(members.fold)
    outside = HeldOutRows([folds[i] for i in used], used)
    (part,) = score_flows([members], folds, outside)
    return [part.held_out[outside.fold == i] for i in used]


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


def test_a_member_of_the_first_fold_needs_no_coordinates_of_its_own(rng):
    members, folds, _, _ = case(rng)
    alone = average_members(select_members(members, np.array([1])), folds)
    np.testing.assert_array_equal(
        alone.log_prob(folds[0].learned.y),
        pick(1, members.flows).log_prob(folds[0].learned.y),
    )


def test_members_are_grouped_by_their_noise(rng):
    members, _, _, _ = case(rng)
    groups = by_noise(members._replace(noise=np.array([0.3, 0.1] * 3)))
    assert [one.noise.tolist() for one in groups] == [[0.1] * 3, [0.3] * 3]
    assert [one.fold.tolist() for one in groups] == [[0, 1, 2]] * 2
    second = jax.tree.leaves(eqx.filter(groups[0].flows, eqx.is_array))
    every = jax.tree.leaves(eqx.filter(members.flows, eqx.is_array))
    for some, leaf in zip(second, every, strict=True):
        np.testing.assert_array_equal(some, leaf[1::2])


def test_held_out_rows_are_scored_by_members_not_trained_on_them(rng):
    members, folds, _, _ = case(rng)
    found = held_out_scores(members, folds)
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
    found = ensemble(members, folds, simple=False)
    known = -np.mean(
        [
            one + fold.held_out.log_det
            for one, fold in zip(held_out_scores(members, folds), folds, strict=True)
        ]
    )
    assert found.held_out == pytest.approx(known)
    assert found.weights == {FLOWS: 1.0}
    units = np.log(np.diagonal(ready[0].factor)).sum()
    assert -folds[0].held_out.log_det[0] == pytest.approx(units)


def test_simpler_densities_of_other_rows_stand_beside_the_members_of_a_fold(rng):
    """These flows are wrong, so the others get nearly all of the weight."""
    members, folds, _, _ = case(rng)
    wrong = members._replace(flows=jax.tree.map(lambda a: a + 3.0, members.flows))
    found = ensemble(wrong, folds, simple=True)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.weights[FLOWS] < 0.1
    assert found.held_out < ensemble(wrong, folds, simple=False).held_out - 1


def test_flows_of_each_noise_have_a_weight(rng):
    """Members 1, 3 and 5 are wrong, and have another noise than the rest."""
    members, folds, _, _ = case(rng)
    odd = np.arange(6) % 2 == 1
    moved = jax.tree.map(
        lambda a: a + 3.0 * odd.reshape(-1, *[1] * (a.ndim - 1)).astype(a.dtype), members.flows
    )
    found = ensemble(Members(moved, members.fold, np.where(odd, 0.3, 0.1)), folds, simple=False)
    assert found.noise == 0.1
    assert found.density.log_weights[0] > np.log(0.95)


def test_contexts_go_with_their_rows(rng):
    members, folds, _, _ = case(rng, context=True)
    assert [len(one.held_out.context) for one in folds] == [12, 12, 12]
    found = ensemble(members, folds, simple=True)
    assert found.weights[GAUSSIAN] > 0.9  # linear in the context; these flows know nothing
    assert set(found.weights) == {FLOWS, GAUSSIAN}
    assert np.isfinite(found.held_out)


def test_a_member_with_infinite_scores_does_not_count_for_the_gain_from_averaging(rng):
    members, folds, _, _ = case(rng)
    folds[1].held_out.y[:] = 1e200
    first, second, third = held_out_scores(members, folds)
    without = held_out_scores(select_members(members, np.array([0, 1, 4, 5])), folds)
    assert not np.isfinite(second).any()
    assert np.isfinite([first, third]).all()
    # Of four members each has a half: what the pairs know is the same, what it is worth is not.
    worth = (1 / 2 - 1 / 6) / (1 / 2 - 1 / 4)
    pair = select_members(members, np.arange(2))
    alone = held_out_scores(pair, folds)[0]
    np.testing.assert_allclose(first - alone, worth * (without[0] - alone), rtol=1e-4)


@pytest.mark.parametrize(
    ("members", "noise", "found"),
    [(4, None, [0, 0, 1, 1]), (6, None, [0, 0, 1, 1, 2, 2]), (5, 0.1, [0, 0, 1, 1, 2])],
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
    (objective,) = seen  # one program for all members
    sizes = (noise,) if noise else [one * 48 ** (-1 / 7) for one in NOISES]
    np.testing.assert_allclose(objective.noise, np.resize(sizes, members))
    mine = [folds[i] for i in found]
    for table, points in (
        (objective.data, [one.learned for one in mine]),
        (objective.validation, [one.held_out for one in mine]),
    ):
        for i, known in enumerate(points):
            y, context = (leaf[i] for leaf in table)
            np.testing.assert_array_equal(y, known.y)
            np.testing.assert_array_equal(context, known.context)


class PressesCtrlC(Silent):
    """Press Ctrl-C in the middle of a fit."""

    def update(self, stage, step, steps, value):
        if step == 10:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_run_that_was_stopped_among_folds_ends_as_one_that_was_not(tmp_path, rng):
    np.save(tmp_path / "rows.npy", rng.normal(size=(60, 2)))
    options = {"steps": 20, "layers": 1, "hidden": (8,), "members": 5}
    whole = estimate(tmp_path / "rows.npy", progress=False, **options)
    with pytest.raises(KeyboardInterrupt):
        estimate(tmp_path / "rows.npy", progress=PressesCtrlC(), out=tmp_path / "run", **options)
    resumed = resume(tmp_path / "run", progress=False)
    for name in ("train_nll", "valid_nll", "test_nll"):
        assert resumed.record["results"][name] == whole.record["results"][name]
    loaded = read_run(tmp_path / "run")
    at = rng.normal(size=(7, 2))
    np.testing.assert_array_equal(loaded.estimator.log_density(at), whole.estimator.log_density(at))
    assert loaded.estimator.sample(3, random_state=0).shape == (3, 2)


def test_a_fold_without_members_of_a_noise_says_nothing_about_it(rng):
    """Five members: the second noise has none in the third fold."""
    members, folds, _, _ = case(rng)
    five = select_members(members, np.arange(5))._replace(noise=np.array([0.1, 0.3, 0.1, 0.3, 0.1]))
    outside = HeldOutRows(folds, np.arange(3))
    first, second = score_flows(by_noise(five), folds, outside)
    last = outside.fold == 2
    assert np.isfinite(first.held_out).all()
    assert np.isfinite(second.held_out).all()
    alone = np.asarray(pick(4, members.flows).log_prob(held_out_rows(folds[2])))
    np.testing.assert_allclose(second.held_out[last], alone, rtol=1e-5)
    assert np.isfinite(ensemble(five, folds, simple=True).held_out)

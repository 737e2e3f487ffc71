"""The page about a fit: self-contained, escaped, complete, and calm about broken numbers."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest
from report.page_check import check
from report.posteriors import make

import thalweg
from thalweg.diagnostics import Diagnostics, Restarts, decide
from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.importance import WeightDiagnostics
from thalweg.diagnostics.mixture_evidence import MixtureEvidence
from thalweg.inference import read_run
from thalweg.report import write_report
from thalweg.report.advice import explanations
from thalweg.report.page import render
from thalweg.training.history import History


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.few(1)
def test_a_page_of_each_dimension_loads_nothing(dim):
    page = render(make(dim))
    checker = check(page)
    assert checker.tags.count("svg") == 1 + {1: 1, 2: 2, 5: 1}[dim] + 2
    assert len(page) < 1_500_000
    assert "var(--fig-flow)" in page
    assert page.count('class="only-dark"') == (2 if dim == 2 else 0)
    assert "1 min 15 s" in page
    assert "layer.weight" in page
    assert "thalweg infer standard_normal" in page
    assert "jax 1.2.3" in page


@pytest.mark.parametrize("word", ["trust", "reweight", "reject"])
def test_the_verdict_comes_with_next_steps(word):
    page = render(make(1, word))
    assert f"Verdict: {word}" in page
    assert "The reason in words." in page
    action = {"trust": ".sample(", "reweight": ".resample(", "reject": "restarts=8"}[word]
    assert action in page


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.01, 0.015, "The flow misses 1.0 ± 1.5 % of the mass, which excludes more than 5 %."),
        (0.2, 0.08, "could not be settled: by estimate 18.1 ± 6.5 %."),
        (0.7, 0.01, "The flow misses 50.3 ± 0.5 % of the mass."),
    ],
)
def test_page_and_verdict_state_missed_mass_in_the_same_words(value, error, words):
    posterior = make(1)
    coverage = MixtureEvidence(value, error, 19)
    posterior.diagnostics = dataclasses.replace(
        posterior.diagnostics,
        **{"log_evidence": 0.0, "log_evidence_se": 0.0, "elbo": 0.0, "coverage": coverage},
        **{"khat": 0.1, "ess_fraction": 0.99, "mean_shift": 0.0},
    )
    said = dict((name, text) for name, _, text in explanations(posterior))["Missed-mass check"]
    assert said.endswith(words)
    verdict = decide(posterior.diagnostics)
    assert any(words.lower().rstrip(".") in reason.lower() for reason in verdict.reasons)


@pytest.mark.slow
def test_many_parameters_are_left_out_by_name():
    page = render(make(60))
    check(page)
    assert "20 more parameters are left out" in page
    assert "Left out:" in page
    assert len(page) < 1_500_000


@pytest.mark.slow
def test_hostile_names_are_text():
    evil = "<script>alert(1)</script>"
    names = ('"><img src=x onerror=alert(1)>', "$\\frac{$ 日本\n&amp;" + 50 * "w")
    posterior = make(2, reasons=[evil])
    posterior.target = dataclasses.replace(posterior.target, name=evil, parameter_names=names)
    posterior.coordinate_names = names
    posterior.record["target"]["name"] = evil
    posterior.record["environment"]["device"] = evil
    page = render(posterior)
    checker = check(page)
    assert checker.tags.count("script") == 1
    assert "img" not in checker.tags
    assert evil not in page
    assert "&lt;script&gt;" in page
    five = make(5, coordinate_names=("a", "b" * 80, "$", "<b>", "c"))
    check(render(five))


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_a_run_without_its_target_shows_the_flow_alone(dim):
    posterior = make(dim, target=None)
    posterior.record["target"].update(reference=None, name="mine")
    page = render(posterior)
    check(page)
    if dim < 3:
        assert "only the flow is shown" in page
    assert "the function itself is not part of the record" in page
    assert "thalweg infer" not in page


@pytest.mark.parametrize(("dim", "value"), [(1, np.nan), (2, np.inf), (5, -np.inf), (2, None)])
@pytest.mark.few(2)
def test_numbers_that_are_not_finite_do_not_break_the_page(dim, value):
    posterior = make(dim, "reject", record={})
    value = np.nan if value is None else value
    numbers = WeightDiagnostics(*[value] * 7)
    posterior.diagnostics = Diagnostics(
        **numbers,
        kl=value,
        draws=2000,
        gaussian=numbers,
        restarts=Restarts(np.full(2, np.nan), np.zeros(2, int)),
        coverage=MixtureEvidence(value, value, 3),
    )
    posterior.target = dataclasses.replace(posterior.target, log_z=None)
    rows = [[np.nan, np.inf]] * len(posterior.history.step)
    posterior.history = dataclasses.replace(posterior.history, value=rows)
    check(render(posterior))


@pytest.mark.parametrize(("dim", "finite"), [(1, 1), (2, 0), (2, 3), (5, 0), (5, 3)])
@pytest.mark.few(2)
def test_draws_without_weights_do_not_break_the_page(dim, finite):
    posterior = make(dim, "reject")
    draws = posterior.draws
    log_p = np.where(np.arange(2000) < finite, draws.log_p, -np.inf)
    x = np.where(np.arange(2000)[:, None] % 7 == 6, np.nan, draws.x) if finite == 0 else draws.x
    posterior.draws = Draws(x, draws.log_q, log_p)
    posterior.target = dataclasses.replace(posterior.target, box=None)
    posterior.history = History()
    page = render(posterior)
    check(page)
    assert "no training history" in page


def test_an_empty_record_leaves_parts_out():
    page = render(
        make(
            2,
            record={},
            target=None,
            diagnostics=Diagnostics(*[0.5] * 6),
        )
    )
    check(page)
    assert "How to repeat" not in page
    assert "Restarts" not in page


def test_the_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    posterior = make(1)
    path = write_report(posterior, tmp_path)
    assert path == tmp_path / "report.html"
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thalweg.files.writing.os.fsync", fail)
    with pytest.raises(ValueError, match="No space left"):
        write_report(posterior, path)
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir() if "report" in p.name] == ["report.html"]
    monkeypatch.undo()
    with pytest.raises(ValueError, match="cannot write"):
        write_report(posterior, tmp_path / "nowhere" / "page.html")


def test_a_saved_posterior_becomes_a_page_in_its_folder(tmp_path):
    make(1).save(tmp_path / "r")
    page = write_report(read_run(tmp_path / "r"), tmp_path / "r").read_text(encoding="utf-8")
    check(page)
    assert "thalweg sample r -n" in page and " UTC" in page


@pytest.mark.slow
def test_a_run_becomes_a_page(tmp_path):
    def bowl(x):
        return -0.5 * jnp.sum(x**2)

    thalweg.infer(
        bowl, 2, flow="planar", layers=1, steps=60, restarts=1, out=tmp_path / "r", progress=False
    )
    page = write_report(read_run(tmp_path / "r"), tmp_path / "r").read_text(encoding="utf-8")
    check(page)
    assert "bowl" in page
    assert "only the flow is shown" in page


@pytest.mark.parametrize("verdict", ["reweight", "reject"])
def test_a_page_of_a_fit_that_is_not_trusted_proposes_to_refine(verdict):
    card = render(make(1, verdict)).split("<h2>Numbers</h2>")[0]
    assert "posterior.refine()" in card
    assert re.search(r"thalweg infer standard_normal --dim 1 [^<]*--refine auto", card)
    assert "refine" not in render(make(1)).split("<h2>Numbers</h2>")[0]


def test_a_faint_tail_is_explained():
    posterior = make()
    posterior.diagnostics = dataclasses.replace(
        posterior.diagnostics, khat=0.9, beyond=0.004, ess_fraction=0.97
    )
    assert "0.4 % of the mass lies in the tail" in render(posterior)
    posterior.diagnostics = dataclasses.replace(posterior.diagnostics, beyond=0.4)
    assert "a few draws carry the weights" in render(posterior)
    posterior.diagnostics = dataclasses.replace(posterior.diagnostics, ess_fraction=0.9995)
    assert "weights this equal" in render(posterior)

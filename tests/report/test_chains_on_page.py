"""The page of a posterior with chains, converged or not."""

import numpy as np
import pytest
from report.page_check import check
from report.posteriors import make

from thalweg.chains.refined import Refined
from thalweg.diagnostics.convergence import ChainDiagnostics
from thalweg.report.page import render


def with_chains(verdict, dim=2, flow="reject", shift=0.0):
    posterior = make(dim, flow)
    numbers = ChainDiagnostics(
        rhat=np.linspace(1.0042, 1.0, dim),
        ess_bulk=np.linspace(812.0, 900.0, dim),
        ess_tail=np.linspace(777.0, 900.0, dim),
        acceptance=0.9,
        divergences=0.0,
        method="neutra",
        log_evidence=0.25,
        log_evidence_se=0.01,
    )
    draws = shift + np.random.default_rng(0).normal(size=(4, 50, dim))
    names = posterior.coordinate_names
    posterior.refined = Refined(draws, numbers, verdict, ["how the chains went."], names)
    return posterior


def test_chains_that_have_not_converged_stand_below_the_flow():
    assert "<h2>Chains</h2>" not in render(make())
    page = render(with_chains("reject"))
    check(page)
    assert page.index("Verdict: reject") < page.index("<h2>Chains</h2>")
    for words in ("how the chains went.", "4 chains of 50 draws", "1.004", "812", "777"):
        assert words in page


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_converged_chains_lead_the_page(dim):
    page = render(with_chains("trust", dim))
    check(page)
    card, rest = page.split("<h2>Numbers</h2>")
    assert "Chains: converged" in card and 'class="card verdict trust"' in card
    assert "their draws stand for the target. The flow alone: reject." in card
    assert "posterior.sample(1000)" in card
    assert "Do not use this fit" not in card and "The reason in words." not in card
    numbers, flow = rest.split("<h2>The flow alone: reject</h2>")
    for words in ("1.0042", "812", "777", "0.250", "<h2>Parameters</h2>", "ESS bulk"):
        assert words in numbers
    assert "Pareto k̂" not in numbers
    assert "The reason in words." in flow
    drawn = {1: "Bars: the draws of the chains", 2: "<h3>Chains</h3>", 5: "draws of the chains"}
    assert drawn[dim] in numbers

"""R̂ and effective sample sizes against ArviZ, and the rule of convergence."""

import numpy as np
import pytest

from thalweg.diagnostics.convergence import converged, diagnose, verdict_and_reasons


def walks(seed, rho, chains=4, n=500, d=3):
    """Autoregressive chains of unit variance."""
    rng = np.random.default_rng(seed)
    x = np.zeros((chains, n, d))
    x[:, 0] = rng.normal(size=(chains, d))
    for i in range(1, n):
        x[:, i] = rho * x[:, i - 1] + (1 - rho**2) ** 0.5 * rng.normal(size=(chains, d))
    return x


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_the_numbers_are_those_of_arviz(rho):
    arviz = pytest.importorskip("arviz", reason="the oracle")
    x = walks(0, rho)
    ours = diagnose(x)
    for i in range(x.shape[2]):
        np.testing.assert_allclose(ours["rhat"][i], arviz.rhat(x[..., i]), rtol=1e-4)
        for kind in ("bulk", "tail"):
            theirs = arviz.ess(x[..., i], method=kind)
            np.testing.assert_allclose(ours[f"ess_{kind}"][i], theirs, rtol=0.02)


def test_many_columns_go_through_in_parts():
    x = walks(1, 0.5, n=60, d=67)
    numbers = diagnose(x)
    assert numbers["rhat"].shape == (67,)
    np.testing.assert_allclose(numbers["rhat"][-1], diagnose(x[..., -1:])["rhat"][0])


def test_chains_in_different_modes_have_not_converged():
    x = walks(2, 0.0, n=1000)
    names = ("a", "b", "c")
    assert converged(diagnose(x), 0.0)
    assert verdict_and_reasons(diagnose(x), 0.0, names)[0] == "trust"
    assert not converged(diagnose(x), 0.2)
    x[0, :, 1] += 1.0
    word, reasons = verdict_and_reasons(diagnose(x), 0.0, names)
    assert word == "reject"
    assert "(b)" in reasons[0]


def test_a_chain_that_does_not_move_has_not_converged():
    x = walks(3, 0.0)
    x[..., 0] = 2.0
    assert not converged(diagnose(x), 0.0)

"""Amortisation and approximation gaps: with a linear decoder both are known."""

import signal

import jax
import numpy as np
import pytest
from latent.linear_gaussian import Known, model_of

from thalweg.data.observations import Reals
from thalweg.latent.gaps import gaps
from thalweg.training import Silent


@pytest.fixture(scope="module")
def found():
    known = Known(rows=30)
    model = model_of(known, mean=0.8 * known.gain, log_scale=-0.3)
    return known, gaps(model, Reals(known.x), jax.random.key(0), draws=2000)


def test_a_full_normal_is_the_posterior(found):
    known, values = found
    np.testing.assert_allclose(values.full, known.evidence(), atol=1e-3)
    np.testing.assert_allclose(values.log_likelihood, known.evidence(), atol=1e-4)


def test_a_diagonal_normal_loses_the_correlations(found):
    """The best one has the diagonal of the precision Λ: KL = (Σ ln Λ_ii − ln|Λ|) / 2."""
    known, values = found
    precision = np.linalg.inv(known.covariance)
    lost = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert lost > 0.1
    np.testing.assert_allclose(known.evidence() - values.diagonal, lost, atol=0.1)
    assert np.mean(known.evidence() - values.diagonal) == pytest.approx(lost, abs=0.01)


def test_the_rest_is_lost_by_the_encoder(found):
    known, values = found
    mean, scale = 0.8 * known.posterior_mean(), np.exp(-0.3)
    precision = np.linalg.inv(known.covariance)
    away = mean - known.posterior_mean()
    divergence = 0.5 * (
        scale**2 * np.trace(precision)
        - len(precision)
        + np.einsum("ri,ij,rj->r", away, precision, away)
        - np.linalg.slogdet(precision * scale**2)[1]
    )
    np.testing.assert_allclose(known.evidence() - values.bound, divergence, atol=0.9)
    summary = values.summary()
    assert summary["encoder"] == pytest.approx(np.mean(values.diagonal - values.bound))
    assert summary["encoder"] == pytest.approx(
        np.mean(divergence) - np.mean(known.evidence() - values.diagonal), abs=0.1
    )
    assert summary["encoder_se"] > 0 and summary["rows"] == 30


@pytest.mark.slow
def test_rows_are_many_or_one():
    known = Known(rows=101)
    model = model_of(known)
    values = gaps(model, Reals(known.x), jax.random.key(0), draws=1)
    assert all(part.shape == (101,) for part in values)
    np.testing.assert_allclose(values.full, known.evidence(), atol=1e-2)
    assert gaps(model, Reals(known.x[:1]), jax.random.key(0)).summary()["encoder_se"] is None
    with pytest.raises(ValueError, match="draws must be a whole number of at least 1, got 0"):
        gaps(model, Reals(known.x), jax.random.key(0), draws=0)


def test_an_interrupt_ends_it():
    known = Known(rows=2)

    class Impatient(Silent):
        def update(self, *_):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        gaps(model_of(known), Reals(known.x), jax.random.key(0), progress=Impatient())

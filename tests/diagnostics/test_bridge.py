"""Bridge sampling: exact where the densities are known, and where importance sampling is not."""

import numpy as np
import pytest
from scipy.stats import norm, t

from thalweg.diagnostics.bridge import bridge_evidence

LOG_Z = 3.7


def log_weights(x, p, q):
    """ln p̃ − ln q with ln Z = LOG_Z."""
    return p.logpdf(x) + LOG_Z - q.logpdf(x)


@pytest.mark.parametrize(
    ("p", "q"), [(norm(), norm()), (norm(0.3, 1.2), norm()), (t(4), norm()), (norm(), norm(0, 3))]
)
def test_it_finds_the_evidence_within_its_error(p, q):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        x, y = q.rvs(2000, random_state=rng), p.rvs(1000, random_state=rng)
        value, error = bridge_evidence(log_weights(x, p, q), log_weights(y, p, q), 1000)
        errors.append((value - LOG_Z, error))
    off, stated = np.array(errors).T
    np.testing.assert_allclose(off.mean(), 0, atol=5 * off.std() / 50**0.5 + 1e-12)
    assert off.std() <= 1.5 * stated.mean() + 1e-12
    assert stated.mean() <= 2.0 * off.std() + 1e-12


def test_light_tails_of_the_proposal_do_no_harm():
    p, q = norm(0, 1), norm(0, 0.6)
    rng = np.random.default_rng(1)
    x, y = q.rvs(20_000, random_state=rng), p.rvs(20_000, random_state=rng)
    value, error = bridge_evidence(log_weights(x, p, q), log_weights(y, p, q), 20_000)
    assert error < 0.02
    assert abs(value - LOG_Z) < 4 * error


def test_points_without_density_count_as_nothing():
    rng = np.random.default_rng(2)
    x, y = norm().rvs(4000, random_state=rng), abs(norm().rvs(4000, random_state=rng))
    weights = np.where(x > 0, 0.0, -np.inf)
    value, _ = bridge_evidence(weights, np.zeros(y.size), y.size)
    np.testing.assert_allclose(value, np.log(0.5), atol=0.05)

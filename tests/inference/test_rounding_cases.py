"""Twenty densities of large values or small scales: right, or rejected with rounding named."""

import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET
from jax.scipy.special import gammaln

from thalweg.inference import infer
from thalweg.precision import computing_in

LIMIT = 0.05  # nats
BUDGET = {**BUDGET, "steps": 300}
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def counts(level, rows):
    y = np.random.default_rng(0).poisson(level, rows).astype(float)

    def log_density(x):
        return jnp.sum(y * x[0] - jnp.exp(x[0]) - gammaln(y + 1.0))

    # A Gamma integral: the coordinate is ln of the rate, without a prior.
    known = gammaln(y.sum()) - y.sum() * np.log(rows) - np.sum(gammaln(y + 1.0))
    return log_density, 1, float(known)


def raised(by, dim):
    return lambda x: by - 0.5 * jnp.sum(x**2), dim, by + dim * HALF_LOG_2PI


def narrow(scale, at, dim):
    def log_density(x):
        return -0.5 * jnp.sum(((x - at) / scale) ** 2)

    return log_density, dim, dim * (np.log(scale) + HALF_LOG_2PI)


def two_scales(small, large):
    scales = np.array([small, large])

    def log_density(x):
        return -0.5 * jnp.sum(((x - 1.0) / scales) ** 2)

    return log_density, 2, float(np.log(scales).sum() + 2 * HALF_LOG_2PI)


def many_rows(rows, noise):
    y = 3.0 + noise * np.random.default_rng(1).normal(size=rows)

    def log_density(x):
        return jnp.sum(-0.5 * ((y - x[0]) / noise) ** 2 - np.log(noise) - HALF_LOG_2PI)

    s = noise / np.sqrt(rows)
    best = -0.5 * np.sum(((y - y.mean()) / noise) ** 2) - rows * (np.log(noise) + HALF_LOG_2PI)
    return log_density, 1, float(best + np.log(s) + HALF_LOG_2PI)


CASES = {
    "counts 1.3e6": lambda: counts(1.3e6, 20),
    "counts 1e4": lambda: counts(1e4, 50),
    "counts 1e7": lambda: counts(1e7, 20),
    "counts 1e8": lambda: counts(1e8, 5),
    "counts 1e9": lambda: counts(1e9, 3),
    "raised 1e5": lambda: raised(1e5, 2),
    "raised 1e6": lambda: raised(1e6, 1),
    "raised 1e7": lambda: raised(-1e7, 3),
    "raised 1e8": lambda: raised(1e8, 1),
    "raised 1e9": lambda: raised(-1e9, 2),
    "narrow 1e-8 at 0": lambda: narrow(1e-8, 0.0, 1),
    "narrow 1e-8 at 1": lambda: narrow(1e-8, 1.0, 1),
    "narrow 1e-8 at 1, d = 3": lambda: narrow(1e-8, 1.0, 3),
    "narrow 1e-6 at 100": lambda: narrow(1e-6, 100.0, 2),
    "narrow 1e-3 at 1e4": lambda: narrow(1e-3, 1e4, 1),
    "scales 1e-8 and 1": lambda: two_scales(1e-8, 1.0),
    "scales 1e-8 and 1e4": lambda: two_scales(1e-8, 1e4),
    "rows 2e4": lambda: many_rows(20_000, 1.0),
    "rows 2e4, noise 1e-3": lambda: many_rows(20_000, 1e-3),
    "rows 1e4, noise 1e-4": lambda: many_rows(10_000, 1e-4),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_w3_ln_z_is_right_or_rounding_is_named(case):
    log_density, dim, known = CASES[case]()
    with computing_in("float32"):
        posterior = infer(log_density, dim, **BUDGET)
    named = posterior.verdict == "reject" and "rounded" in posterior.reasons[0]
    off = abs(posterior.diagnostics["log_evidence"] - known)
    assert named or off < LIMIT, (posterior.reasons, off)


@pytest.mark.slow
def test_w3_twenty_cases():
    assert len(CASES) == 20

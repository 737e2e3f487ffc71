"""Small NumPyro models with known posteriors."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

DESIGN = jnp.array([[1.0, 0.5], [1.0, -1.0], [1.0, 2.0], [1.0, 0.0], [1.0, 1.5]])
RESPONSE = jnp.array([1.0, -0.5, 3.0, 0.8, 2.0])
NOISE, PRIOR = 0.7, 2.0


def regression(y=None):
    """Two coefficients with a normal prior, normal noise: the posterior is normal."""
    w = numpyro.sample("w", dist.Normal(0, PRIOR).expand([2]).to_event(1))
    numpyro.deterministic("sum", jnp.sum(w))
    with numpyro.plate("rows", 5):
        numpyro.sample("y", dist.Normal(DESIGN @ w, NOISE), obs=y)


def regression_posterior():
    """Mean (2,) and covariance (2, 2) of the coefficients."""
    design = np.asarray(DESIGN)
    covariance = np.linalg.inv(design.T @ design / NOISE**2 + np.eye(2) / PRIOR**2)
    return covariance @ design.T @ np.asarray(RESPONSE) / NOISE**2, covariance


def regression_evidence():
    """ln p(y): y is normal with covariance PRIOR² X Xᵀ + NOISE²."""
    design = np.asarray(DESIGN)
    covariance = PRIOR**2 * design @ design.T + NOISE**2 * np.eye(5)
    y = np.asarray(RESPONSE)
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (log_det + y @ np.linalg.solve(covariance, y))


def mixed(y=None):
    """Sites on four different supports; unconstrained, d = 1 + 1 + 2 + 3."""
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    share = numpyro.sample("share", dist.Beta(2.0, 2.0))
    numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    effect = numpyro.sample("effect", dist.Normal(0, 1).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(share * jnp.sum(effect), rate), obs=y)


def scalar(y=None):
    """One number: posterior N(4y/5, 4/5)."""
    mu = numpyro.sample("mu", dist.Normal(0, 2))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)

"""Densities with elliptical contours: normal and Student-t."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import stdtrit

from thalweg.argument_checks import check_real_number
from thalweg.targets.catalogue.exact import LOG_2PI, constant
from thalweg.targets.target import Target, check_dimension
from thalweg.tree import default_float


def _whiten(u: Float[Array, " d"], correlation: float) -> Float[Array, " d"]:
    """z with uᵀ R⁻¹ u = zᵀ z for R_ij = correlation^|i−j|, in O(d)."""
    step = math.sqrt(1 - correlation**2)
    return jnp.concatenate([u[:1], (u[1:] - correlation * u[:-1]) / step])


def _correlation_factor(dim: int, correlation: float) -> np.ndarray:
    """The lower Cholesky factor of R_ij = correlation^|i−j|."""
    lag = np.subtract.outer(np.arange(dim), np.arange(dim))
    factor = np.tril(np.power(correlation, np.maximum(lag, 0)))
    factor[:, 1:] *= math.sqrt(1 - correlation**2)
    return factor


def standard_normal(*, dim: int = 2) -> Target:
    """N(0, I) on R^dim, normalised: ln Z = 0 nats."""
    dim = check_dimension(dim)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        return -0.5 * (jnp.sum(x**2) + dim * LOG_2PI)

    return Target(
        "standard_normal",
        dim,
        log_density,
        log_z=0.0,
        mean=np.zeros(dim),
        covariance=np.eye(dim),
        sample=lambda key, n: jax.random.normal(key, (n, dim), default_float()),
        box=((-4.0, 4.0),) * dim,
        source="closed form",
    )


def correlated_gaussian(
    *,
    dim: int = 50,
    correlation: float = 0.95,
    smallest: float = 0.1,
    largest: float = 10.0,
    mean: float = 1.0,
) -> Target:
    """An ill-conditioned normal without its constant: ln p̃(x) = −½ (x − m)ᵀ Σ⁻¹ (x − m).

    Σ_ij = sᵢ sⱼ correlation^|i−j|, the scales s log-spaced from `smallest` to `largest`, every
    coordinate of m equal to `mean`. ln Z = ½ d ln 2π + Σ ln sᵢ + ½ (d−1) ln(1 − correlation²) nats.
    """
    dim = check_dimension(dim)
    correlation = check_real_number("correlation", correlation, above=-1, below=1)
    smallest = check_real_number("smallest", smallest, above=0)
    largest = check_real_number("largest", largest, above=0)
    mean = check_real_number("mean", mean)
    scales = np.geomspace(smallest, largest, dim)
    factor = scales[:, None] * _correlation_factor(dim, correlation)
    log_det = float(np.sum(np.log(scales))) + (dim - 1) / 2 * math.log1p(-(correlation**2))

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        z = _whiten((x - mean) / constant(scales, x), correlation)
        return -0.5 * jnp.sum(z**2)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        e = jax.random.normal(key, (n, dim), default_float())
        return mean + e @ constant(factor, e).T

    return Target(
        "correlated_gaussian",
        dim,
        log_density,
        log_z=dim / 2 * LOG_2PI + log_det,
        mean=np.full(dim, mean),
        covariance=factor @ factor.T,
        sample=sample,
        box=tuple((mean - 4 * float(s), mean + 4 * float(s)) for s in scales),
        source="closed form",
    )


def student_t(*, dim: int = 10, df: float = 3.0, correlation: float = 0.5) -> Target:
    """The multivariate Student-t with `df` degrees of freedom, normalised: ln Z = 0 nats.

    ln p(x) = ln Γ((ν+d)/2) − ln Γ(ν/2) − ½ d ln(πν) − ½ ln|R| − ½(ν+d) ln(1 + xᵀR⁻¹x/ν) with
    R_ij = correlation^|i−j|. The mean is known for ν > 1, the covariance ν/(ν−2) R for ν > 2.
    """
    dim = check_dimension(dim)
    df = check_real_number("df", df, above=0)
    correlation = check_real_number("correlation", correlation, above=-1, below=1)
    log_norm = (
        math.lgamma((df + dim) / 2)
        - math.lgamma(df / 2)
        - dim / 2 * math.log(math.pi * df)
        - (dim - 1) / 2 * math.log1p(-(correlation**2))
    )
    factor = _correlation_factor(dim, correlation)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        z = _whiten(x, correlation)
        return log_norm - (df + dim) / 2 * jnp.log1p(jnp.sum(z**2) / df)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        noise, mixing = jax.random.split(key)
        e = jax.random.normal(noise, (n, dim), default_float())
        chi_square = 2 * jax.random.gamma(mixing, df / 2, (n, 1), default_float())
        return (e @ constant(factor, e).T) * jnp.sqrt(df / chi_square)

    edge = float(stdtrit(df, 0.995))
    return Target(
        "student_t",
        dim,
        log_density,
        log_z=0.0,
        mean=np.zeros(dim) if df > 1 else None,
        covariance=df / (df - 2) * (factor @ factor.T) if df > 2 else None,
        sample=sample,
        box=((-edge, edge),) * dim,
        source="closed form",
    )

"""Densities of many rows in blocks of one size: one program, bounded memory.

The number of a row does not depend on how many others are scored with it. The members of an
ensemble are scored by the program that a fit has compiled already; kernels and mixtures, whose
sizes differ from fit to fit, on the host, where nothing is compiled.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import logsumexp

from thalweg.compiling import jit_few
from thalweg.density.ensemble.kernels import kernel_log_densities
from thalweg.distributions import (
    Blend,
    Distribution,
    Ensemble,
    GaussianMixture,
    KernelDensity,
)
from thalweg.gaussians import Gaussian
from thalweg.tree import default_float

BLOCK = 1024
SHORT = 20  # blocks up to which a program that is compiled in less time is as fast
FAR = 1e4  # standard deviations beyond which NaN means that a number was too large


def log_prob_in_blocks(
    density: Distribution,
    y: Float[np.ndarray, "rows d"],
    context: Float[np.ndarray, "rows k"] | None = None,
) -> Float[np.ndarray, " rows"]:
    """Return ln q(y | context) of every row.

    It is −inf, never NaN, for points that overflow in the precision of the device.
    """
    if isinstance(density, Blend):
        given = (None if part.context_shape is None else context for part in density.parts)
        each = [
            log_prob_in_blocks(part, y, one) for part, one in zip(density.parts, given, strict=True)
        ]
        weights = np.asarray(density.log_weights, np.float64)
        return np.asarray(logsumexp(np.array(each) + weights[:, None], 0))
    if isinstance(density, KernelDensity | GaussianMixture):
        return _on_host(density, y)
    each_member = log_probs_in_blocks(density, y, context)
    return np.asarray(logsumexp(each_member, 0) - np.log(len(each_member)))


def _on_host(
    density: KernelDensity | GaussianMixture, y: Float[np.ndarray, "rows d"]
) -> Float[np.ndarray, " rows"]:
    arrays = jax.device_get(density)
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(arrays, KernelDensity):
            width = np.exp(np.asarray(arrays.log_bandwidth, np.float64))
            found = kernel_log_densities(np.asarray(arrays.points.value, float), width[None], y)[0]
        else:
            logits = np.asarray(arrays.logits, np.float64)
            scales = np.exp(np.asarray(arrays.log_diagonals, np.float64))
            factors = np.tril(arrays.below, -1) + scales[:, None] * np.eye(y.shape[1])
            parts = zip(arrays.locs, factors, strict=True)
            each = np.array([Gaussian(loc, factor).log_prob(y) for loc, factor in parts])
            found = logsumexp(each + (logits - logsumexp(logits))[:, None], 0)
    # As on the device: a square overflows there.
    far = np.abs(y) > float(jnp.finfo(default_float()).max) ** 0.5
    return np.where(far.any(1), -np.inf, found)


def log_probs_in_blocks(
    density: Distribution,
    y: Float[np.ndarray, "rows d"],
    context: Float[np.ndarray, "rows k"] | None = None,
) -> Float[np.ndarray, "members rows"]:
    """Return ln q_k(y | context) of every row for each member; any other density has one."""
    members = len(density) if isinstance(density, Ensemble) else 1
    log_probs = _short_log_probs if len(y) <= SHORT * BLOCK else _log_probs
    found = np.empty((members, len(y)))
    largest = float(jnp.finfo(default_float()).max)
    beyond = ~(np.abs(y) < largest).all(1)
    y = np.where(beyond[:, None], 0.0, y)
    for begin in range(0, len(y), BLOCK):
        part = y[begin : begin + BLOCK]
        given = None if context is None else _pad(context[begin : begin + BLOCK])
        values = np.asarray(log_probs(density, _pad(part), given))
        found[:, begin : begin + len(part)] = values.reshape(members, -1)[:, : len(part)]
    # Where only the square of a number overflows, formulas end in NaN.
    far = (np.abs(y) > FAR).any(1)
    found[beyond[None] | (far[None] & np.isnan(found))] = -np.inf
    return found


def _log_probs(
    density: Distribution, y: Float[Array, "block d"], context: Float[Array, "block k"] | None
) -> Float[Array, "*members block"]:
    return (
        density.log_probs(y, context)
        if isinstance(density, Ensemble)
        else density.log_prob(y, context)
    )


_short_log_probs = jit_few(_log_probs)


def _pad(rows: Float[np.ndarray, "rows d"]) -> Float[Array, "block d"]:
    """Pad rows to the size of a block by repeating the last one."""
    index = np.arange(BLOCK).clip(max=len(rows) - 1)
    return jnp.asarray(rows[index], default_float())

"""Are the models of `posterior_models` those whose evidences are known?

Importance sampling from a Student-t fitted to the reference draws (in unconstrained coordinates),
or to exact or Laplace draws, against the stated ln Z. Run in float64, in its own process:

JAX_ENABLE_X64=1 python benchmarks/check_posteriors.py [NAME ...]
"""

from __future__ import annotations

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
from posterior_models import Case, models
from posterior_models.grouped_integrals import facts

from thalweg.targets import Target

DF, DRAWS, WIDER = 7.0, 200_000, 1.1
TOLERANCE = 0.01  # nats
HIERARCHICAL = "hierarchical_logistic"


def proposal(case: Case, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Location and Cholesky factor of a Student-t near the posterior."""
    reference = case.reference()
    if reference is not None and reference.draws is not None:
        points = case.points(target, reference.draws)
        return points.mean(0), WIDER * np.linalg.cholesky(np.atleast_2d(np.cov(points.T)))
    mode = jnp.zeros(target.dim)
    slope, bend = jax.grad(target.log_density), jax.hessian(target.log_density)
    for _ in range(30):
        mode = mode - jnp.linalg.solve(bend(mode), slope(mode))
    return np.asarray(mode), WIDER * np.linalg.cholesky(np.linalg.inv(-np.asarray(bend(mode))))


def evidence(target: Target, loc: np.ndarray, factor: np.ndarray) -> tuple[float, float, float]:
    """ln Z, its standard error and the effective fraction."""
    dim, random = target.dim, np.random.default_rng(1)
    z = random.standard_normal((DRAWS, dim)) / np.sqrt(random.chisquare(DF, (DRAWS, 1)) / DF)
    log_q = (
        math.lgamma((DF + dim) / 2)
        - math.lgamma(DF / 2)
        - dim / 2 * math.log(math.pi * DF)
        - np.sum(np.log(np.diagonal(factor)))
        - (DF + dim) / 2 * np.log1p(np.sum(z**2, 1) / DF)
    )
    batched = jax.jit(lambda x: jax.lax.map(target.log_density, x, batch_size=1000))
    log_w = np.asarray(batched(loc + z @ factor.T)) - log_q
    log_w = np.where(np.isnan(log_w), -np.inf, log_w)
    w = np.exp(log_w - log_w.max())
    error = w.std() / w.mean() / DRAWS**0.5
    return log_w.max() + np.log(w.mean()), error, w.sum() ** 2 / np.sum(w**2) / DRAWS


def centred_against_non_centred(target: Target) -> float:
    """The largest difference of the two densities at the same draws, determinants included."""
    other = models()["eight_schools_noncentred"]
    beside, rows = other.make(), other.reference().draws
    own = models()["eight_schools_centred"].points(target, rows)
    ln_tau = own[:, -1]
    of_other = jax.vmap(beside.log_density)(other.points(beside, rows))
    return float(np.max(np.abs(jax.vmap(target.log_density)(own) + 8 * ln_tau - of_other)))


def line(name: str, case: Case) -> tuple[str, bool]:
    """The check of one case, and whether the stated value holds."""
    target = case.make()
    if case.reference() is not None:
        names = case.reference().names
        own = case.measured(target, np.zeros((1, target.dim))).shape[1]
        assert len(names) == own, f"{name}: {len(names)} names for {own} columns"
    if name == "eight_schools_centred":
        off = centred_against_non_centred(target)
        return f"{name}: equals the non-centred one to {off:.1e}", off < 1e-8
    if name == HIERARCHICAL:
        found = facts()
        text = f"{found.log_z:.4f} ± {found.log_z_se:.4f} (groups integrated out)"
        return f"{name}: {text}, stated {case.log_z}", abs(found.log_z - case.log_z) < TOLERANCE
    if target.sample is not None:
        return f"{name}: built in, checked by the tests of targets", True
    log_z, error, share = evidence(target, *proposal(case, target))
    text = f"{name}: {log_z:.4f} ± {error:.4f} (ESS {100 * share:.0f} %), stated {case.log_z}"
    return text, abs(log_z - case.log_z) < TOLERANCE


def main() -> None:
    """One line a case; ends with 1 where one is not as stated."""
    known = models()
    wrong = 0
    for name in sys.argv[1:] or known:
        text, held = line(name, known[name])
        wrong += not held
        print(text if held else f"{text}  NOT AS STATED", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()

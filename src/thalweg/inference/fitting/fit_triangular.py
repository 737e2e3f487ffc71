"""The triangular map of highest ELBO, on the host: for posteriors that are nearly normal.

Between the Gaussian and a flow: it has room for every third cumulant, and is fitted by some ten
thousand gradients that programs which are there already compute. In the coordinates of the Gaussian
the ELBO is that of y = T(z) on fixed draws z (sample average approximation). With g = ∇_y ln p̃ and
orthonormal φ its gradient in a coefficient of `shift` is E[g_i φ(z)], and near the identity its
Hessian is the identity: one step takes all coefficients most of the way. There g is nearly −z, and
E[(g_i + z_i) φ] has little noise. Then a quasi-Newton method goes on with the few terms that gain
more than they would learn of the draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from thalweg.bijections.triangular import (
    MOST_LOG_SCALE,
    MOST_LOG_TAIL,
    MOST_SKEWNESS,
    bent,
    bounded,
    polynomials,
    terms_of,
)
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.lattice import lattice_noise
from thalweg.inference.fitting.triangular_map import Coefficients, TriangularMap
from thalweg.progress import Progress
from thalweg.targets.evaluator import Evaluator
from thalweg.training.time_limit import UNLIMITED, TimeLimit

MOST_DIM = 30  # beyond it there are more terms than draws show anything of
NOISE, NOISE_OF_DEAR = 2048, 512  # fixed draws
ROUNDS = 3  # at most, of new terms
STEPS, STEPS_REMEMBERED = 30, 20  # of a round
LITTLE = 1e-4  # nats gained in a round, after which it is over
SHOWN = 3.0  # standard errors of a gradient, from which its term may be free
GAINING = 2.0  # times 1/√n, the same: a free term learns as much of n draws
CURVATURES = 1.0, 2.0  # of −ELBO at the identity, in a coefficient of `shift` and of `log_scale`
OUT_OF_REACH = 1e10  # in place of an ELBO that is not finite


class _Noise(NamedTuple):
    """The fixed draws, and the polynomials of them."""

    z: Float[np.ndarray, "n d"]
    known: Float[np.ndarray, "n terms"]


class _Look(NamedTuple):
    """−ELBO at some coefficients, its gradient, and its gradients without those of the noise.

    `less_noise` are the gradients of `shift` and `log_scale` with their squared standard errors,
    each (d, terms).
    """

    loss: float
    gradient: Coefficients
    less_noise: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def finite(self) -> bool:
        return self.loss < OUT_OF_REACH


def fit_triangular(
    density: Evaluator,
    frame: Gaussian,
    rng: np.random.Generator,
    progress: Progress,
    time_limit: TimeLimit = UNLIMITED,
) -> TriangularMap | None:
    """Return the best triangular map in a frame; None where its ELBO is not finite at first."""
    dim = frame.loc.size
    z = lattice_noise(rng, dim, NOISE_OF_DEAR if density.work(dim).dear else NOISE)
    noise = _Noise(z, polynomials(z))
    here = Coefficients.identity(dim)
    look = _look(density, frame, noise, here)
    if not look.finite:
        return None
    first = _first_step(look)
    after = _look(density, frame, noise, first)
    if after.finite and after.loss < look.loss:
        here, look = first, after
    free = [np.zeros(part.shape, bool) for part in here]
    for _ in range(ROUNDS):
        more = [one | new for one, new in zip(free, _worth(look, len(z)), strict=True)]
        if all(np.array_equal(*pair) for pair in zip(free, more, strict=True)):
            break
        free, before = more, look.loss
        here = _minimised(density, frame, noise, here, free, progress, time_limit)
        look = _look(density, frame, noise, here)
        if time_limit.over() or before - look.loss < LITTLE:
            break
    return TriangularMap(frame, here)


def _first_step(look: _Look) -> Coefficients:
    """Return the step of Newton's method from the identity, less what may be noise."""
    steps = []
    for (mean, error), curvature in zip(look.less_noise, CURVATURES, strict=True):
        sure = np.maximum(0.0, 1 - error / np.maximum(mean**2, np.finfo(float).tiny))
        steps.append(-sure * mean / curvature)
    return Coefficients(*steps, *look.gradient[2:])._replace(
        skewness=np.zeros_like(look.gradient.skewness),
        log_tail=np.zeros_like(look.gradient.log_tail),
    )


def _worth(look: _Look, draws: int) -> list[Bool[np.ndarray, "..."]]:
    """Return the terms that gain more than they would learn of as many fixed draws.

    The constants, the skewness and the tails, which are few, are among them.
    """
    found = []
    for mean, error in look.less_noise:
        found.append((mean**2 > SHOWN**2 * error) & (mean**2 > GAINING**2 / draws))
        found[-1][:, 0] = True
    return [*found, *(np.ones(part.shape, bool) for part in look.gradient[2:])]


def _minimised(
    density: Evaluator,
    frame: Gaussian,
    noise: _Noise,
    begin: Coefficients,
    free: list[np.ndarray],
    progress: Progress,
    time_limit: TimeLimit,
) -> Coefficients:
    """Return coefficients of a higher ELBO; those not free are as they were."""
    from scipy.optimize import minimize  # its import takes as long as some fits

    at = np.concatenate([part[which] for part, which in zip(begin, free, strict=True)])
    cuts = np.cumsum([which.sum() for which in free])[:-1]

    def filled(numbers: np.ndarray) -> Coefficients:
        parts = [part.copy() for part in begin]
        for part, which, given in zip(parts, free, np.split(numbers, cuts), strict=True):
            part[which] = given
        return Coefficients(*parts)

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        look = _look(density, frame, noise, filled(numbers))
        parts = zip(look.gradient, free, strict=True)
        return look.loss, np.concatenate([part[which] for part, which in parts])

    steps = [0]

    def after_step(intermediate_result: object) -> None:
        steps[0] += 1
        value = float(intermediate_result.fun)  # type: ignore[attr-defined]
        progress.update("triangular map", steps[0], STEPS, value)
        if time_limit.over():
            raise StopIteration

    options = {"maxiter": STEPS, "maxcor": STEPS_REMEMBERED, "ftol": 1e-7, "gtol": 1e-3}
    found = minimize(loss, at, jac=True, method="L-BFGS-B", callback=after_step, options=options)
    return filled(found.x)


def _look(density: Evaluator, frame: Gaussian, noise: _Noise, here: Coefficients) -> _Look:
    z, known = noise
    raw = known @ here.log_scale.T
    b = bounded(raw, MOST_LOG_SCALE)
    s, log_slopes = bent(z, here.skewness, here.log_tail)
    size = np.exp(b)
    y = known @ here.shift.T + size * s
    values, slopes = density.gradients(frame.loc + y @ frame.factor.T)
    elbo = np.mean(values + (b + log_slopes).sum(1)) + frame.entropy()
    if not (np.isfinite(elbo) and np.all(np.isfinite(slopes))):
        return _Look(OUT_OF_REACH, Coefficients.identity(z.shape[1]), ())
    g = slopes @ frame.factor
    damped = 1 - (b / MOST_LOG_SCALE) ** 2
    of_scale = damped * (g * size * s + 1)
    skewness, log_tail = (
        bounded(here.skewness, MOST_SKEWNESS),
        bounded(here.log_tail, MOST_LOG_TAIL),
    )
    at = (np.arcsinh(z) + skewness) * np.exp(log_tail)
    of_s, of_slope = g * size * np.cosh(at), np.tanh(at)
    of_skewness = ((of_s + of_slope) * np.exp(log_tail)).mean(0)
    of_tail = ((of_s + of_slope) * at + 1).mean(0)
    count, earlier = len(z), terms_of(z.shape[1]).earlier
    gradient = Coefficients(
        -np.where(earlier, g.T @ known, 0.0) / count,
        -np.where(earlier, of_scale.T @ known, 0.0) / count,
        -of_skewness * (1 - (skewness / MOST_SKEWNESS) ** 2),
        -of_tail * (1 - (log_tail / MOST_LOG_TAIL) ** 2),
    )
    # At the identity g is nearly −z: that part of a gradient has no mean, and all of its noise.
    residuals = g + z, damped * ((g * size * s + 1) + (z**2 - 1))
    less_noise = tuple(_mean_and_error(-part, known, earlier) for part in residuals)
    return _Look(float(-elbo), gradient, less_noise)


def _mean_and_error(
    residuals: Float[np.ndarray, "n d"],
    known: Float[np.ndarray, "n terms"],
    earlier: Bool[np.ndarray, "d terms"],
) -> tuple[Float[np.ndarray, "d terms"], Float[np.ndarray, "d terms"]]:
    """Return the mean of residual times term with its squared standard error; 0 for later ones."""
    count = len(known)
    mean = np.where(earlier, residuals.T @ known / count, 0.0)
    return mean, ((residuals**2).T @ known**2 / count - mean**2) / count

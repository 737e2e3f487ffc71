"""The triangular map of highest ELBO, on the host: for posteriors that are nearly normal.

Between the Gaussian and a flow: it has room for every third cumulant, and is fitted by some ten
thousands of gradients that programs which are there already compute. In the coordinates of the
Gaussian the ELBO is that of y = T(z) on fixed draws z (sample average approximation). With g = ∇_y
ln p̃ and orthonormal φ its gradient in a coefficient of `shift` is E[g_i φ(z)], and near the
identity its Hessian is the identity. On few draws nearly all of its error is that of the part of g
which is the score of q, whose mean is zero: without it (the path gradient, Roeder et al. 2017) all
terms are learned at once by Newton's method. Where that does not lead, far from a normal, a
quasi-Newton method on the few terms that gain more than they would learn of the draws comes in
between.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from thalweg.inference.fitting.triangular_map import (
    Coefficients,
    TriangularMap,
    product,
    product_of_rows,
)
from thalweg.progress import Progress
from thalweg.targets.evaluator import Evaluator
from thalweg.training.time_limit import UNLIMITED, TimeLimit

MOST_DIM = 16  # beyond it there are more terms than draws show anything of
NOISE, NOISE_OF_DEAR = 2048, 512  # fixed draws
ROUNDS = 4  # at most, of new terms
STEPS, STEPS_REMEMBERED = 30, 20  # of a round
POLISHING_STEPS = 4  # of Newton's method, before and after
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
    """Some coefficients, −ELBO there, its gradient, and g = ∇_y ln p̃ at each draw."""

    here: Coefficients
    loss: float
    gradient: Coefficients
    slopes: Float[np.ndarray, "n d"]

    @property
    def finite(self) -> bool:
        return self.loss < OUT_OF_REACH


class _Path(NamedTuple):
    """The path gradients of `shift` and of `log_scale`, and the squares of their errors.

    `left` (nats) is half the Fisher divergence, in the coordinates y: near a normal, the KL.
    """

    means: tuple[Float[np.ndarray, "d terms"], ...]
    errors: tuple[Float[np.ndarray, "d terms"], ...]
    left: float

    @property
    def size(self) -> float:
        """The sum of the squares, less what is noise."""
        pairs = zip(self.means, self.errors, strict=True)
        return float(sum(np.maximum(mean**2 - error, 0).sum() for mean, error in pairs))


def fit_triangular(
    density: Evaluator,
    frame: Gaussian,
    rng: np.random.Generator,
    progress: Progress,
    time_limit: TimeLimit = UNLIMITED,
    kl_left: float = 0.0,
) -> TriangularMap | None:
    """Return the best triangular map in a frame, or one with about `kl_left` nats left.

    None where the ELBO of the frame is not finite.
    """
    dim = frame.loc.size
    z = lattice_noise(rng, dim, NOISE_OF_DEAR if density.work(dim).dear else NOISE)
    noise = _Noise(z, polynomials(z))
    look = _look(density, frame, noise, Coefficients.identity(dim))
    if not look.finite:
        return None
    look, path = _polished(density, frame, noise, look)
    free = [np.zeros(part.shape, bool) for part in look.here]
    for _ in range(ROUNDS):
        if path.left <= kl_left:
            return TriangularMap(frame, look.here)
        more = [one | new for one, new in zip(free, _worth(path, noise), strict=True)]
        if all(np.array_equal(*pair) for pair in zip(free, more, strict=True)):
            break
        free, before = more, look.loss
        here = _minimised(density, frame, noise, look.here, free, progress, time_limit)
        look = _look(density, frame, noise, here)
        path = _path(noise, look)
        if time_limit.over() or before - look.loss < LITTLE:
            break
    look, _ = _polished(density, frame, noise, look)
    return TriangularMap(frame, look.here)


def _polished(
    density: Evaluator, frame: Gaussian, noise: _Noise, look: _Look
) -> tuple[_Look, _Path]:
    """Take steps of Newton's method as long as the path gradient becomes smaller."""
    path = _path(noise, look)
    for _ in range(POLISHING_STEPS):
        there = _look(density, frame, noise, _stepped(look.here, path))
        if not there.finite:
            break
        after = _path(noise, there)
        if not after.size < path.size:
            break
        look, path = there, after
    return look, path


def _stepped(here: Coefficients, path: _Path) -> Coefficients:
    """Return coefficients after a step of Newton's method, less what may be noise."""
    steps = []
    for mean, error, curvature in zip(path.means, path.errors, CURVATURES, strict=True):
        sure = np.maximum(0.0, 1 - error / np.maximum(mean**2, np.finfo(float).tiny))
        steps.append(sure * mean / curvature)
    return here._replace(shift=here.shift - steps[0], log_scale=here.log_scale - steps[1])


def _worth(path: _Path, noise: _Noise) -> list[Bool[np.ndarray, "..."]]:
    """Return the terms that gain more than they would learn of so many fixed draws.

    The constants, the skewness and the tails, which are few, are among them.
    """
    draws, dim = noise.z.shape
    found = []
    for mean, error in zip(path.means, path.errors, strict=True):
        found.append((mean**2 > SHOWN**2 * error) & (mean**2 > GAINING**2 / draws))
        found[-1][:, 0] = True
    return [*found, np.ones(dim, bool), np.ones(dim, bool)]


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

    def after_step(intermediate_result: Any) -> None:  # SciPy asks for this name
        steps[0] += 1
        progress.update("triangular map", steps[0], STEPS, float(intermediate_result.fun))
        if time_limit.over():
            raise StopIteration

    options = {"maxiter": STEPS, "maxcor": STEPS_REMEMBERED, "ftol": 1e-7, "gtol": 1e-3}
    found = minimize(loss, at, jac=True, method="L-BFGS-B", callback=after_step, options=options)
    return filled(found.x)


def _look(density: Evaluator, frame: Gaussian, noise: _Noise, here: Coefficients) -> _Look:
    z, known = noise
    b = bounded(product(known, here.log_scale.T), MOST_LOG_SCALE)
    s, log_slopes = bent(z, here.skewness, here.log_tail)
    size = np.exp(b)
    y = product(known, here.shift.T) + size * s
    values, slopes = density.gradients(frame.loc + product(y, frame.factor.T))
    elbo = np.mean(values + (b + log_slopes).sum(1)) + frame.entropy()
    if not (np.isfinite(elbo) and np.all(np.isfinite(slopes))):
        return _Look(here, OUT_OF_REACH, Coefficients.identity(z.shape[1]), slopes)
    g = product(slopes, frame.factor)
    damped = 1 - (b / MOST_LOG_SCALE) ** 2
    skewness = bounded(here.skewness, MOST_SKEWNESS)
    log_tail = bounded(here.log_tail, MOST_LOG_TAIL)
    at = (np.arcsinh(z) + skewness) * np.exp(log_tail)
    of_at = g * size * np.cosh(at) + np.tanh(at)
    gradient = Coefficients(
        -_means(g, noise),
        -_means(damped * (g * size * s + 1), noise),
        -(of_at * np.exp(log_tail)).mean(0) * (1 - (skewness / MOST_SKEWNESS) ** 2),
        -(of_at * at + 1).mean(0) * (1 - (log_tail / MOST_LOG_TAIL) ** 2),
    )
    return _Look(here, float(-elbo), gradient, g)


def _path(noise: _Noise, look: _Look) -> _Path:
    """Return the gradients by g less the score of q, whose mean is zero."""
    z, known = noise
    b = bounded(product(known, look.here.log_scale.T), MOST_LOG_SCALE)
    s, _ = bent(z, look.here.skewness, look.here.log_tail)
    of_shift = look.here.score(z) - look.slopes
    of_scale = (1 - (b / MOST_LOG_SCALE) ** 2) * of_shift * np.exp(b) * s
    means = tuple(_means(part, noise) for part in (of_shift, of_scale))
    squares = _Noise(z, known**2)
    errors = [
        (_means(part**2, squares) - mean**2) / len(z)
        for part, mean in zip((of_shift, of_scale), means, strict=True)
    ]
    return _Path(means, tuple(errors), float(0.5 * (of_shift**2).sum(1).mean()))


def _means(residuals: Float[np.ndarray, "n d"], noise: _Noise) -> Float[np.ndarray, "d terms"]:
    """Return the mean of residual times term; 0 for terms of later coordinates."""
    earlier = terms_of(noise.z.shape[1]).earlier
    total = product_of_rows(residuals, noise.known)
    return np.where(earlier, total / len(noise.z), 0.0)

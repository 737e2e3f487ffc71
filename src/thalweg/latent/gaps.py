"""Where a bound falls short of ln p(x): by the encoder, or by the family of its posterior.

Cremer, Li & Duvenaud (2018), "Inference suboptimality in variational autoencoders": each row gets a
normal of its own, fitted to its posterior without an encoder. What the best diagonal one gains is
the encoder's loss, which no flow wins back; what a full one gains beyond it and what is still
missing then is for richer families.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.argument_checks import check_whole_number
from thalweg.bijections import ElementwiseAffine, TriangularAffine
from thalweg.compiling import jit_model
from thalweg.data.observations import Observations
from thalweg.distributions import Flow, StandardNormal
from thalweg.gaussians import Gaussian
from thalweg.latent.evaluation import MOST_DRAWS
from thalweg.latent.model import LatentModel
from thalweg.objectives import Estimate, Objective, ReverseKL, Shared
from thalweg.training import Progress, train

ROWS, DRAWS = 100, 50  # rows and draws that are worked on at once
STEPS, RATE, DRAWN = 3000, 0.02, 8  # of each fit; the draws of a step
MOMENTS = 500  # draws of the model's posterior whose mean and spread a fit begins with


class Gaps(NamedTuple):
    """For each row, in nats.

    `bound` is that of the model's posterior, `diagonal` and `full` are those of the row's own
    normal, and `log_likelihood` is ln p(x) by importance sampling from the full one.
    """

    bound: Float[np.ndarray, " rows"]
    diagonal: Float[np.ndarray, " rows"]
    full: Float[np.ndarray, " rows"]
    log_likelihood: Float[np.ndarray, " rows"]

    def summary(self) -> dict[str, Any]:
        """Means over rows, and the standard error of the encoder's loss."""
        lost = self.diagonal - self.bound
        return {
            "rows": len(self.bound),
            **{name: float(np.mean(values)) for name, values in self._asdict().items()},
            "encoder": float(np.mean(lost)),
            "encoder_se": float(lost.std(ddof=1) / len(lost) ** 0.5) if len(lost) > 1 else None,
        }


NUMBERS = {"rows", *Gaps._fields, "encoder", "encoder_se"}  # what a summary has


class OwnPosterior(Objective):
    """−bound of one row by a flow that is this row's alone: F = E_q[ln q(z) − ln p(x, z)]."""

    model: Shared
    x: Float[Array, "rows n"]
    draws: int = eqx.field(static=True)

    def __call__(self, q: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        joint = partial(self.model.value.log_joint, self.x)
        return ReverseKL(joint, self.draws)(q, key, step)

    def is_comparable(self, step: Array) -> Array:
        return jnp.asarray(True)


def gaps(
    model: LatentModel,
    data: Observations,
    key: PRNGKeyArray,
    draws: int = 5000,
    progress: Progress | None = None,
) -> Gaps:
    """The gaps of every row, ln p(x) from `draws` draws each, rounded up to fifties.

    Two fits a row, so a few rows will do. Raises `KeyboardInterrupt` where Ctrl-C ended it.
    """
    check_whole_number("draws", draws, 1, MOST_DRAWS)
    count, found = len(data), []
    size = min(ROWS, count)
    for begin in range(0, count, size):
        index = np.arange(begin, begin + size).clip(max=count - 1)  # one program for all
        with jax.default_matmul_precision("float32"):  # GPUs would round the factors otherwise
            own = jax.random.fold_in(key, begin)
            block = _block(model, data, jnp.asarray(index), own, draws, progress)
        found.append([np.asarray(part, np.float64)[: count - begin] for part in block])
    return Gaps._make(np.concatenate(parts) for parts in zip(*found, strict=True))


def _block(
    model: LatentModel,
    data: Observations,
    index: Array,
    key: PRNGKeyArray,
    draws: int,
    progress: Progress | None,
) -> Gaps:
    pixels, latent, fit, score = jax.random.split(key, 4)
    x = data.rows(index, pixels)
    bound, loc, scale = _amortised(model, x, latent)

    def best(name: str, family: Any) -> tuple[Array, Array]:
        trained = train(
            _starts(family, loc, scale),
            OwnPosterior(Shared(model), x, DRAWN),
            fit,
            steps=STEPS,
            learning_rate=RATE,
            stage=f"{name} normals",
            progress=progress,
        )
        if trained.interrupted:
            raise KeyboardInterrupt
        return _score(trained.models, model, x, score, -(-draws // DRAWS))

    diagonal, _ = best("diagonal", ElementwiseAffine)
    full, log_likelihood = best("full", TriangularAffine)
    return Gaps(*(np.asarray(part) for part in (bound, diagonal, full, log_likelihood)))


@jit_model
def _amortised(model: LatentModel, x: Array, key: PRNGKeyArray) -> tuple[Array, Array, Array]:
    """Of the model's own posterior: the bound of each row, means and standard deviations."""
    features = model.features(x)

    def one(k: PRNGKeyArray) -> tuple[Array, Array]:
        z, log_base, log_det = model.posterior(features, k)
        return jax.vmap(model.log_joint)(x, z) - log_base + log_det, z

    bounds, z = jax.lax.map(one, jax.random.split(key, MOMENTS))
    return jnp.mean(bounds, 0), jnp.mean(z, 0), jnp.std(z, 0)


@jit_model
def _starts(family: Any, loc: Array, scale: Array) -> PyTree:
    """A normal for each row, with these means and standard deviations to begin with."""

    def one(mean: Array, spread: Array) -> Flow:
        shape = mean.shape if family is ElementwiseAffine else len(mean)
        normal = Flow(StandardNormal(mean.shape), family(shape))
        return normal.then(Gaussian(mean, jnp.diag(spread)).as_bijection())

    return eqx.filter_vmap(one)(loc, scale)


@jit_model
def _score(
    q: PyTree, model: LatentModel, x: Array, key: PRNGKeyArray, blocks: int
) -> tuple[Array, Array]:
    """Each row's bound by its own normal, and ln of the mean weight."""

    def row(flow: Flow, one: Array, k: PRNGKeyArray) -> Array:
        z, log_q = flow.sample_and_log_prob(k, (DRAWS,))
        return jax.vmap(partial(model.log_joint, one))(z) - log_q

    def block(k: PRNGKeyArray) -> tuple[Array, Array]:
        weights = eqx.filter_vmap(row)(q, x, jax.random.split(k, len(x)))
        return jnp.mean(weights, 1), logsumexp(weights, 1)

    means, sums = jax.lax.map(block, jax.random.split(key, blocks))
    return jnp.mean(means, 0), logsumexp(sums, 0) - jnp.log(blocks * DRAWS)

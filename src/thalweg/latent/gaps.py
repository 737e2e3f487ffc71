"""Inference gaps: why a bound falls short of ln p(x), the encoder or the family of the posterior.

Cremer, Li & Duvenaud (2018), "Inference suboptimality in variational autoencoders": a normal is
fitted to the posterior of each row without an encoder. The gain of the best diagonal one is the
amortisation gap, which no flow closes; the gain of a full one, and the rest, are the approximation
gap, which a richer family closes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from thalweg.argument_checks import check_whole_number
from thalweg.bijections import ElementwiseAffine, TriangularAffine
from thalweg.compiling import jit_model
from thalweg.data.observations import Observations
from thalweg.distributions import Flow, StandardNormal
from thalweg.gaussians import Gaussian
from thalweg.latent.evaluation import MOST_DRAWS, ROWS, TOGETHER
from thalweg.latent.model import LatentModel
from thalweg.latent.options import DRAWS, GAP_DRAWS, GAP_RATE, GAP_STEPS
from thalweg.objectives import Estimate, Objective, ReverseKL, Shared
from thalweg.training import Progress, train

MOMENTS = 500  # draws of the model's posterior, whose mean and spread start a fit


class Gaps(NamedTuple):
    """Bounds of each row in nats.

    Attributes:
        bound: by the posterior of the model, (rows,).
        diagonal: by the best diagonal normal of the row.
        full: by the best normal of the row.
        log_likelihood: ln p(x) by importance sampling from `full`.
    """

    bound: Float[np.ndarray, " rows"]
    diagonal: Float[np.ndarray, " rows"]
    full: Float[np.ndarray, " rows"]
    log_likelihood: Float[np.ndarray, " rows"]

    def summary(self) -> dict[str, Any]:
        """Return means over rows, and the amortisation gap (`encoder`) with its standard error."""
        lost = self.diagonal - self.bound
        return {
            "rows": len(self.bound),
            **{name: float(np.mean(values)) for name, values in self._asdict().items()},
            "encoder": float(np.mean(lost)),
            "encoder_se": float(lost.std(ddof=1) / len(lost) ** 0.5) if len(lost) > 1 else None,
        }


NUMBERS = {"rows", *Gaps._fields, "encoder", "encoder_se"}  # of a summary


class RowPosterior(Objective):
    """Minus the bound of one row by a flow of its own: F = E_q[ln q(z) − ln p(x, z)]."""

    model: Shared
    x: Float[Array, "rows n"]
    draws: int = eqx.field(static=True)

    def __call__(self, q: Flow, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        joint = partial(self.model.value.log_joint, self.x)
        return ReverseKL(joint, self.draws)(q, key, step)


def gaps(
    model: LatentModel,
    data: Observations,
    key: PRNGKeyArray,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Gaps:
    """Find the gaps of every row by two fits each, so pass a few rows.

    Args:
        model: the latent model.
        data: the rows.
        key: of the draws.
        draws: for ln p(x) of each row, rounded up to fifties.
        progress: of the fits.

    Returns:
        Bounds and ln p(x), each (rows,).

    Raises:
        ValueError: `draws` is not a positive whole number.
        KeyboardInterrupt: Ctrl-C ended a fit.
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
    index: Int[Array, " rows"],
    key: PRNGKeyArray,
    draws: int,
    progress: Progress | None,
) -> Gaps:
    pixels, latent, fit, score = jax.random.split(key, 4)
    x = data.rows(index, pixels)
    bound, loc, scale = _amortised(model, x, latent)

    def best(name: str, family: Any) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
        trained = train(
            _starts(family, loc, scale),
            RowPosterior(Shared(model), x, GAP_DRAWS),
            fit,
            steps=GAP_STEPS,
            learning_rate=GAP_RATE,
            stage=f"{name} normals",
            progress=progress,
        )
        if trained.interrupted:
            raise KeyboardInterrupt
        return _score(trained.models, model, x, score, -(-draws // TOGETHER))

    diagonal, _ = best("diagonal", ElementwiseAffine)
    full, log_likelihood = best("full", TriangularAffine)
    return Gaps(*(np.asarray(part) for part in (bound, diagonal, full, log_likelihood)))


@jit_model
def _amortised(
    model: LatentModel, x: Float[Array, "rows n"], key: PRNGKeyArray
) -> tuple[Float[Array, " rows"], Float[Array, "rows latent"], Float[Array, "rows latent"]]:
    """Return bound, mean and standard deviation of the model's posterior of each row."""
    features = model.features(x)

    def one(k: PRNGKeyArray) -> tuple[Float[Array, " rows"], Float[Array, "rows latent"]]:
        z, log_base, log_det = model.posterior(features, k)
        return jax.vmap(model.log_joint)(x, z) - log_base + log_det, z

    bounds, z = jax.lax.map(one, jax.random.split(key, MOMENTS))
    return jnp.mean(bounds, 0), jnp.mean(z, 0), jnp.std(z, 0)


@jit_model
def _starts(
    family: Any, loc: Float[Array, "rows latent"], scale: Float[Array, "rows latent"]
) -> PyTree:
    """Make a normal for each row that starts at these means and standard deviations."""

    def one(mean: Float[Array, " latent"], spread: Float[Array, " latent"]) -> Flow:
        shape = mean.shape if family is ElementwiseAffine else len(mean)
        normal = Flow(StandardNormal(mean.shape), family(shape))
        return normal.then(Gaussian(mean, jnp.diag(spread)).as_bijection())

    return eqx.filter_vmap(one)(loc, scale)


@jit_model
def _score(
    q: PyTree, model: LatentModel, x: Float[Array, "rows n"], key: PRNGKeyArray, blocks: int
) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
    """Return the bound of each row by its own normal, and ln of the mean weight."""

    def row(flow: Flow, one: Float[Array, " n"], k: PRNGKeyArray) -> Float[Array, " draws"]:
        z, log_q = flow.sample_and_log_prob(k, (TOGETHER,))
        return jax.vmap(partial(model.log_joint, one))(z) - log_q

    def block(k: PRNGKeyArray) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
        weights = eqx.filter_vmap(row)(q, x, jax.random.split(k, len(x)))
        return jnp.mean(weights, 1), logsumexp(weights, 1)

    means, sums = jax.lax.map(block, jax.random.split(key, blocks))
    return jnp.mean(means, 0), logsumexp(sums, 0) - jnp.log(blocks * TOGETHER)

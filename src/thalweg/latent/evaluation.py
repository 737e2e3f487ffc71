"""What a latent model makes of data: the bound with its terms, and ln p(x) by importance."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
from thalweg.compiling import jit_model
from thalweg.data.observations import Observations
from thalweg.latent.model import LatentModel, Terms

ROWS, DRAWS = 100, 50  # rows and draws that are worked on at once
ACTIVE = 0.01
MOST_DRAWS = 2**31 - 1  # counted in 32 bits
FEW = 10  # effective draws below which ln p(x) of a row is not to be relied on


class Streamed(NamedTuple):
    """Sums over the draws so far, for each row.

    Weights are counted relative to e^largest, so that their sums neither overflow nor vanish.
    """

    largest: Float[Array, " rows"]
    weights: Float[Array, " rows"]
    squares: Float[Array, " rows"]
    terms: Terms
    bound_squares: Float[Array, " rows"]

    def add(self, terms: Terms, counted: Bool[Array, " draws"]) -> Streamed:
        """With more draws, those that count; terms have shape (draws, rows)."""
        log_weights = jnp.where(counted[:, None], terms.bound, -jnp.inf)
        terms = jax.tree.map(lambda new: jnp.where(counted[:, None], new, 0.0), terms)
        largest = jnp.maximum(self.largest, jnp.max(log_weights, 0))
        before, now = jnp.exp(self.largest - largest), jnp.exp(log_weights - largest)
        return Streamed(
            largest,
            self.weights * before + jnp.sum(now, 0),
            self.squares * before**2 + jnp.sum(now**2, 0),
            jax.tree.map(lambda total, new: total + jnp.sum(new, 0), self.terms, terms),
            self.bound_squares + jnp.sum(terms.bound**2, 0),
        )


class Evaluation(NamedTuple):
    """For each row, in nats: means of the terms of the bound over draws; ln p(x) by importance.

    `log_likelihood` is ln of the mean weight over all draws, itself a lower bound of ln p(x) in
    expectation, and `log_likelihood_se` its standard error over draws by the delta method.
    """

    reconstruction: Float[Array, " rows"]
    log_prior: Float[Array, " rows"]
    log_base: Float[Array, " rows"]
    log_det: Float[Array, " rows"]
    bound: Float[Array, " rows"]
    bound_se: Float[Array, " rows"]
    log_likelihood: Float[Array, " rows"]
    log_likelihood_se: Float[Array, " rows"]

    @property
    def kl(self) -> Float[Array, " rows"]:
        """KL(q(z | x) ‖ p(z))."""
        return self.log_base - self.log_det - self.log_prior

    def effective(self, draws: int) -> Float[np.ndarray, " rows"]:
        """How many of the draws of each row weigh: (Σ w)² / Σ w². Few make ln p(x) too low."""
        error = np.asarray(self.log_likelihood_se, np.float64)
        return draws / (1 + (draws - 1) * error**2)


def evaluate(
    model: LatentModel,
    data: Observations,
    key: PRNGKeyArray,
    draws: int = 5000,
    report: Callable[[int], None] | None = None,
) -> Evaluation:
    """Bound and ln p(x) of every row, from `draws` draws each, in bounded memory.

    At least two draws. `report` is told how many rows are done.
    """
    check_whole_number("draws", draws, 2, MOST_DRAWS)  # one has no standard error
    count, found = len(data), []
    for begin in range(0, count, ROWS):
        index = np.arange(begin, begin + ROWS).clip(max=count - 1)  # one program for all
        own = jax.random.fold_in(key, begin)
        with jax.default_matmul_precision("float32"):  # GPUs would round the factors otherwise
            block = _block(model, data, jnp.asarray(index), own, jnp.asarray(draws))
        kept = min(ROWS, count - begin)
        found.append([np.asarray(leaf)[:kept] for leaf in block])
        if report is not None:
            report(begin + kept)
    return Evaluation._make(np.concatenate(parts) for parts in zip(*found, strict=True))


@jit_model
def _block(
    model: LatentModel,
    data: Observations,
    index: Array,
    key: PRNGKeyArray,
    draws: Array,
) -> Evaluation:
    pixels, latent = jax.random.split(key)
    x = data.rows(index, pixels)
    features = model.features(x)

    def step(i: Array, so_far: Streamed) -> Streamed:
        keys = jax.random.split(jax.random.fold_in(latent, i), DRAWS)
        counted = i * DRAWS + jnp.arange(DRAWS) < draws
        return so_far.add(jax.vmap(lambda k: model.terms(x, k, features))(keys), counted)

    nought = jnp.zeros(len(index), x.dtype)
    empty = Streamed(jnp.full_like(nought, -jnp.inf), nought, nought, Terms(*[nought] * 4), nought)
    total = jax.lax.fori_loop(0, -(-draws // DRAWS), step, empty)
    n = draws.astype(x.dtype)
    terms = jax.tree.map(lambda leaf: leaf / n, total.terms)
    spread = jnp.maximum(total.bound_squares / n - terms.bound**2, 0.0)
    relative = jnp.maximum(n * total.squares / total.weights**2 - 1, 0.0)
    return Evaluation(
        reconstruction=terms.log_likelihood,
        log_prior=terms.log_prior,
        log_base=terms.log_base,
        log_det=terms.log_det,
        bound=terms.bound,
        bound_se=jnp.sqrt(spread / (n - 1)),
        log_likelihood=total.largest + jnp.log(total.weights / n),
        log_likelihood_se=jnp.sqrt(relative / (n - 1)),
    )


def active_units(model: LatentModel, data: Observations, key: PRNGKeyArray, draws: int = 32) -> int:
    """How many latent variables tell images apart: Var_x E[z_i | x] > 0.01 (Burda et al. 2016).

    The means are over draws; what their noise adds to the variance is taken off.
    """
    means, noise = [], []
    for begin in range(0, len(data), 10 * ROWS):
        index = jnp.arange(begin, min(begin + 10 * ROWS, len(data)))
        mean, variance = _posterior_moments(
            model, data, index, jax.random.fold_in(key, begin), draws
        )
        means.append(np.asarray(mean, np.float64))
        noise.append(np.asarray(variance, np.float64))
    spread = np.concatenate(means).var(0) - np.concatenate(noise).mean(0) / draws
    return int(np.sum(spread > ACTIVE))


@jit_model
def _posterior_moments(
    model: LatentModel, data: Observations, index: Array, key: PRNGKeyArray, draws: int
) -> tuple[Array, Array]:
    pixels, latent = jax.random.split(key)
    features = model.features(data.rows(index, pixels))
    z = jax.vmap(lambda k: model.posterior(features, k)[0])(jax.random.split(latent, draws))
    return jnp.mean(z, 0), jnp.var(z, 0, ddof=1)

"""Evaluate a latent model: the bound with its terms, and ln p(x) by importance sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
from thalweg.compiling import jit_model
from thalweg.data.observations import Observations
from thalweg.latent.model import LatentModel, Terms
from thalweg.latent.options import DRAWS

ROWS, TOGETHER = 100, 50  # rows and draws of a block
ACTIVE = 0.01  # variance of a posterior mean over rows above which a latent variable is active
MOST_DRAWS = 2**31 - 1  # counted in 32 bits
FEW = 10  # effective draws below which ln p(x) of a row is unreliable

PerRow = Float[Array | np.ndarray, " rows"]  # on the device, or on the host


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
        """Add those draws that count; terms have shape (draws, rows)."""
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
    """The bound with its terms, and ln p(x) by importance sampling, of each row in nats.

    Attributes:
        reconstruction: ln p(x | z), the mean over draws, (rows,).
        log_prior: ln p(z).
        log_base: ln q₀(z₀ | x).
        log_det: Σ ln|det ∂f_k/∂z|.
        bound: the evidence bound, and `bound_se` its standard error over draws.
        log_likelihood: ln of the mean weight, in expectation a lower bound of ln p(x).
        log_likelihood_se: its standard error over draws by the delta method.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> found = tw.latent.Evaluation(*np.zeros((7, 3)), log_likelihood_se=np.full(3, 0.1))
        >>> float(found.effective(101).round(1)[0])
        50.5
    """

    reconstruction: PerRow
    log_prior: PerRow
    log_base: PerRow
    log_det: PerRow
    bound: PerRow
    bound_se: PerRow
    log_likelihood: PerRow
    log_likelihood_se: PerRow

    @property
    def kl(self) -> PerRow:
        """KL(q(z | x) ‖ p(z)), (rows,)."""
        return self.log_base - self.log_det - self.log_prior

    def effective(self, draws: int) -> Float[np.ndarray, " rows"]:
        """Return the effective draws of each row, (Σ w)² / Σ w²; few make ln p(x) too low."""
        error = np.asarray(self.log_likelihood_se, np.float64)
        return draws / (1 + (draws - 1) * error**2)


def evaluate(
    model: LatentModel,
    data: Observations,
    key: PRNGKeyArray,
    draws: int = DRAWS,
    report: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate the bound and ln p(x) of every row, in bounded memory.

    Args:
        model: the latent model.
        data: the rows.
        key: of the draws.
        draws: for each row, at least two.
        report: called with the number of rows that are done.

    Returns:
        The terms of the bound, ln p(x) and standard errors, each (rows,).

    Raises:
        ValueError: `draws` is not a whole number of at least 2.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> import thalweg as tw
        >>> from thalweg.data.observations import Reals
        >>> from thalweg.latent.build import build
        >>> from thalweg.latent.options import LatentOptions
        >>> options = LatentOptions(latent=2, flow="none", likelihood="gaussian", hidden=(8,))
        >>> model = build(jax.random.key(0), jnp.zeros(5), jnp.ones(5), options)
        >>> tw.latent.evaluate(model, Reals(np.zeros((3, 5))), jax.random.key(1), 10).bound.shape
        (3,)
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
    index: Int[Array, " rows"],
    key: PRNGKeyArray,
    draws: Int[Array, ""],
) -> Evaluation:
    pixels, latent = jax.random.split(key)
    x = data.rows(index, pixels)
    features = model.features(x)

    def step(i: Int[Array, ""], so_far: Streamed) -> Streamed:
        keys = jax.random.split(jax.random.fold_in(latent, i), TOGETHER)
        counted = i * TOGETHER + jnp.arange(TOGETHER) < draws
        return so_far.add(jax.vmap(lambda k: model.terms(x, k, features))(keys), counted)

    zero = jnp.zeros(len(index), x.dtype)
    empty = Streamed(jnp.full_like(zero, -jnp.inf), zero, zero, Terms(*[zero] * 4), zero)
    total = jax.lax.fori_loop(0, -(-draws // TOGETHER), step, empty)
    n = draws.astype(x.dtype)
    terms = jax.tree.map(lambda leaf: leaf / n, total.terms)
    spread = jnp.maximum(total.bound_squares / n - terms.bound**2, 0.0)
    relative = jnp.maximum(n * total.squares / total.weights**2 - 1, 0.0)
    bound_se, log_likelihood_se = jnp.sqrt(spread / (n - 1)), jnp.sqrt(relative / (n - 1))
    log_likelihood = total.largest + jnp.log(total.weights / n)
    return Evaluation._make([*terms, terms.bound, bound_se, log_likelihood, log_likelihood_se])


def active_units(model: LatentModel, data: Observations, key: PRNGKeyArray, draws: int = 32) -> int:
    """Return the number of active latent variables: Var_x E[z_i | x] > 0.01 (Burda et al. 2016).

    The means are over draws; the variance of their noise is subtracted.
    """
    means, noise = [], []
    for begin in range(0, len(data), 10 * ROWS):
        index = jnp.arange(begin, min(begin + 10 * ROWS, len(data)))
        own = jax.random.fold_in(key, begin)
        mean, variance = _posterior_moments(model, data, index, own, draws)
        means.append(np.asarray(mean, np.float64))
        noise.append(np.asarray(variance, np.float64))
    spread = np.concatenate(means).var(0) - np.concatenate(noise).mean(0) / draws
    return int(np.sum(spread > ACTIVE))


@jit_model
def _posterior_moments(
    model: LatentModel,
    data: Observations,
    index: Int[Array, " rows"],
    key: PRNGKeyArray,
    draws: int,
) -> tuple[Float[Array, "rows latent"], Float[Array, "rows latent"]]:
    pixels, latent = jax.random.split(key)
    features = model.features(data.rows(index, pixels))
    z = jax.vmap(lambda k: model.posterior(features, k)[0])(jax.random.split(latent, draws))
    return jnp.mean(z, 0), jnp.var(z, 0, ddof=1)

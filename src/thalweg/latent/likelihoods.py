"""What an observation is, given what the decoder says: densities of independent numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logit
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.tree import Frozen, Module

LOG_2PI = math.log(2 * math.pi)
MAX_LOG_SCALE = 7.0  # softly, up or down: e⁷ is a thousand


class Likelihood(Module):
    """p(x | θ) = Π_i p(x_i | θ_i) for observations of n numbers, `parameters` a number.

    θ comes from linear heads, without a constraint. Log-densities are sums over the numbers of an
    observation, in nats.
    """

    parameters: eqx.AbstractVar[int]

    @abstractmethod
    def log_prob(self, theta: Float[Array, "p n"], x: Float[Array, " n"]) -> Float[Array, ""]:
        """ln p(x | θ)."""

    def natural(self, x: Float[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """x on the scale of its noise, about 0 and of about unit spread: what an encoder is given.

        As it is, unless a likelihood knows better.
        """
        return x

    def standardised(self, loc: Float[Array, " n"], scale: Float[Array, " n"]) -> Likelihood:
        """The same for data of these means and spreads; itself where numbers have no units."""
        return self

    @abstractmethod
    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        """What to show of θ: the mean, or, where it has no closed form, the median."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        """A draw."""

    @abstractmethod
    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        """θ for observations that are independent of the latent variables and have this mean."""


class Bernoulli(Likelihood):
    """x_i ∈ {0, 1} with logits θ: ln p = Σ x_i θ_i − ln(1 + e^θ_i)."""

    parameters: int = eqx.field(static=True, default=1)

    def log_prob(self, theta: Array, x: Array) -> Array:
        logits = theta[0]
        # Not log1p, which costs as much as all else of a decoder's last layer: what 1 + rounds
        # away of each term is below the rounding of their sum.
        return jnp.sum(x * logits - jnp.maximum(logits, 0) - jnp.log(1 + jnp.exp(-jnp.abs(logits))))

    def mean(self, theta: Array) -> Array:
        return jax.nn.sigmoid(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Array) -> Array:
        return jax.random.bernoulli(key, self.mean(theta)).astype(theta.dtype)

    def start(self, mean: Array) -> Array:
        # As if half an observation more had shown either value: nothing is impossible.
        return logit(0.01 + 0.98 * mean)[None]


class Gaussian(Likelihood):
    """x_i = m_i + c_i y_i, y_i ~ N(θ₀, e^2s), s = θ₁ softly bounded; a density of x itself.

    `loc` m and `scale` c are fixed: with those of the data, units do not matter. With `log_scale`
    given s is that everywhere.
    """

    loc: Frozen
    scale: Frozen
    log_scale: float | None = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(
        self,
        log_scale: float | None = None,
        loc: Float[ArrayLike, " n"] = 0.0,
        scale: Float[ArrayLike, " n"] = 1.0,
    ):
        self.loc, self.scale = Frozen(jnp.asarray(loc, float)), Frozen(jnp.asarray(scale, float))
        self.log_scale = None if log_scale is None else float(log_scale)
        self.parameters = 2 if log_scale is None else 1

    def standardised(self, loc: Array, scale: Array) -> Gaussian:
        return Gaussian(self.log_scale, loc, scale)

    def natural(self, x: Array) -> Array:
        """y: numbers without units."""
        return (x - self.loc()) / self.scale()

    def _in_units(self, y: Array) -> Array:
        return self.loc() + self.scale() * y

    def _log_scale(self, theta: Array) -> Array:
        if self.log_scale is not None:
            return jnp.full_like(theta[0], self.log_scale)
        return bounded(theta[1])

    def log_prob(self, theta: Array, x: Array) -> Array:
        y = normal_log_prob(self.natural(x), theta[0], self._log_scale(theta))
        return jnp.sum(y - jnp.log(self.scale()))

    def mean(self, theta: Array) -> Array:
        return self._in_units(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Array) -> Array:
        noise = jax.random.normal(key, theta[0].shape, theta.dtype)
        return self._in_units(theta[0] + jnp.exp(self._log_scale(theta)) * noise)

    def start(self, mean: Array) -> Array:
        return jnp.zeros((self.parameters, *mean.shape)).at[0].set(self.natural(mean))


class LogitNormal(Likelihood):
    """x_i ∈ (0, 1) with logit x_i ~ N(θ₀, e^2s), s = θ₁ softly bounded.

    ln p(x) = ln N(logit x) − ln x(1 − x): a density of x itself. Observations at 0 or 1 have none;
    data are moved inside before.
    """

    parameters: int = eqx.field(static=True, default=2)

    def log_prob(self, theta: Array, x: Array) -> Array:
        normal = normal_log_prob(logit(x), theta[0], bounded(theta[1]))
        return jnp.sum(normal - jnp.log(x) - jnp.log1p(-x))

    def natural(self, x: Array) -> Array:
        """Logits. An encoder of x itself, which hardly moves where x is near 0 or 1, is far off."""
        return logit(x)

    def mean(self, theta: Array) -> Array:
        return jax.nn.sigmoid(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Array) -> Array:
        noise = jax.random.normal(key, theta[0].shape, theta.dtype)
        return jax.nn.sigmoid(theta[0] + jnp.exp(bounded(theta[1])) * noise)

    def start(self, mean: Array) -> Array:
        middle = logit(0.01 + 0.98 * mean)
        return jnp.stack([middle, jnp.zeros_like(middle)])


class DiscretisedLogistic(Likelihood):
    """x_i ∈ {0, 1, …, levels − 1} / (levels − 1), a logistic variable rounded to them.

    p(x) = σ((x + δ/2 − θ₀)/s) − σ((x − δ/2 − θ₀)/s), δ = 1/(levels − 1), ln s = θ₁ − 3 softly
    bounded; the outermost levels take the tails (Salimans et al. 2017). Probabilities sum to 1.
    """

    levels: int = eqx.field(static=True, default=256)
    parameters: int = eqx.field(static=True, default=2)

    def _log_scale(self, theta: Array) -> Array:
        return bounded(theta[1]) - 3.0

    def log_prob(self, theta: Array, x: Array) -> Array:
        delta = 1 / (self.levels - 1)
        scale = jnp.exp(-self._log_scale(theta))
        above = (x + delta / 2 - theta[0]) * scale
        below = (x - delta / 2 - theta[0]) * scale
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)): no difference of nearly equal numbers.
        first, last = x < delta / 2, x > 1 - delta / 2
        from_below = jnp.where(last, 0.0, jax.nn.log_sigmoid(above))
        from_above = jnp.where(first, 0.0, jax.nn.log_sigmoid(-below))
        inside = jnp.where(first | last, 0.0, jnp.log(-jnp.expm1(-delta * scale)))
        return jnp.sum(from_below + from_above + inside)

    def natural(self, x: Array) -> Array:
        """From −2 to 2."""
        return 4 * x - 2

    def mean(self, theta: Array) -> Array:
        return jnp.clip(theta[0], 0.0, 1.0)

    def sample(self, key: PRNGKeyArray, theta: Array) -> Array:
        noise = jax.random.logistic(key, theta[0].shape, theta.dtype)
        x = theta[0] + jnp.exp(self._log_scale(theta)) * noise
        steps = self.levels - 1
        return jnp.round(jnp.clip(x, 0.0, 1.0) * steps) / steps

    def start(self, mean: Array) -> Array:
        return jnp.stack([mean, jnp.zeros_like(mean)])


LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "logit_normal": LogitNormal,
    "discretised_logistic": DiscretisedLogistic,
}


def bounded(raw: Array) -> Array:
    """A log-scale, softly bounded: as it is near zero."""
    return MAX_LOG_SCALE * jnp.tanh(raw / MAX_LOG_SCALE)


def normal_log_prob(x: Array, mean: Array, log_scale: Array) -> Array:
    """ln N(x; mean, e^(2 log_scale)), number by number."""
    return -0.5 * (((x - mean) * jnp.exp(-log_scale)) ** 2 + LOG_2PI) - log_scale

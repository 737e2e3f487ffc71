"""Likelihoods: densities of independent numbers whose parameters the decoder gives."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logit
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.tree import Frozen, Module

LOG_2PI = math.log(2 * math.pi)
MAX_LOG_SCALE = 7.0  # soft bound up and down: e⁷ is a thousand


class Likelihood(Module):
    """p(x | θ) = Π_i p(x_i | θ_i) for observations of n numbers, `parameters` a number.

    θ comes from linear heads, without a constraint. Log-densities are sums over the numbers of an
    observation, in nats.

    Attributes:
        parameters: p, the number of parameters for each number.

    Example:
        >>> import jax.numpy as jnp
        >>> from thalweg.latent import LIKELIHOODS
        >>> bernoulli = LIKELIHOODS["bernoulli"]()
        >>> round(float(bernoulli.log_prob(jnp.zeros((1, 2)), jnp.array([0.0, 1.0]))), 4)
        -1.3863
    """

    parameters: eqx.AbstractVar[int]

    @abstractmethod
    def log_prob(self, theta: Float[Array, "p n"], x: Real[Array, " n"]) -> Float[Array, ""]:
        """Return ln p(x | θ) in nats."""

    def natural(self, x: Real[Array, "*rows n"]) -> Real[Array, "*rows n"]:
        """Return x on the scale of its noise, centred and of about unit spread, for the encoder."""
        return x

    def standardised(self, loc: Float[Array, " n"], scale: Float[Array, " n"]) -> Likelihood:
        """Return the likelihood for data of these means and spreads, if numbers have units."""
        return self

    @abstractmethod
    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        """Return the mean of p(x | θ), or the median where the mean has no closed form."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        """Draw x."""

    @abstractmethod
    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        """Return the θ at which observations have this mean, whatever z is."""


class Bernoulli(Likelihood):
    """x_i ∈ {0, 1} with logits θ: ln p = Σ x_i θ_i − ln(1 + e^θ_i).

    Attributes:
        parameters: 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> float(tw.latent.Bernoulli().mean(jnp.zeros((1, 1)))[0])
        0.5
    """

    parameters: int = eqx.field(static=True, default=1)

    def log_prob(self, theta: Float[Array, "p n"], x: Real[Array, " n"]) -> Float[Array, ""]:
        logits = theta[0]
        # Not log1p, which costs as much as all else of a decoder's last layer: the rounding of
        # 1 + e^−|θ| in each term is below the rounding of their sum.
        return jnp.sum(x * logits - jnp.maximum(logits, 0) - jnp.log(1 + jnp.exp(-jnp.abs(logits))))

    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return jax.nn.sigmoid(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return jax.random.bernoulli(key, self.mean(theta)).astype(theta.dtype)

    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        # Keeps the logits finite where all observations have one value.
        return logit(0.01 + 0.98 * mean)[None]


class Gaussian(Likelihood):
    """x_i = m_i + c_i y_i, y_i ~ N(θ₀, e^2s), s = θ₁ softly bounded; a density of x itself.

    m and c are fixed: with those of the data, units do not matter.

    Args:
        log_scale: s, if it is the same everywhere and not learned.
        loc: m, (n,).
        scale: c, (n,).

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> normal = tw.latent.Gaussian(log_scale=0.0)
        >>> round(float(normal.log_prob(jnp.zeros((1, 1)), jnp.zeros(1))), 4)
        -0.9189
    """

    loc: Frozen
    scale: Frozen
    log_scale: float | None = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(
        self,
        log_scale: float | None = None,
        loc: Real[ArrayLike, "*n"] = 0.0,
        scale: Real[ArrayLike, "*n"] = 1.0,
    ):
        self.loc, self.scale = Frozen(jnp.asarray(loc, float)), Frozen(jnp.asarray(scale, float))
        self.log_scale = None if log_scale is None else float(log_scale)
        self.parameters = 2 if log_scale is None else 1

    def standardised(self, loc: Float[Array, " n"], scale: Float[Array, " n"]) -> Gaussian:
        return Gaussian(self.log_scale, loc, scale)

    def natural(self, x: Real[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Return y, numbers without units."""
        return (x - self.loc()) / self.scale()

    def _in_units(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.loc() + self.scale() * y

    def _log_scale(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        if self.log_scale is not None:
            return jnp.full_like(theta[0], self.log_scale)
        return bounded(theta[1])

    def log_prob(self, theta: Float[Array, "p n"], x: Real[Array, " n"]) -> Float[Array, ""]:
        y = normal_log_prob(self.natural(x), theta[0], self._log_scale(theta))
        return jnp.sum(y - jnp.log(self.scale()))

    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return self._in_units(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        noise = jax.random.normal(key, theta[0].shape, theta.dtype)
        return self._in_units(theta[0] + jnp.exp(self._log_scale(theta)) * noise)

    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        return jnp.zeros((self.parameters, *mean.shape)).at[0].set(self.natural(mean))


class LogitNormal(Likelihood):
    """x_i ∈ (0, 1) with logit x_i ~ N(θ₀, e^2s), s = θ₁ softly bounded.

    ln p(x) = ln N(logit x) − ln x(1 − x): a density of x itself. Observations at 0 or 1 have none;
    data are moved inside before.

    Attributes:
        parameters: 2.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> float(tw.latent.LogitNormal().mean(jnp.zeros((2, 1)))[0])
        0.5
    """

    parameters: int = eqx.field(static=True, default=2)

    def log_prob(self, theta: Float[Array, "p n"], x: Real[Array, " n"]) -> Float[Array, ""]:
        normal = normal_log_prob(logit(x), theta[0], bounded(theta[1]))
        return jnp.sum(normal - jnp.log(x) - jnp.log1p(-x))

    def natural(self, x: Real[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Return logits: near 0 and 1 x itself varies little, and an encoder of it fits badly."""
        return logit(x)

    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return jax.nn.sigmoid(theta[0])

    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        noise = jax.random.normal(key, theta[0].shape, theta.dtype)
        return jax.nn.sigmoid(theta[0] + jnp.exp(bounded(theta[1])) * noise)

    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        middle = logit(0.01 + 0.98 * mean)
        return jnp.stack([middle, jnp.zeros_like(middle)])


class DiscretisedLogistic(Likelihood):
    """x_i ∈ {0, 1, …, levels − 1} / (levels − 1), a logistic variable rounded to them.

    p(x) = σ((x + δ/2 − θ₀)/s) − σ((x − δ/2 − θ₀)/s), δ = 1/(levels − 1), ln s = θ₁ − 3 softly
    bounded; the outermost levels take the tails (Salimans et al. 2017). Probabilities sum to 1.

    Attributes:
        levels: of x.
        parameters: 2.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> two = tw.latent.DiscretisedLogistic(levels=2)
        >>> theta = jnp.array([[0.5], [0.0]])
        >>> round(float(jnp.exp(two.log_prob(theta, jnp.ones(1)))), 4)
        0.5
    """

    levels: int = eqx.field(static=True, default=256)
    parameters: int = eqx.field(static=True, default=2)

    def _log_scale(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return bounded(theta[1]) - 3.0

    def log_prob(self, theta: Float[Array, "p n"], x: Real[Array, " n"]) -> Float[Array, ""]:
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

    def natural(self, x: Real[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Return x mapped to [−2, 2]."""
        return 4 * x - 2

    def mean(self, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        return jnp.clip(theta[0], 0.0, 1.0)

    def sample(self, key: PRNGKeyArray, theta: Float[Array, "p n"]) -> Float[Array, " n"]:
        noise = jax.random.logistic(key, theta[0].shape, theta.dtype)
        x = theta[0] + jnp.exp(self._log_scale(theta)) * noise
        steps = self.levels - 1
        return jnp.round(jnp.clip(x, 0.0, 1.0) * steps) / steps

    def start(self, mean: Float[Array, " n"]) -> Float[Array, "p n"]:
        return jnp.stack([mean, jnp.zeros_like(mean)])


LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "logit_normal": LogitNormal,
    "discretised_logistic": DiscretisedLogistic,
}


def bounded(raw: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bound a log-scale softly; near zero it stays as it is."""
    return MAX_LOG_SCALE * jnp.tanh(raw / MAX_LOG_SCALE)


def normal_log_prob(
    x: Real[Array, "*shape"], mean: Float[Array, "*shape"], log_scale: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Return ln N(x; mean, e^(2 log_scale)), number by number."""
    return -0.5 * (((x - mean) * jnp.exp(-log_scale)) ** 2 + LOG_2PI) - log_scale

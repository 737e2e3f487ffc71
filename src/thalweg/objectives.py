"""What a fit minimises: estimators of the reverse KL divergence and their gradients."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity

GRADIENTS = ("path", "total")


class Estimate(NamedTuple):
    """`surrogate` is what to differentiate; `value` is what to report (nats)."""

    surrogate: Float[Array, ""]
    value: Float[Array, ""]


class Objective(eqx.Module):
    """A stochastic objective of a model: objective(model, key, step) -> Estimate.

    Array leaves lead with the restart axis in a fit, so restarts may differ in them; instances
    that are equal in everything else share one compiled training program.
    """

    @abstractmethod
    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        """One estimate from fresh draws."""

    @abstractmethod
    def settled(self, step: Array) -> Array:
        """Whether values at this step are comparable with later ones (annealing is over)."""


class Annealing(eqx.Module):
    """β_t = min(1, `start` + t / `steps`), the inverse temperature of the target.

    The paper's schedule is start 0.01 and steps 10⁴ (Rezende & Mohamed 2015). A flat target at
    first lets a flow spread over several modes before they pull. start = 1 anneals nothing, and
    infinite `steps` keep β where it starts; each restart of a fit may have its own.
    """

    start: Float[Array, "*restarts"]
    steps: Float[Array, "*restarts"]

    def __init__(self, start: ArrayLike = 0.01, steps: ArrayLike = 10_000):
        both = np.broadcast_arrays(np.asarray(start, float), np.asarray(steps, float))
        self.start, self.steps = (jnp.asarray(values) for values in both)

    def __call__(self, step: Array) -> Float[Array, "*restarts"]:
        return jnp.minimum(1.0, self.start + step / self.steps)

    def settled(self, step: Array) -> Array:
        """Whether β has stopped moving."""
        return (self(step) >= 1.0) | jnp.isinf(self.steps)

    def length(self) -> Float[np.ndarray, "*restarts"]:
        """The number of steps with β < 1; infinite where β never gets there."""
        first = np.asarray(self.start, float)
        return np.maximum(1 - first, 0.0) * np.where(first < 1, np.asarray(self.steps, float), 0.0)


class ReverseKL(Objective):
    """The free energy F = E_q[ln q(x) − β ln p̃(x)] ≥ −ln Z, with equality (β = 1) iff q = p.

    F + ln Z is KL(q ‖ p) in nats. `batch_size` reparametrised draws a step. `gradient` is "path"
    (sticking the landing, Roeder et al. 2017: only the path through x is differentiated, so the
    gradient of every single draw vanishes at q = p) or "total" (the score term is kept).
    """

    log_density: LogDensity = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    gradient: str = eqx.field(static=True, default="path")
    annealing: Annealing | None = None

    def __check_init__(self) -> None:
        if self.gradient not in GRADIENTS:
            raise ValueError(f"gradient must be 'path' or 'total', got {self.gradient!r}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {self.batch_size}")

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        beta = 1.0 if self.annealing is None else self.annealing(step)
        if self.gradient == "total":
            x, log_q = model.sample_and_log_prob(key, (self.batch_size,))
            log_p = jax.vmap(self.log_density)(x)
            value = jnp.mean(log_q - beta * log_p)
            return Estimate(value, value)
        x, log_q, score = model.push_score(model.base.sample(key, (self.batch_size,)))
        log_p, pull = jax.vmap(jax.value_and_grad(self.log_density))(jax.lax.stop_gradient(x))
        force = jax.lax.stop_gradient(score - beta * pull)
        return Estimate(jnp.sum(force * x) / self.batch_size, jnp.mean(log_q - beta * log_p))

    def settled(self, step: Array) -> Array:
        return jnp.asarray(True) if self.annealing is None else self.annealing.settled(step)


def free_energy(
    model: Flow, log_density: LogDensity, key: PRNGKeyArray, n: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """−ELBO = E_q[ln q − ln p̃] over `n` draws, and its standard error (nats)."""
    x, log_q = model.sample_and_log_prob(key, (n,))
    terms = log_q - jax.vmap(log_density)(x)
    return jnp.mean(terms), jnp.std(terms, ddof=1) / n**0.5

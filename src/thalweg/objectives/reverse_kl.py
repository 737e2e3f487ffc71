"""Reverse KL: a flow against an unnormalised density."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
from thalweg.bijections.estimated import in_training, with_noise
from thalweg.distributions import Flow
from thalweg.objectives.annealing import Annealing
from thalweg.objectives.objective import Estimate, Objective, Shared
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity
from thalweg.tree import float_dtype

GRADIENTS = ("path", "total")


class ReverseKL(Objective):
    """The free energy F = E_q[ln q(x) − β ln p̃(x)] ≥ −ln Z, with equality (β = 1) iff q = p.

    F + ln Z is KL(q ‖ p) in nats. Parameters that draws are not a function of, such as the weights
    of a mixture, have the gradient E_q[(F_x − F) ∇ ln q(x)], F_x a draw's own term and F their
    mean: it vanishes at q = p too. Log-determinants that can be estimated are.

    Args:
        log_density: ln p̃ of one point, in JAX.
        batch_size: reparametrised draws of a step.
        gradient: "path" (sticking the landing, Roeder et al. 2017: only the path through x is
            differentiated, so the gradient of every single draw vanishes at q = p) or "total" (the
            score term is kept).
        annealing: the schedule of β; 1 throughout by default.

    Raises:
        ValueError: the gradient is unknown, or the batch is no positive whole number.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> flow = tw.flows.build("mean_field", jax.random.key(0), 2)
        >>> objective = tw.objectives.ReverseKL(flow.log_prob, 16)
        >>> print(f"{abs(objective(flow, jax.random.key(1), jnp.array(0)).value):.3f}")
        0.000
    """

    log_density: Shared  # the data of a traced density are arrays
    batch_size: int = eqx.field(static=True)
    gradient: str = eqx.field(static=True)
    annealing: Annealing | None

    def __init__(
        self,
        log_density: LogDensity,
        batch_size: int,
        gradient: str = "path",
        annealing: Annealing | None = None,
    ):
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r:.80}")
        self.log_density = Shared(log_density)
        self.batch_size = check_whole_number("batch_size", batch_size)
        self.gradient, self.annealing = gradient, annealing

    @property
    def title(self) -> str:
        first = 1.0 if self.annealing is None else self.annealing.start
        return "−ELBO" if np.any(np.asarray(first) >= 1) else "free energy"

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        log_density: LogDensity = self.log_density.value
        beta = 1.0 if self.annealing is None else self.annealing(step)
        model = with_noise(in_training(model), jax.random.fold_in(key, 1))
        z = model.base.sample(key, (self.batch_size,)).astype(float_dtype(model))
        if self.gradient == "total":
            x, log_det = model.push(z)
            log_q = model.base.log_prob(z) - log_det
            terms = log_q - beta * map_points(log_density, log_density, x)
            surrogate = jnp.mean(terms)
        else:
            x, log_q, score = model.push_score(z)
            both = jax.value_and_grad(log_density)
            log_p, pull = map_points(both, log_density, jax.lax.stop_gradient(x))
            force = jax.lax.stop_gradient(score - beta * pull)
            terms = log_q - beta * log_p
            surrogate = jnp.sum(force * x) / self.batch_size
        value = jnp.mean(terms)
        away = jax.lax.stop_gradient(terms - value)
        choice = jnp.mean(away * model.base.log_prob_of_choice(jax.lax.stop_gradient(z)))
        return Estimate(surrogate + choice, value)

    def is_comparable(self, step: Int[Array, ""]) -> Bool[Array, "*restarts"]:
        return jnp.asarray(True) if self.annealing is None else self.annealing.is_constant(step)


def free_energy(
    model: Flow, log_density: LogDensity, key: PRNGKeyArray, n: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Estimate −ELBO = E_q[ln q − ln p̃] in nats.

    Args:
        model: q.
        log_density: ln p̃ of one point.
        key: of the draws.
        n: how many draws.

    Returns:
        The mean and its standard error.

    Example:
        >>> import jax, thalweg as tw
        >>> flow = tw.flows.build("mean_field", jax.random.key(0), 2)
        >>> mean, error = tw.objectives.free_energy(flow, flow.log_prob, jax.random.key(1), 100)
        >>> print(f"{abs(mean):.3f}")
        0.000
    """
    x, log_q = model.sample_and_log_prob(key, (n,))
    terms = log_q - map_points(log_density, log_density, x)
    return jnp.mean(terms), jnp.std(terms, ddof=1) / n**0.5

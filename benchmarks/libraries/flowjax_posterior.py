"""FlowJAX: a masked autoregressive flow fitted to the same density by its own loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train import fit_to_key_based_loss
from flowjax.train.losses import ElboLoss
from posterior_models.score import Fitted

from thalweg.targets import Target

STEPS, PARTICLES, RATE = 5000, 64, 1e-3
DRAWS = 32_768


def maf(target: Target, seed: int) -> Fitted:
    """Its defaults for the flow, in the direction that samples in one pass."""
    build, fit, draw = jax.random.split(jax.random.key(seed), 3)
    flow = masked_autoregressive_flow(
        build, base_dist=Normal(jnp.zeros(target.dim), 1.0), invert=False
    )
    loss = ElboLoss(target.log_density, num_samples=PARTICLES, stick_the_landing=True)
    flow, losses = fit_to_key_based_loss(
        fit, flow, loss_fn=loss, steps=STEPS, learning_rate=RATE, show_progress=False
    )
    u, log_q = flow.sample_and_log_prob(draw, (DRAWS,))
    log_w = jax.jit(jax.vmap(target.log_density))(u) - log_q
    return Fitted(np.asarray(u), np.asarray(log_w), {"last_loss": float(losses[-1])})

"""A flow of thalweg as a distribution of NumPyro."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import Distribution, constraints

from thalweg import distributions
from thalweg.distributions import Flow
from thalweg.objectives import GRADIENTS


class FlowDistribution(Distribution):
    """A density of thalweg on R^d, mostly a flow, as NumPyro's vectors of event shape (d,).

    Draws (*sample_shape, d) are reparametrised; densities are in nats.

    Args:
        flow: A density of vectors without a context.
        gradient: What the density of a flow's own draw is to differentiation: "total" everything;
            "path" only the way through the draw, not the parameters of the density (sticking the
            landing, Roeder et al. 2017). The score of every draw then comes from the forward pass,
            so that no inverse is needed.
        validate_args: As in NumPyro.

    Raises:
        ValueError: The density has a context or its events are no vectors, the gradient is unknown,
            or it is "path" and the density no flow.

    Example:
        >>> import jax
        >>> import thalweg as tw
        >>> from thalweg.numpyro import FlowDistribution
        >>> flow = tw.flows.build("planar", jax.random.key(0), 2)
        >>> FlowDistribution(flow).sample(jax.random.key(1), (3,)).shape
        (3, 2)
    """

    support = constraints.real_vector
    has_rsample = True
    pytree_data_fields = ("flow",)
    pytree_aux_fields = ("gradient",)

    def __init__(
        self,
        flow: distributions.Distribution,
        gradient: str = "total",
        *,
        validate_args: bool | None = None,
    ):
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r:.80}")
        if gradient == "path" and not isinstance(flow, Flow):
            raise ValueError(f"path gradients need a Flow, got {type(flow).__name__}")
        if len(flow.shape) != 1 or flow.context_shape is not None:
            raise ValueError(
                f"a distribution of NumPyro needs a flow on vectors without a context, got one on "
                f"{flow.shape}, context {flow.context_shape}"
            )
        self.flow, self.gradient = flow, gradient
        super().__init__((), flow.shape, validate_args=validate_args)

    def sample(
        self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> Float[Array, "*sample d"]:
        return self.flow.sample(key, sample_shape)

    rsample = sample

    def sample_with_intermediates(
        self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Float[Array, "*sample d"], list[Array]]:
        """Draws and, for `log_prob`, their log densities: both from one forward pass."""
        if self.gradient == "total":
            x, log_q = self.flow.sample_and_log_prob(key, sample_shape)
            return x, [log_q]
        flow = cast(Flow, self.flow)
        x, log_q, score = flow.push_score(flow.base.sample(key, sample_shape))
        fixed_log_q, fixed_score, fixed_x = jax.lax.stop_gradient((log_q, score, x))
        # Worth ln q(x); its derivative is that of ln q along x alone.
        return x, [fixed_log_q + jnp.sum(fixed_score * (x - fixed_x), -1)]

    def log_prob(
        self, value: Float[Array, "*batch d"], intermediates: Any = None
    ) -> Float[Array, "*batch"]:
        """ln q(x); of a draw that comes with its intermediates, that of the pass that made it."""
        return intermediates[0] if intermediates else self.flow.log_prob(value)

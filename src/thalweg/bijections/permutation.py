"""Fixed reorderings and rotations of a vector: volume-preserving mixing between layers."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from thalweg.bijections.bijection import Bijection, check_dim
from thalweg.bijections.shapes import Context, Event, LogDet, Shape
from thalweg.tree import Frozen


def check_order(order: Int[Array, " d"], dim: int | None = None) -> Int[Array, " d"]:
    """Return the order as an array; raises `ValueError` unless it holds 0 … d-1 once each."""
    order = jnp.asarray(order)
    if not isinstance(order, jax.core.Tracer):
        given = sorted(order.tolist())
        if given != list(range(len(given) if dim is None else dim)) or not given:
            raise ValueError(f"an order holds 0 … d-1 once each, got {order}")
    return order


class Permutation(Bijection):
    """x_i = z_{π(i)}, ln|det| = 0. The order is an array leaf, saved and not trained.

    Args:
        order: π, of shape (d,), which holds 0 … d − 1 once each.

    Raises:
        ValueError: for any other order.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> permutation = tw.bijections.Permutation(jnp.array([2, 0, 1]))
        >>> permutation.forward(jnp.array([10.0, 20.0, 30.0])).tolist()
        [30.0, 10.0, 20.0]
    """

    order: Int[Array, " d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, order: Int[Array, " d"]):
        self.order = check_order(order)
        self.shape, self.context_shape = self.order.shape, None

    @classmethod
    def random(cls, dim: int, *, key: PRNGKeyArray) -> Permutation:
        """Return a permutation with a uniformly drawn order."""
        return cls(jax.random.permutation(key, check_dim(dim)))

    @classmethod
    def reverse(cls, dim: int) -> Permutation:
        """Return the permutation that reverses coordinates."""
        return cls(jnp.arange(check_dim(dim))[::-1])

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return z[self.order], jnp.zeros((), z.dtype)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return x[jnp.argsort(self.order)], jnp.zeros((), x.dtype)


class FixedRotation(Bijection):
    """x = Q z with Q orthogonal, drawn from the Haar measure and then fixed; ln|det| = 0.

    Args:
        dim: d, the length of an event.
        key: a PRNG key for Q.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> x = tw.bijections.FixedRotation(3, key=jax.random.key(0)).forward(jnp.ones(3))
        >>> round(float(x @ x), 4)
        3.0
    """

    matrix: Frozen
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, dim: int, *, key: PRNGKeyArray):
        self.matrix = Frozen(jax.random.orthogonal(key, check_dim(dim)))
        self.shape, self.context_shape = (dim,), None

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.matrix() @ z, jnp.zeros((), z.dtype)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.matrix().T @ x, jnp.zeros((), x.dtype)

"""Trainable orthogonal maps: products of reflections, and rotations."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, Params, check_dim
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.bijections.substitution import substitute

KINDS = ("cayley", "exponential")


class Orthogonal(Parametric[Params]):
    """x = Q z with Q orthogonal, ln|det| = 0. A subclass says how Q and Qᵀ are applied.

    In one dimension there is nothing to turn, so nothing depends on a context.
    """

    def __init__(
        self, free: PyTree, dim: int, context_shape: Shape | None, key: PRNGKeyArray | None
    ):
        super().__init__(free, (dim,), context_shape if dim > 1 else None, key)

    @abstractmethod
    def apply(self, params: Params, z: Event, *, transposed: bool = False) -> Event:
        """Q z, or Qᵀ z."""

    def transform(self, params: Params, z: Event) -> tuple[Event, LogDet]:
        return self.apply(params, z), jnp.zeros((), z.dtype)

    def invert(self, params: Params, x: Event) -> tuple[Event, LogDet]:
        return self.apply(params, x, transposed=True), jnp.zeros((), x.dtype)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        params = self.parameters(context)
        fixed, score = jax.lax.stop_gradient((params, score))
        # Q⁻ᵀ = Q: a score turns with its point.
        return self.apply(params, z), jnp.zeros((), z.dtype), self.apply(fixed, score)


class _Reflections(NamedTuple):
    directions: Float[Array, "m d"]  # of unit length
    gram: Float[Array, "m m"]  # their products above the diagonal, ½ on it


class Householder(Orthogonal[_Reflections]):
    """x = H₁ ⋯ H_M z with H_i = I − 2 v_i v_iᵀ/‖v_i‖², ln|det| = 0 (Tomczak & Welling 2016).

    The product is I − VᵀG⁻¹V for G upper triangular with the products of the unit vectors v_i
    above its diagonal and ½ on it: matrix products and one triangular system for a whole batch,
    O(dM + M²) each way. An even number of `reflections` starts as the identity, in pairs; an odd
    one keeps a reflection. By default they are as many as every rotation needs, d or d − 1.

    Args:
        dim: d, the length of an event.
        reflections: M; None for d or d − 1.
        key: a PRNG key for the reflections and, where there is a context, its network.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Raises:
        ValueError: where `reflections` is not positive.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> rotation = tw.bijections.Householder(4, key=jax.random.key(0))
        >>> x = rotation.forward(jnp.ones(4))
        >>> round(float(x @ x), 4)
        4.0
    """

    def __init__(
        self,
        dim: int,
        reflections: int | None = None,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
    ):
        dim = check_dim(dim)
        count = max(dim - dim % 2, 2) if reflections is None else reflections
        if count < 1:
            raise ValueError(f"reflections must be positive, got {reflections}")
        draw, net = jax.random.split(key)
        # Two equal reflections undo each other.
        directions = jnp.repeat(jax.random.normal(draw, ((count + 1) // 2, dim)), 2, axis=0)
        super().__init__(directions[:count], dim, context_shape, net)

    def constrain(self, raw: Float[Array, "m d"]) -> _Reflections:
        # In one dimension the quotient has no derivative, and rounding would give it one.
        one = raw.shape[1] == 1
        unit = jnp.sign(raw) if one else raw / jnp.linalg.norm(raw, axis=1, keepdims=True)
        half = 0.5 * jnp.eye(raw.shape[0], dtype=raw.dtype)
        return _Reflections(unit, jnp.triu(unit @ unit.T, 1) + half)

    def apply(self, params: _Reflections, z: Event, *, transposed: bool = False) -> Event:
        lengths = substitute(params.gram, params.directions @ z, lower=False, transposed=transposed)
        return z - lengths @ params.directions


class Rotation(Orthogonal[Float[Array, "d d"]]):
    """x = Q z with Q a rotation made of a skew-symmetric A, ln|det| = 0.

    `kind` is "cayley", Q = (I + A)⁻¹(I − A), one linear system; or "exponential", Q = e^A, which
    costs several times that and also holds the rotations that turn a plane by 180°. Q is
    computed once for all points, in O(d³); then O(d²) each way. Starts as the identity.

    Args:
        dim: d, the length of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.
        kind: "cayley" or "exponential".

    Raises:
        ValueError: for another `kind`.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> tw.bijections.Rotation(3).forward(jnp.ones(3)).round(4).tolist()
        [1.0, 1.0, 1.0]
    """

    kind: str = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        kind: str = "cayley",
    ):
        dim = check_dim(dim)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r:.80}")
        super().__init__(jnp.zeros(dim * (dim - 1) // 2), dim, context_shape, key)
        self.kind = kind

    def constrain(self, raw: Float[Array, " p"]) -> Float[Array, "d d"]:
        dim = self.shape[0]
        eye = jnp.eye(dim, dtype=raw.dtype)
        below = jnp.zeros_like(eye).at[jnp.tril_indices(dim, -1)].set(raw / dim**0.5)
        skew = below - below.T
        return (
            expm(skew) if self.kind == "exponential" else jnp.linalg.solve(eye + skew, eye - skew)
        )

    def apply(self, params: Float[Array, "d d"], z: Event, *, transposed: bool = False) -> Event:
        return z @ params if transposed else params @ z

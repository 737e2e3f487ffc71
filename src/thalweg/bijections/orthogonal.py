"""Trainable orthogonal maps: products of reflections, and rotations."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, Params, Shape, check_dim
from thalweg.bijections.substitution import substitute
from thalweg.nets.amortised import Amortised

KINDS = ("cayley", "exponential")


class Orthogonal(Parametric[Params]):
    """x = Q z with Q orthogonal, ln|det| = 0. A subclass says how Q and Qᵀ are applied."""

    @abstractmethod
    def apply(self, params: Params, z: Array, *, transposed: bool = False) -> Array:
        """Q z, or Qᵀ z."""

    def transform(self, params: Params, z: Array) -> tuple[Array, Array]:
        return self.apply(params, z), jnp.zeros((), z.dtype)

    def invert(self, params: Params, x: Array) -> tuple[Array, Array]:
        return self.apply(params, x, transposed=True), jnp.zeros((), x.dtype)

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
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
    one keeps a reflection. By default they are as many as every rotation needs, d or d − 1. In
    one dimension there is nothing to turn, so nothing depends on a context. Raises `ValueError`
    where `reflections` is not positive.
    """

    raw: Amortised | None
    ready: PyTree
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

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
        context_shape = context_shape if dim > 1 else None
        self.raw = Amortised(directions[:count], context_shape, key=net)
        self.ready = None
        self.shape, self.context_shape = (dim,), context_shape

    def constrain(self, raw: Array) -> _Reflections:
        # In one dimension the quotient has no derivative, and rounding would give it one.
        one = raw.shape[1] == 1
        unit = jnp.sign(raw) if one else raw / jnp.linalg.norm(raw, axis=1, keepdims=True)
        half = 0.5 * jnp.eye(raw.shape[0], dtype=raw.dtype)
        return _Reflections(unit, jnp.triu(unit @ unit.T, 1) + half)

    def apply(self, params: _Reflections, z: Array, *, transposed: bool = False) -> Array:
        lengths = substitute(params.gram, params.directions @ z, lower=False, transposed=transposed)
        return z - lengths @ params.directions


class Rotation(Orthogonal[Float[Array, "d d"]]):
    """x = Q z with Q a rotation made of a skew-symmetric A, ln|det| = 0.

    `kind` is "cayley", Q = (I + A)⁻¹(I − A), one linear system; or "exponential", Q = e^A, which
    costs several times that and also holds the rotations that turn a plane by 180°. Q is worked
    out once for all points, in O(d³); then O(d²) each way. Starts as the identity. In one
    dimension there is nothing to turn, so nothing depends on a context. Raises `ValueError` for
    another `kind`.
    """

    raw: Amortised | None
    ready: PyTree
    kind: str = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

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
        context_shape = context_shape if dim > 1 else None
        self.raw = Amortised(jnp.zeros(dim * (dim - 1) // 2), context_shape, key=key)
        self.ready = None
        self.kind = kind
        self.shape, self.context_shape = (dim,), context_shape

    def constrain(self, raw: Array) -> Array:
        dim = self.shape[0]
        eye = jnp.eye(dim, dtype=raw.dtype)
        below = jnp.zeros_like(eye).at[jnp.tril_indices(dim, -1)].set(raw / dim**0.5)
        skew = below - below.T
        return (
            expm(skew) if self.kind == "exponential" else jnp.linalg.solve(eye + skew, eye - skew)
        )

    def apply(self, params: Array, z: Array, *, transposed: bool = False) -> Array:
        return z @ params if transposed else params @ z

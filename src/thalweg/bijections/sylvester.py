"""Sylvester flows: planar maps with several directions at once."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.bijection import Parametric, check_dim
from thalweg.bijections.planar import IDENTITY_SLOPE
from thalweg.bijections.roots import solve_increasing
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Raw, Shape
from thalweg.bijections.substitution import substitute

KINDS = ("orthogonal", "householder", "triangular")


class _Frame(NamedTuple):
    q: Float[Array, "d m"]  # orthonormal columns
    r: Float[Array, "m m"]  # upper triangular
    r_tilde: Float[Array, "m m"]  # upper triangular
    b: Float[Array, " m"]
    one_plus_slope: Float[Array, " m"]  # 1 + R̃_ii R_ii = softplus > 0, kept as such


class Sylvester(Parametric[_Frame]):
    """x = z + Q R tanh(R̃ Qᵀz + b), ln|det| = Σ_i ln(1 + R̃_ii R_ii tanh'(…)_i) (van den Berg 2018).

    Q (d × M) has orthonormal columns, R and R̃ are upper triangular with R̃_ii R_ii > −1; the
    determinant is that of an M × M triangular matrix (det(A + VWᵀ) = det(I + WᵀA⁻¹V) det A). With
    M = 1 it is the planar map. `kind` says where Q is from: "orthogonal", a QR factor of free
    columns; "householder", a product of `columns` reflections; "triangular", the identity or,
    with `reverse`, the reversal, and M = d. The inverse is M scalar roots, one after the other.
    O(dM + M²) both ways.

    Args:
        dim: d, the length of an event.
        columns: M; None for d.
        key: a PRNG key for the start.
        context_shape: the shape of the context that the parameters depend on; None for none.
        kind: "orthogonal", "householder" or "triangular".
        reverse: whether Q reverses the coordinates; of "triangular" alone.

    Raises:
        ValueError: for another `kind`, and columns that are not between 1 and d.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> sylvester = tw.bijections.Sylvester(3, 2, key=jax.random.key(0))
        >>> bool(jnp.allclose(sylvester.inverse(sylvester.forward(jnp.ones(3))), 1, atol=1e-5))
        True
    """

    kind: str = eqx.field(static=True)
    reverse: bool = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        columns: int | None = None,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        kind: str = "orthogonal",
        reverse: bool = False,
    ):
        dim = check_dim(dim)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r:.80}")
        m = dim if columns is None or kind == "triangular" else columns
        if not 1 <= m <= dim:
            raise ValueError(f"columns must be between 1 and {dim}, got {columns}")
        keys = jax.random.split(key, 5)
        free = {
            "r": 0.01 * jax.random.normal(keys[0], (m, m)),
            "r_tilde": 0.1 * jax.random.normal(keys[1], (m, m)),
            "slope": IDENTITY_SLOPE + 0.01 * jax.random.normal(keys[2], (m,)),
            "b": jax.random.normal(keys[3], (m,)),
        }
        if kind != "triangular":
            free["directions"] = jax.random.normal(keys[4], (dim, m))
        super().__init__(free, (dim,), context_shape, jax.random.fold_in(key, 5))
        self.kind, self.reverse = kind, reverse

    def constrain(self, raw: Raw) -> _Frame:
        # Far below zero softplus underflows; the floor keeps the logarithm of it finite.
        tiny = jnp.finfo(raw["slope"].dtype).tiny
        one_plus_slope = jnp.maximum(jax.nn.softplus(raw["slope"]), tiny)
        scale = jnp.exp(jnp.tanh(jnp.diagonal(raw["r_tilde"])))
        r_tilde = jnp.triu(raw["r_tilde"], 1) + jnp.diag(scale)
        r = jnp.triu(raw["r"], 1) + jnp.diag((one_plus_slope - 1) / scale)
        return _Frame(self._columns(raw), r, r_tilde, raw["b"], one_plus_slope)

    def _columns(self, raw: Raw) -> Array:
        dim = self.shape[0]
        if self.kind == "triangular":
            eye = jnp.eye(dim, dtype=raw["b"].dtype)
            return eye[::-1] if self.reverse else eye
        directions = raw["directions"]
        if self.kind == "orthogonal":
            return jnp.linalg.qr(directions)[0]
        m = directions.shape[1]

        def reflect(columns: Array, v: Array) -> tuple[Array, None]:
            return columns - 2 * jnp.outer(v, v @ columns) / jnp.sum(v**2), None

        return jax.lax.scan(reflect, jnp.eye(dim, m, dtype=directions.dtype), directions.T)[0]

    def transform(self, params: _Frame, z: Event) -> tuple[Event, LogDet]:
        h = jnp.tanh(params.r_tilde @ (params.q.T @ z) + params.b)
        return z + params.q @ (params.r @ h), jnp.sum(jnp.log(_diagonal(params, h)))

    def invert(self, params: _Frame, x: Event) -> tuple[Event, LogDet]:
        # With T = R̃ R upper triangular and a = R̃ Qᵀz + b: a + T tanh(a) = R̃ Qᵀx + b, a scalar
        # root for each entry from the last to the first.
        product = params.r_tilde @ params.r
        slopes = params.one_plus_slope - 1
        level = params.r_tilde @ (params.q.T @ x) + params.b

        def solve(h: Array, i: Array) -> tuple[Array, None]:
            target = level[i] - product[i] @ h  # entries up to i are still zero
            reach = jnp.abs(slopes[i])
            root = solve_increasing(
                lambda a: a + slopes[i] * jnp.tanh(a) - target,
                target - reach,
                target + reach,
                scale=jnp.abs(target) + reach,
            )
            return h.at[i].set(jnp.tanh(root.or_nan())), None

        count = level.shape[0]
        h, _ = jax.lax.scan(solve, jnp.zeros_like(level), jnp.arange(count), reverse=True)
        return x - params.q @ (params.r @ h), -jnp.sum(jnp.log(_diagonal(params, h)))

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        params = self.parameters(context)
        x, _ = self.transform(params, z)
        params, z, score = jax.lax.stop_gradient((params, z, score))
        h = jnp.tanh(params.r_tilde @ (params.q.T @ z) + params.b)
        first = 1 - h * h
        det = _diagonal(params, h)
        pull = params.q @ params.r_tilde.T  # gradients with respect to a become ones in z
        v = score - pull @ (-2 * h * first * (params.one_plus_slope - 1) / det)
        # J = I + (QR)(diag(h') R̃ Qᵀ), so Woodbury gives J⁻ᵀ with an M × M triangular system.
        system = jnp.eye(h.size, dtype=h.dtype) + (params.r_tilde @ params.r).T * first[None, :]
        inner = substitute(system, params.r.T @ (params.q.T @ v))
        return x, jnp.sum(jnp.log(det)), v - pull @ (first * inner)


def _diagonal(params: _Frame, h: Array) -> Array:
    """1 + R̃_ii R_ii tanh', as a sum of positive terms."""
    square = h * h
    return square + params.one_plus_slope * (1 - square)

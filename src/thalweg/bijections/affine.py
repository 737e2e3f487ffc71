"""Affine maps of a whole vector: triangular, general, and one that is not trained."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.bijections.bijection import Bijection, Parametric, check_dim, per_event
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Raw, Shape
from thalweg.bijections.substitution import substitute
from thalweg.tree import Frozen


class _Triangular(NamedTuple):
    loc: Float[Array, " d"]
    factor: Float[Array, "d d"]
    log_diagonal: Float[Array, " d"]


class TriangularAffine(Parametric[_Triangular]):
    """x = μ + L z with L lower triangular and diag L = e^θ; ln|det| = Σ θ.

    Pushing a standard normal through it gives every full-rank normal. Starts as the identity;
    O(d²) both ways.

    Args:
        dim: d, the length of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> affine = tw.bijections.TriangularAffine(2)
        >>> affine.forward(jnp.array([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """

    def __init__(
        self, dim: int, *, key: PRNGKeyArray | None = None, context_shape: Shape | None = None
    ):
        dim = check_dim(dim)
        below = jnp.zeros(dim * (dim - 1) // 2)
        free = {"below": below, "loc": jnp.zeros(dim), "log_diagonal": jnp.zeros(dim)}
        super().__init__(free, (dim,), context_shape, key)

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def constrain(self, raw: Raw) -> _Triangular:
        dim = self.shape[0]
        rows, columns = jnp.tril_indices(dim, -1)
        below = raw["below"] / dim**0.5  # so that the condition does not grow with d
        factor = jnp.diag(jnp.exp(raw["log_diagonal"])).at[rows, columns].set(below)
        return _Triangular(raw["loc"], factor, raw["log_diagonal"])

    def transform(self, params: _Triangular, z: Event) -> tuple[Event, LogDet]:
        return per_event(params.loc, z) + params.factor @ z, jnp.sum(params.log_diagonal)

    def invert(self, params: _Triangular, x: Event) -> tuple[Event, LogDet]:
        z = jax.scipy.linalg.solve_triangular(
            params.factor, x - per_event(params.loc, x), lower=True
        )
        return z, -jnp.sum(params.log_diagonal)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        params = self.parameters(context)
        x, _ = self.transform(params, z)
        params, score = jax.lax.stop_gradient((params, score))
        pushed = jax.scipy.linalg.solve_triangular(
            params.factor, score, lower=True, trans=1
        )  # L⁻ᵀ s
        return x, jnp.sum(params.log_diagonal), pushed


class _Factors(NamedTuple):
    loc: Float[Array, " d"]
    lower: Float[Array, "d d"]
    upper: Float[Array, "d d"]
    log_diagonal: Float[Array, " d"]


class FullAffine(Parametric[_Factors]):
    """x = μ + P L U z: any invertible matrix as a fixed permutation and two triangles.

    L has a unit diagonal, diag U = e^θ, so ln|det| = Σ θ and both ways cost O(d²). P is drawn at
    construction and saved with the model (Kingma & Dhariwal 2018); L and U start as the
    identity or, where `rotated`, P L U as a random orthogonal matrix.

    Args:
        dim: d, the length of an event.
        key: a PRNG key for the permutation and, where there is a context, its network.
        context_shape: the shape of the context that the parameters depend on; None for none.
        rotated: whether P L U starts as a random orthogonal matrix.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> affine = tw.bijections.FullAffine(3, key=jax.random.key(0), rotated=True)
        >>> x, log_det = affine.forward_and_log_det(jnp.ones(3))
        >>> round(float(x @ x), 4), abs(round(float(log_det), 4))
        (3.0, 0.0)
    """

    permutation: Int[Array, " d"]

    def __init__(
        self,
        dim: int,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        rotated: bool = False,
    ):
        dim = check_dim(dim)
        key, draw = jax.random.split(key)
        start = jnp.eye(dim)
        self.permutation = jax.random.permutation(draw, dim)
        if rotated:
            start, _, order = jax.lax.linalg.lu(jax.random.orthogonal(draw, dim))
            self.permutation = jnp.argsort(order)
        rows, columns = jnp.tril_indices(dim, -1)
        # The signs of rows of the matrix are free: they are chosen so that U's diagonal is
        # positive, which also changes the signs of L's columns and rows.
        signs = jnp.sign(jnp.diagonal(start))
        free = {
            "above": (start * signs[:, None])[columns, rows] * dim**0.5,
            "below": (start * signs * signs[:, None])[rows, columns] * dim**0.5,
            "loc": jnp.zeros(dim),
            "log_diagonal": jnp.log(jnp.abs(jnp.diagonal(start))),
        }
        super().__init__(free, (dim,), context_shape, key)

    def constrain(self, raw: Raw) -> _Factors:
        dim = self.shape[0]
        rows, columns = jnp.tril_indices(dim, -1)
        unit = jnp.eye(dim, dtype=raw["loc"].dtype)
        below, above = raw["below"] / dim**0.5, raw["above"] / dim**0.5
        lower = unit.at[rows, columns].set(below)
        upper = jnp.diag(jnp.exp(raw["log_diagonal"])).at[columns, rows].set(above)
        return _Factors(raw["loc"], lower, upper, raw["log_diagonal"])

    def transform(self, params: _Factors, z: Event) -> tuple[Event, LogDet]:
        x = (params.lower @ (params.upper @ z))[self.permutation]
        return params.loc + x, jnp.sum(params.log_diagonal)

    def invert(self, params: _Factors, x: Event) -> tuple[Event, LogDet]:
        y = (x - params.loc)[jnp.argsort(self.permutation)]
        y = substitute(params.lower, y, unit_diagonal=True)
        return substitute(params.upper, y, lower=False), -jnp.sum(params.log_diagonal)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        params = self.parameters(context)
        x, log_det = self.transform(params, z)
        params, score = jax.lax.stop_gradient((params, score))
        pushed = substitute(params.upper, score, lower=False, transposed=True)
        pushed = substitute(params.lower, pushed, transposed=True, unit_diagonal=True)
        return x, log_det, pushed[self.permutation]  # P L⁻ᵀ U⁻ᵀ s


class FixedAffine(Bijection):
    """x = m + C z with fixed m and lower-triangular C; ln|det| = Σ ln C_ii. Never trained.

    It maps coordinates in which a target has about unit scale to those of the target, which is the
    largest single gain in variational inference with flows; its inverse whitens.

    Args:
        loc: m, of shape (d,).
        factor: C, of shape (d, d), lower triangular with a positive diagonal.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> affine = tw.bijections.FixedAffine(jnp.ones(2), 2.0 * jnp.eye(2))
        >>> x, log_det = affine.forward_and_log_det(jnp.ones(2))
        >>> x.tolist(), round(float(log_det), 4)
        ([3.0, 3.0], 1.3863)
    """

    loc: Frozen
    factor: Frozen
    inverse_factor: Frozen
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, loc: Float[Any, " d"], factor: Float[Any, "d d"]):
        # Products with an explicit inverse are many times faster than triangular solves, in a map
        # that every step of a fit goes through; rows of any scale cost it no accuracy. Arrays of
        # NumPy are inverted on the host, where nothing is compiled.
        solve = (jax.scipy if isinstance(factor, jax.Array) else scipy).linalg.solve_triangular
        inverse = solve(factor, np.eye(factor.shape[-1], dtype=factor.dtype), lower=True)
        self.loc, self.factor = Frozen(jnp.asarray(loc)), Frozen(jnp.asarray(factor))
        self.inverse_factor = Frozen(jnp.asarray(inverse))
        self.shape, self.context_shape = (self.loc.value.shape[-1],), None

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def _log_det(self) -> Float[Array, ""]:
        return jnp.sum(jnp.log(jnp.diagonal(self.factor())))

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return per_event(self.loc(), z) + self.factor() @ z, self._log_det()

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.inverse_factor() @ (x - per_event(self.loc(), x)), -self._log_det()

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        x, log_det = self.forward_and_log_det(z)
        return (
            x,
            jax.lax.stop_gradient(log_det),
            jax.lax.stop_gradient(self.inverse_factor().T @ score),
        )

"""Numerical inverses: roots of scalar monotone equations and of contractions.

Both report whether they converged and differentiate by the implicit function theorem, never
through the iterations. They are our own, and not a library's, because the safeguarded Newton
iteration below needs about six evaluations where bisection to rounding error needs sixty, inside
the innermost loop of every density of a planar flow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float

ROOT = "root"  # names roots, which are too costly to be found again in the backward pass

_Ends = tuple[Array, Array, Array, Array]  # of a bracket, and whether each must move out

# Bracket, guess, its step, what would be the answer, whether it is, and how many steps there were.
_Search = tuple[Array, Array, Array, Array, Array, Array, Array]
_Iteration = tuple[Array, Array, Array, Array, Array]  # guess, done, least step, since it, count


class Root(NamedTuple):
    """A solution, and whether the solver reached rounding error."""

    value: Float[Array, ...]
    converged: Bool[Array, ""]

    def or_nan(self) -> Float[Array, ...]:
        """Return the solution; NaN where the solver did not converge: no failure is silent."""
        return jnp.where(self.converged, self.value, jnp.nan)


def _widen(
    function: Callable[[Array], Array], lower: Array, upper: Array
) -> tuple[Array, Array, Array]:
    """Double an interval away from its centre until an increasing function changes sign on it.

    Returns the bracket and whether it holds a sign change.
    """

    def ends(low: Array, high: Array) -> _Ends:
        # Each comparison is made once and carried: were the loop's condition to make it anew, the
        # compiler might round the two differently, and neither would let the other go on.
        values = jax.vmap(function)(jnp.stack([low, high]))
        return low, high, ~(values[0] <= 0), ~(values[1] >= 0)

    def going(state: tuple[_Ends, Array]) -> Array:
        (_, _, too_high, too_low), rounds = state
        return (too_high | too_low) & (rounds < 200)

    def widen(state: tuple[_Ends, Array]) -> tuple[_Ends, Array]:
        (low, high, too_high, too_low), rounds = state
        reach = jnp.maximum(high - low, jnp.finfo(low.dtype).eps * (1 + jnp.abs(low)))
        low = jnp.where(too_high, low - reach, low)
        high = jnp.where(too_low, high + reach, high)
        return ends(low, high), rounds + 1

    start = (ends(lower, upper), jnp.zeros((), jnp.int32))
    (low, high, too_high, too_low), _ = lax.while_loop(going, widen, start)
    return low, high, ~(too_high | too_low)


def _implicit(
    function: Callable[[Array], Array],
    start: Array,
    search: Callable[[Callable[[Array], Array], Array], tuple[Array, Array]],
    tangent_solve: Callable[[Callable[[Array], Array], Array], Array],
) -> Root:
    """Return the root that a search finds, with the derivatives of the implicit function.

    The search is outside `custom_root`, which hides what it calls, so that a checkpoint can
    keep its result by name.
    """
    function, closed_over = jax.closure_convert(function, start)
    fixed = lax.stop_gradient(closed_over)
    found, converged = search(lambda v: function(v, *fixed), start)
    found, converged = checkpoint_name((found, converged), ROOT)
    value = lax.custom_root(
        lambda v: function(v, *closed_over), found, lambda _, v: v, tangent_solve
    )
    return Root(value, converged)


def solve_increasing(
    function: Callable[[Float[Array, ""]], Float[Array, ""]],
    lower: Float[Array, ""],
    upper: Float[Array, ""],
    *,
    scale: Float[Array, ""] | float | None = None,
    max_iterations: int = 100,
) -> Root:
    """The root of a strictly increasing scalar function, by safeguarded Newton steps.

    `[lower, upper]` is where the search starts; it is widened until it holds a sign change. A
    Newton step that leaves the bracket is replaced by its middle, so the worst case is bisection.
    The search ends when the residual is at rounding level for values of size `scale` (default:
    the larger end of the bracket) or the bracket cannot shrink.

    Derivatives with respect to everything that `function` closes over: da = −(∂f/∂θ dθ) / f'(a).
    """

    def search(f: Callable[[Array], Array], start: Array) -> tuple[Array, Array]:
        low, high, bracketed = _widen(
            f, *(lax.stop_gradient(jnp.asarray(v, start.dtype)) for v in ends)
        )
        eps = jnp.finfo(start.dtype).eps
        size = jnp.maximum(jnp.abs(low), jnp.abs(high)) if scale is None else scale
        tolerance = 4 * eps * lax.stop_gradient(size)

        def going(state: _Search) -> Array:
            *_, done, count = state
            return ~done & (count < max_iterations)

        def step(state: _Search) -> _Search:
            low, high, a, last, _, _, count = state
            value, slope = jax.jvp(f, (a,), (jnp.ones_like(a),))
            low, high = jnp.where(value < 0, a, low), jnp.where(value > 0, a, high)
            move = value / slope
            newton = a - move
            # A Newton step must halve the one before, or two points could alternate for ever.
            # Steps at rounding level are exempt: else they would end in a jump to the middle. Where
            # the function is flat a step says nothing of that; the residual does.
            level = jnp.abs(value) <= 2 * tolerance * jnp.maximum(1, slope)
            small = level | (jnp.abs(move) <= last / 2)
            good = (newton >= low) & (newton <= high) & small
            proposal = jnp.where(good, newton, low + (high - low) / 2)
            narrow = high - low <= 2 * eps * jnp.maximum(jnp.abs(low), jnp.abs(high))
            # The point moves on even when it is done: the compiler may work `value` out twice,
            # rounded differently, and a point that one copy freezes the other would never end.
            still = jnp.abs(move) <= 4 * eps * jnp.abs(a)
            # Exempt steps can alternate too, on the noise of a formula of many terms: one that
            # does not halve ends the search, as near the root as the noise allows.
            stuck = level & (jnp.abs(move) > last / 2)
            done = (jnp.abs(value) <= tolerance) | still | stuck | narrow
            # Never the middle: where rounding puts the last step outside the bracket, the point
            # that was found good is the answer, and the middle may be far from it.
            answer = jnp.where(good, newton, a)
            return low, high, proposal, jnp.abs(proposal - a), answer, done, count + 1

        begin = (
            low,
            high,
            jnp.clip(start, low, high),
            high - low,
            jnp.full_like(start, jnp.nan),
            jnp.array(False),
            jnp.zeros((), jnp.int32),
        )
        *_, answer, done, _ = lax.while_loop(going, step, begin)
        return answer, done & bracketed

    ends = (lower, upper)
    start = lax.stop_gradient(lower + (upper - lower) / 2)
    return _implicit(function, start, search, lambda linear, y: y / linear(jnp.ones_like(y)))


def solve_fixed_point(
    function: Callable[[Array], Array],
    start: Float[Array, ...],
    *,
    tolerance: float | None = None,
    max_iterations: int = 1000,
) -> Root:
    """The fixed point x = g(x) of a contraction, by Banach's iteration.

    Ends when a step is below `tolerance` relative to the largest entry (default: four rounding
    errors), or when steps that are that small to half precision shrink no more: g is then lost in
    rounding errors of its own, which may be those of larger numbers than its result. Derivatives
    solve (I − ∂g/∂x) dx = ∂g/∂θ dθ by the same iteration, which converges because ∂g/∂x is a
    contraction too.
    """
    eps = jnp.finfo(start.dtype).eps
    relative = 4 * eps if tolerance is None else tolerance
    patience = 5

    def iterate(g: Callable[[Array], Array], x: Array, unit: float = 1.0) -> tuple[Array, Array]:
        def going(state: _Iteration) -> Array:
            _, done, _, _, count = state
            return ~done & (count < max_iterations)

        def step(state: _Iteration) -> _Iteration:
            x, _, least, since, count = state
            new = g(x)
            move, size = jnp.max(jnp.abs(new - x)), unit + jnp.max(jnp.abs(new))
            since = jnp.where(move < least, 0, since + 1)
            stuck = (since >= patience) & (move <= eps**0.5 * size)
            done = (move <= relative * size) | stuck
            return new, done, jnp.minimum(move, least), since, count + 1

        zero = jnp.zeros((), jnp.int32)
        begin = (x, jnp.array(False), jnp.full((), jnp.inf, x.dtype), zero, zero)
        x, done, *_ = lax.while_loop(going, step, begin)
        return x, done

    def solve_linear(matvec: Callable[[Array], Array], y: Array) -> Array:
        # matvec is v − ∂g v, so x = y + ∂g x = y + (x − matvec(x)). Right-hand sides come in any
        # scale, so steps are measured by the solution alone.
        x, done = iterate(lambda x: y + x - matvec(x), y, unit=0.0)
        return jnp.where(done, x, jnp.nan)

    def tangent_solve(linear: Callable[[Array], Array], y: Array) -> Array:
        return lax.custom_linear_solve(
            linear, y, lambda matvec, b: solve_linear(matvec, b), solve_linear
        )

    return _implicit(
        lambda x: x - function(x),
        lax.stop_gradient(start),
        lambda residual, x: iterate(lambda v: v - residual(v), x),
        tangent_solve,
    )

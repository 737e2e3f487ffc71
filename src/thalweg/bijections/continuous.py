"""Continuous normalizing flows: an event follows a velocity field for unit time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.estimated import HasTrainingForm, Noise
from thalweg.bijections.paths import (
    EQUAL,
    SOLVERS,
    Steps,
    choose_steps,
    diffrax,
    take_equal_steps,
    take_steps,
)
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.nets.lipschitz import EventNet, LipschitzNet
from thalweg.tree import replace_fields

LOG_DETS = ("exact", "hutchinson")
LEAST_STEPS = 4  # of a path in training, however slow its field is

_Rates = Callable[[EventNet, Array, Any, Array | None], Any]


class PathEnergy(NamedTuple):
    """∫ |g|² dt and ∫ ‖∂g/∂z‖²_F dt along one path (Finlay et al. 2020)."""

    kinetic: Float[Array, ""]
    jacobian: Float[Array, ""]


class Continuous(Bijection, HasTrainingForm):
    """x = z(1) of dz/dt = g(t, z | context), z(0) = z; ln|det| = ∫ tr ∂g/∂z dt (Chen et al. 2018).

    Diffrax chooses the steps of an explicit Runge–Kutta method, forwards and backwards alike, so
    that the error of each is within `tolerance`, relative and absolute (in float32 within 1e-6, or
    a rounding error of z if that is more). They depend on the path alone, which is then the same
    with and without its log-determinant. Derivatives are those of the steps, in both modes; one
    state per few steps is stored. The trace is exact, from d Jacobian-vector products, unless
    `log_det` is "hutchinson" and `with_noise` has made it so: then it is vᵀ(∂g/∂z)v, with the same
    random signs v along the whole path (Grathwohl et al. 2019).

    With a `LipschitzNet` of coefficient L the equation is never stiff: distances change by factors
    within e^±L, and about as many steps are enough whatever the parameters are. Where more than
    `max_steps` are needed the result is NaN.

    In the form for training (`in_training`) the steps are ⌈L⌉ + 1 equal ones of the classical
    fourth-order method: without step-size control, in a fraction of the time, and with an error far
    below the noise of a batch. With `solver` "rk4" there are always `max_steps` such steps and no
    tolerance.

    Paths do not cross, so the map keeps topology: it can make a bridge between two modes, or the
    filling of a ring, as thin as e^L allows and never remove it. Diffrax
    comes with the extra `continuous`.

    Args:
        field: g, a `LipschitzNet` with `timed=True`.
        key: a PRNG key for the random signs of an estimated trace.
        log_det: "exact" or "hutchinson".
        solver: "dopri5", "dopri8", "tsit5" or "rk4".
        tolerance: of each step, relative and absolute.
        max_steps: from which on the result is NaN; of "rk4" the number of steps.

    Raises:
        ImportError: without Diffrax.
        ValueError: for an unknown `log_det` or `solver`, a tolerance or number of steps that is not
            positive, and an estimate without a key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> field = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0), timed=True)
        >>> flow = tw.bijections.Continuous(field, solver="rk4", max_steps=4)
        >>> flow.forward(jnp.ones(2)).tolist()  # the field is zero at the start
        [1.0, 1.0]
    """

    field: EventNet
    noise: Noise | None
    solver: str = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        field: LipschitzNet,
        *,
        key: PRNGKeyArray | None = None,
        log_det: str = "exact",
        solver: str = "dopri5",
        tolerance: float = 1e-10,
        max_steps: int = 128,
    ):
        diffrax()
        solvers = (*SOLVERS, EQUAL)
        if solver not in solvers:
            raise ValueError(f"solver must be one of {', '.join(solvers)}, got {solver!r:.80}")
        if not tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {tolerance}")
        if max_steps < 1:
            raise ValueError(f"max_steps must be positive, got {max_steps}")
        self.field = field
        self.noise = Noise.create(log_det, LOG_DETS, key)
        self.solver, self.tolerance, self.max_steps = solver, tolerance, max_steps
        self.shape, self.context_shape = field.shape, field.context_shape

    def prepare(self, context: Context = None) -> Continuous:
        return eqx.tree_at(lambda c: c.field, self, self.field.prepare(context))

    def in_training(self) -> Self:
        # A field of another kind, or one at a context already, has no bound on its slope.
        if self.solver == EQUAL or not isinstance(self.field, LipschitzNet):
            return self
        steps = max(LEAST_STEPS, math.ceil(self.field.coefficient) + 1)
        return replace_fields(self, solver=EQUAL, max_steps=steps)

    def forward(self, z: Event, context: Context = None) -> Event:
        return self._flow(_velocity, (z,), context)[0]

    def inverse(self, x: Event, context: Context = None) -> Event:
        return self._flow(_velocity, (x,), context, back=True)[0]

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self._flow(_with_trace, (z, jnp.zeros((), z.dtype)), context)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self._flow(_with_trace, (x, jnp.zeros((), x.dtype)), context, back=True)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # The score follows an equation of its own, ds/dt = −(∂g)ᵀ s − ∇ tr ∂g: no inverse is
        # needed.
        field = self.field.prepare(context)
        steps = self._steps(field, z)
        (x,) = self._along(steps, field, _velocity, (z,), back=False)
        start = (z, jnp.zeros((), z.dtype), score)
        fixed, field, start = jax.lax.stop_gradient((self, field, start))
        _, log_det, pushed = fixed._along(steps, field, _with_score, start, back=False)
        return x, log_det, pushed

    def path_energy(self, z: Event, context: Context = None) -> PathEnergy:
        """The energy of the path from z; added to an objective it makes paths short and straight.

        They then take few steps. The Frobenius norm is estimated like the trace, as |vᵀ∂g|².
        """
        nought = jnp.zeros((), z.dtype)
        return PathEnergy(*self._flow(_with_energy, (z, nought, nought), context)[1:])

    def _flow(self, rates: _Rates, start: Any, context: Context, *, back: bool = False) -> Any:
        """Integrate a state, whose first entry is the event, over the time of the flow."""
        field = self.field.prepare(context)
        steps = self._steps(field, start[0], back=back)
        return self._along(steps, field, rates, start, back=back)

    def _steps(self, field: EventNet, start: Array, *, back: bool = False) -> Steps | None:
        if self.solver == EQUAL:
            return None
        fixed = jax.lax.stop_gradient(field)
        return choose_steps(
            lambda time, z: fixed(z, time),
            start,
            solver=self.solver,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            back=back,
        )

    def _along(
        self, steps: Steps | None, field: EventNet, rates: _Rates, start: Any, *, back: bool
    ) -> Any:
        signs = None
        if self.noise is not None and self.noise.active:
            signs = jax.random.rademacher(self.noise.key(start[0]), start[0].shape, start[0].dtype)

        def slopes(time: Array, state: Any) -> Any:
            return rates(field, time, state, signs)

        if steps is None:
            return take_equal_steps(slopes, start, self.max_steps, back=back)
        return take_steps(slopes, start, steps, self.solver)


def _trace(field: EventNet, time: Array, z: Array, signs: Array | None) -> Array:
    def velocity(at: Array) -> Array:
        return field(at, time)

    if signs is None:
        return field.with_divergence(z, time)[1]
    return jnp.vdot(signs, jax.jvp(velocity, (z,), (signs,))[1])


def _velocity(field: EventNet, time: Array, state: Any, signs: Array | None) -> Any:
    return (field(state[0], time),)


def _with_trace(field: EventNet, time: Array, state: Any, signs: Array | None) -> Any:
    if signs is None:
        return field.with_divergence(state[0], time)
    return field(state[0], time), _trace(field, time, state[0], signs)


def _with_score(field: EventNet, time: Array, state: Any, signs: Array | None) -> Any:
    z, _, score = state
    velocity, pull = jax.vjp(lambda at: field(at, time), z)
    trace, slope = jax.value_and_grad(lambda at: _trace(field, time, at, signs))(z)
    return velocity, trace, -pull(score)[0] - slope


def _with_energy(field: EventNet, time: Array, state: Any, signs: Array | None) -> Any:
    velocity, pull = jax.vjp(lambda at: field(at, time), state[0])
    basis = jnp.eye(velocity.size, dtype=velocity.dtype).reshape(-1, *velocity.shape)
    rows = jax.vmap(pull)(basis) if signs is None else pull(signs)
    return velocity, jnp.sum(velocity**2), jnp.sum(rows[0] ** 2)

"""Contractive residual maps: x = z + g(z) with a contraction g."""

from __future__ import annotations

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.elimination import log_det_near_identity
from thalweg.bijections.estimated import Noise
from thalweg.bijections.log_det_series import log_det_series
from thalweg.bijections.roots import solve_fixed_point
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.nets.lipschitz import EventNet, LipschitzNet

LOG_DETS = ("exact", "hutchinson", "roulette")


class Residual(Bijection):
    """x = z + g(z | context), |g(z) − g(z′)| ≤ c |z − z′| with c < 1 (Behrmann et al. 2019).

    The inverse is Banach's fixed point z = x − g(z), to rounding error. ln|det| = ln det(I + ∂g) is
    exact, from d Jacobian-vector products, unless `with_noise` has switched to estimates: then it
    is estimated as `log_det` names, by `terms` terms of the power series ("hutchinson", biased) or
    by Russian roulette beyond them ("roulette", unbiased; Chen et al. 2019); "exact" stays exact.

    Every direction is stretched by 1 − c to 1 + c, so expressive maps are stacks of many; `Inverse`
    of it has its density in one pass.

    Args:
        net: g, a `LipschitzNet` with `coefficient` c.
        key: a PRNG key for the noise of an estimate.
        log_det: "exact", "hutchinson" or "roulette".
        terms: of the power series, at least.

    Raises:
        ValueError: where c is not below 1, for an unknown `log_det`, terms that are not positive,
            and an estimate without a key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0))
        >>> x, log_det = tw.bijections.Residual(net).forward_and_log_det(jnp.ones(2))
        >>> x.tolist(), float(log_det)  # the network is zero at the start
        ([1.0, 1.0], 0.0)
    """

    net: EventNet
    noise: Noise | None
    coefficient: float = eqx.field(static=True)
    log_det: str = eqx.field(static=True)
    terms: int = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        net: LipschitzNet,
        *,
        key: PRNGKeyArray | None = None,
        log_det: str = "exact",
        terms: int = 4,
    ):
        if not net.coefficient < 1:
            raise ValueError(f"the coefficient of a contraction is below 1, got {net.coefficient}")
        if terms < 1:
            raise ValueError(f"terms must be positive, got {terms}")
        self.net, self.coefficient = net, net.coefficient
        self.noise = Noise.create(log_det, LOG_DETS, key)
        self.log_det, self.terms = log_det, terms
        self.shape, self.context_shape = net.shape, net.context_shape

    def prepare(self, context: Context = None) -> Residual:
        return eqx.tree_at(lambda r: r.net, self, self.net.prepare(context))

    def _log_det(self, g: EventNet, z: Array) -> Array:
        if self.noise is None or not self.noise.active:
            jacobian = jax.jacfwd(g)(z).reshape(z.size, z.size)
            return log_det_near_identity(jnp.eye(z.size, dtype=z.dtype) + jacobian)
        survival = self.coefficient if self.log_det == "roulette" else None
        key = self.noise.key(z)
        return log_det_series(g, z, key, terms=self.terms, survival=survival)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        g = self.net.prepare(context)
        return z + g(z), self._log_det(g, z)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        z = self.inverse(x, context)
        return z, -self._log_det(self.net.prepare(context), z)

    def inverse(self, x: Event, context: Context = None) -> Event:
        g = self.net.prepare(context)
        return self._solve(lambda z: x - g(z), x)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # The transposed system (I + Jᵀ) s' = s − ∇ ln det is a contraction as well: no inverse.
        x = self.forward(z, context)
        fixed, z, score, context = jax.lax.stop_gradient((self, z, score, context))
        g = fixed.net.prepare(context)
        log_det, slope = jax.value_and_grad(lambda at: fixed._log_det(g, at))(z)
        _, pull = jax.vjp(g, z)
        return x, log_det, self._solve(lambda v: score - slope - pull(v)[0], score - slope)

    def _solve(self, function: Callable[[Array], Array], start: Array) -> Array:
        # Errors shrink by c at each step: as many steps as it takes to rounding, and half again.
        eps = float(jnp.finfo(start.dtype).eps)
        steps = math.log(eps * (1 - self.coefficient)) / math.log(self.coefficient)
        return solve_fixed_point(function, start, max_iterations=50 + int(1.5 * steps)).or_nan()

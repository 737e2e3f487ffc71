"""Deep sigmoidal maps: the transformers of neural autoregressive flows."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from thalweg.bijections.transformers.monotone import Monotone
from thalweg.bijections.transformers.spline import soft_exp
from thalweg.bijections.transformers.transformer import Number, Theta

STRAIGHT = 0.05  # the share of the identity in every layer: the least slope
SPAN = 8.0  # of the centres at the start: nearly all of a standard normal


class Units(NamedTuple):
    """One layer: positive weights that sum to 1, and slopes and centres of the sigmoids."""

    log_weights: Float[Array, " units"]
    slopes: Float[Array, " units"]
    centres: Float[Array, " units"]


class DeepSigmoidal(Monotone[tuple[Units, ...]]):
    """The logit of a mixture of sigmoids (Huang et al. 2018), composed `depth` times.

    With m = 1/20,

        x = m z + (1 − m) logit(Σ_k w_k σ(a_k (z − c_k))):

    compositions of conic combinations of increasing maps. The logit of a mixture is never steeper
    than its steepest sigmoid, so slopes lie between m and 2e³; its tails are linear. All is
    computed from ln σ and ln(1 − σ), so nothing saturates however far z is.

    Zero parameters give nearly the identity (with 8 units, to 0.01 for |z| < 1, 0.05 for |z| < 2,
    0.2 anywhere, and straight far out): σ(z) is a mixture of σ(2(z − c)) with weights sech(c)/π,
    here on a grid between two sigmoids of slope 1. Were all equal at the start, the units would
    stay so. 3·units·depth parameters.
    """

    units: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(self, units: int = 8, depth: int = 1):
        self.units, self.depth, self.parameters = units, depth, 3 * units * depth

    def constrain(self, theta: Theta) -> tuple[Units, ...]:
        weights, slopes, centres = jnp.asarray(_start(self.units), theta.dtype)
        return tuple(
            Units(jax.nn.log_softmax(raw[0] + weights), slopes * soft_exp(raw[1]), centres + raw[2])
            for raw in theta.reshape(self.depth, 3, self.units)
        )

    def transform(self, params: tuple[Units, ...], z: Number) -> tuple[Number, Number]:
        log_det = jnp.zeros_like(z)
        for units in params:
            logit, slope = _logit_of_mixture(units, z)
            z = STRAIGHT * z + (1 - STRAIGHT) * logit
            log_det = log_det + jnp.log(STRAIGHT + (1 - STRAIGHT) * slope)
        return z, log_det

    def bracket(self, params: tuple[Units, ...], x: Number) -> tuple[Number, Number]:
        # The logit of a mean of sigmoids lies between the least and the largest of their inputs,
        # so x lies between straight lines, one a unit.
        lower, upper = x, x
        for units in reversed(params):
            slopes = (1 - STRAIGHT) * units.slopes
            shifts = slopes * units.centres
            lower = jnp.min((lower + shifts) / (STRAIGHT + slopes))
            upper = jnp.max((upper + shifts) / (STRAIGHT + slopes))
        return lower, upper


def _logit_of_mixture(units: Units, z: Number) -> tuple[Number, Number]:
    """logit F and its slope, F = Σ w σ(t)."""
    t = units.slopes * (z - units.centres)
    up, down = jax.nn.log_sigmoid(t), jax.nn.log_sigmoid(-t)
    below = logsumexp(units.log_weights + up)  # ln F
    above = logsumexp(units.log_weights + down)  # ln (1 − F)
    # Σ w a σ(t) σ(−t) / (F (1 − F)) is a mean of a σ(t)/F under the shares that the units have in
    # 1 − F, and the same with signs changed: of these take the one whose divisor is above a half.
    near, far = jnp.where(below > above, jnp.stack([up, down]), jnp.stack([down, up]))
    shares = jax.nn.softmax(units.log_weights + far)
    divided = jnp.exp(near - jnp.maximum(below, above))
    return below - above, jnp.sum(shares * units.slopes * divided)


def _start(units: int) -> np.ndarray:
    """Log weights, slopes and centres (rows) of a mixture that is nearly σ(z)."""
    if units == 1:
        return np.array([[0.0], [1.0], [0.0]])
    inner = units - 2
    step = min(1.0, SPAN / max(inner, 1))
    centres = step * (np.arange(inner) - (inner - 1) / 2)
    shares = step / (np.pi * np.cosh(centres))
    rest = (1 - shares.sum()) / 2
    # The outer two are where their tails are those of σ(z).
    reach = -np.log(rest)
    return np.stack(
        [
            np.log([rest, *shares, rest]),
            np.array([1.0, *np.full(inner, 2.0), 1.0]),
            np.array([-reach, *centres, reach]),
        ]
    )

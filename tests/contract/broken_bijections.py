"""Bijections with one error each, most of them errors found in published reproductions."""

import equinox as eqx
import jax
import jax.numpy as jnp

from contract import probes
from contract.bijections import make
from thalweg.bijections import (
    Chain,
    ElementwiseAffine,
    Permutation,
    Planar,
    Radial,
    Repeat,
    Scaling,
    TriangularAffine,
)
from thalweg.tree import Frozen

DIM = 3


class PlanarPlainNorm(Planar):
    """û divided by ‖w‖ instead of ‖w‖²."""

    def constrain(self, raw):
        good = super().constrain(raw)
        move = (good.u_hat - raw["u"]) * jnp.sqrt(jnp.sum(raw["w"] ** 2))
        return good._replace(u_hat=raw["u"] + move)


class PlanarFreeDirection(Planar):
    """û missing: u as it is, which is not invertible where wᵀu < −1."""

    def constrain(self, raw):
        good = super().constrain(raw)
        return good._replace(u_hat=raw["u"], one_plus_slope=1 + jnp.sum(raw["w"] * raw["u"]))


class PlanarLogDetAtOutput(Planar):
    """The log-determinant at the layer's output instead of its input."""

    def transform(self, params, z):
        x, _ = super().transform(params, z)
        return x, super().transform(params, x)[1]


class PlanarSign(Planar):
    """The sign of the forward log-determinant."""

    def transform(self, params, z):
        x, log_det = super().transform(params, z)
        return x, -log_det


class PlanarInverseSign(Planar):
    """The sign of the inverse log-determinant."""

    def invert(self, params, x):
        z, log_det = super().invert(params, x)
        return z, -log_det


class PlanarClampedInverse(Planar):
    """An inverse that clamps its root to a box and says nothing."""

    def invert(self, params, x):
        z, log_det = super().invert(params, x)
        return jnp.clip(z, -3, 3), log_det


class PlanarDeadInverse(Planar):
    """An inverse that parameters have no gradient through."""

    def invert(self, params, x):
        return super().invert(jax.tree.map(jax.lax.stop_gradient, params), x)


class PlanarScoreWithoutLogDet(Planar):
    """A path score that forgets ∇ ln|det|."""

    def push_score(self, z, score, context=None):
        lost = jax.grad(lambda p: self.forward_and_log_det(p, context)[1])(z)
        return super().push_score(z, score + lost, context)


class PlanarScoreForwards(Planar):
    """A path score pushed by Jᵀ instead of J⁻ᵀ."""

    def push_score(self, z, score, context=None):
        x, log_det = self.forward_and_log_det(z, context)
        _, pull = jax.vjp(lambda p: self.forward(p, context), z)
        gradient = jax.grad(lambda p: self.forward_and_log_det(p, context)[1])(z)
        return x, log_det, pull(score - gradient)[0]


class PlanarUnpreparedScore(Planar):
    """`prepare` that applies the constraint a second time."""

    def prepare(self, context=None):
        ready = super().prepare(context)
        twice = ready.ready._replace(b=2 * ready.ready.b)
        return eqx.tree_at(lambda p: p.ready, ready, twice)


class RadialBetaOff(Radial):
    """A radial log-determinant with α where α + β belongs."""

    def _log_det(self, params, r):
        return super()._log_det(params._replace(alpha_plus_beta=params.alpha), r)


class RadialDimension(Radial):
    """The tangential term d times instead of d − 1."""

    def _log_det(self, params, r):
        turn = jnp.log(r + params.alpha_plus_beta) - jnp.log(r + params.alpha)
        return super()._log_det(params, r) + turn


class RadialOtherRoot(Radial):
    """The inverse off by the other branch of its quadratic."""

    def invert(self, params, x):
        z, log_det = super().invert(params, x)
        return 2 * params.centre - z, log_det


class ScalingUnsigned(Scaling):
    """The log-determinant abs(Σ log s)."""

    def transform(self, params, z):
        x, log_det = super().transform(params, z)
        return x, jnp.abs(log_det)


class PermutationTwice(Permutation):
    """The inverse applies the order again instead of its inverse."""

    def inverse_and_log_det(self, x, context=None):
        return x[self.order], jnp.zeros((), x.dtype)


class ChainForgetsOne(Chain):
    """The log-determinant of the last map is left out."""

    def forward_and_log_det(self, z, context=None):
        x, total = super().forward_and_log_det(z, context)
        before = Chain(self.bijections[:-1]).forward(z, context)
        return x, total - self.bijections[-1].forward_and_log_det(before, context)[1]


class ChainSameOrder(Chain):
    """The inverses run in the order of the maps."""

    def inverse_and_log_det(self, x, context=None):
        total = jnp.zeros((), x.dtype)
        for bijection in self.bijections:
            x, log_det = bijection.inverse_and_log_det(x, context)
            total = total + log_det
        return x, total


class RepeatForgetsOne(Repeat):
    """One layer's log-determinant is left out of the scan."""

    def forward_and_log_det(self, z, context=None):
        x, total = super().forward_and_log_det(z, context)
        first = jax.tree.map(lambda a: a[0] if eqx.is_array(a) else a, self.layers)
        return x, total - first.forward_and_log_det(z, context)[1]


class AffineFirstIgnoresContext(ElementwiseAffine):
    """The first output has parameters of its own, whatever the context."""

    def parameters(self, context=None):
        if self.raw is None:
            return self.ready
        free = self.raw.free
        return jax.tree.map(
            lambda p, f: jnp.concatenate([f[:1], p[1:]]), super().parameters(context), free
        )


class AffineForwardDiffers(ElementwiseAffine):
    """`forward` is not the first half of `forward_and_log_det`."""

    def forward(self, z, context=None):
        return super().forward(z, context) + 1e-6


class AffineWidens(ElementwiseAffine):
    """A log-determinant in float64 for float32 inputs."""

    def transform(self, params, z):
        x, log_det = super().transform(params, z)
        return x, log_det.astype(jnp.float64)


class AffineNoReverse(TriangularAffine):
    """Reverse mode loses a part of the derivative that forward mode has."""

    def transform(self, params, z):
        @jax.custom_jvp
        def half(v):
            return v

        half.defjvp(lambda primals, tangents: (primals[0], 0.5 * tangents[0]))
        x, log_det = super().transform(params, z)
        return x, half(log_det)


class AffineTracedOnly(ElementwiseAffine):
    """Numbers that depend on being inside jit."""

    def transform(self, params, z):
        x, log_det = super().transform(params, z)
        return x + (0.0 if isinstance(z, jax.core.Tracer) else 1e-6), log_det


class Thawed(Frozen):
    """A frozen value without its stop-gradient."""

    def __call__(self):
        return self.value


def _planar(kind):
    return lambda key: kind(DIM, key=key)


def without_constraint(key):
    """A plane whose wᵀu is below −1, as training makes some."""
    bijection = PlanarFreeDirection(DIM, key=key)
    w = bijection.raw.free["w"]
    u = -3 * w / jnp.sum(w**2)
    return eqx.tree_at(lambda b: b.raw.free["u"], bijection, u)


def _layers(key):
    keys = jax.random.split(key, 2)
    return [Planar(DIM, key=keys[0]), Radial(DIM, key=keys[1])]


def _repeat(key):
    return RepeatForgetsOne(Repeat.create(lambda k: make("planar", k, DIM), key, 3).layers)


# name: (how to make it, the check that must fail)
BROKEN = {
    "u_hat_divided_by_norm": (_planar(PlanarPlainNorm), "check_log_det"),
    "u_hat_divided_by_norm, round trip": (_planar(PlanarPlainNorm), "check_round_trips"),
    "log_det_at_output": (_planar(PlanarLogDetAtOutput), "check_log_det"),
    "log_det_sign": (_planar(PlanarSign), "check_log_det"),
    "inverse_log_det_sign": (_planar(PlanarInverseSign), "check_log_det"),
    "clamped_inverse": (_planar(PlanarClampedInverse), "check_round_trips"),
    "dead_inverse": (_planar(PlanarDeadInverse), "check_implicit_gradients"),
    "dead_inverse, differences": (_planar(PlanarDeadInverse), "check_finite_differences"),
    "score_without_log_det": (_planar(PlanarScoreWithoutLogDet), "check_push_score"),
    "score_forwards": (_planar(PlanarScoreForwards), "check_push_score"),
    "prepare_twice": (_planar(PlanarUnpreparedScore), "check_prepare"),
    "radial_beta_off": (lambda k: RadialBetaOff(DIM, key=k), "check_log_det"),
    "radial_dimension": (lambda k: RadialDimension(DIM, key=k), "check_log_det"),
    "radial_other_root": (lambda k: RadialOtherRoot(DIM, key=k), "check_round_trips"),
    "permutation_twice": (lambda k: PermutationTwice(jnp.array([1, 2, 0])), "check_round_trips"),
    "chain_forgets_one": (lambda k: ChainForgetsOne(_layers(k)), "check_log_det"),
    "chain_same_order": (lambda k: ChainSameOrder(_layers(k)), "check_round_trips"),
    "repeat_forgets_one": (_repeat, "check_log_det"),
    "context_ignored": (
        lambda k: AffineFirstIgnoresContext((DIM,), key=k, context_shape=probes.CONTEXT_SHAPE),
        "check_context",
    ),
    "forward_differs": (lambda k: AffineForwardDiffers((DIM,)), "check_one_way_calls"),
    "wrong_derivative": (lambda k: AffineNoReverse(DIM), "check_finite_differences"),
    "traced_only": (lambda k: AffineTracedOnly((DIM,)), "check_eager"),
}

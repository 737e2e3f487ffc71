"""Small configurations of every bijection, by name: what the contract runs over.

To add a bijection: write its file, export it, and add its line here. Nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.bijections import (
    ActNorm,
    Autoregressive,
    Bijection,
    Chain,
    CircularConvolution,
    Continuous,
    Coupling,
    ElementwiseAffine,
    ElementwiseTransform,
    EmpiricalInverseCDF,
    FactorOut,
    FixedAffine,
    FixedRotation,
    FullAffine,
    GaussianConditionals,
    Householder,
    Inverse,
    Permutation,
    PerPosition,
    PhaseShift,
    Planar,
    Radial,
    Repeat,
    Residual,
    Rosenblatt,
    Rotation,
    Scaling,
    SLogGate,
    Squeezed,
    Sylvester,
    SymmetricConvolution,
    TriangularAffine,
    TriangularPolynomial,
    VectorCoupling,
)
from thalweg.bijections.coupling import checkerboard_mask, half_mask
from thalweg.bijections.shapes import Shape
from thalweg.bijections.transformers import (
    UMNN,
    Affine,
    Bernstein,
    Circular,
    DeepSigmoidal,
    LinearRational,
    LinearSpline,
    QuadraticSpline,
    RationalQuadratic,
    Shift,
    SumOfSquares,
    Transformer,
)
from thalweg.nets.autoregressive import MakeConditioner
from thalweg.nets.gru import GRU
from thalweg.nets.lipschitz import LipschitzNet
from thalweg.nets.masked_residual_mlp import MaskedResidualMLP
from thalweg.nets.residual_mlp import ResidualMLP

Make = Callable[[PRNGKeyArray, int, Shape | None], Bijection]


def _fixed_affine(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    loc_key, factor_key = jax.random.split(key)
    factor = jax.numpy.tril(0.3 * jax.random.normal(factor_key, (dim, dim)), -1)
    scales = jax.numpy.exp(jax.random.normal(loc_key, (dim,)))
    return FixedAffine(scales, factor + jax.numpy.diag(scales))


def _mixed(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    keys = jax.random.split(key, 4)
    return Chain(
        [
            Repeat.create(lambda k: Planar(dim, key=k, context_shape=context_shape), keys[0], 3),
            Radial(dim, key=keys[1], context_shape=context_shape),
            FixedRotation(dim, key=keys[2]),
            Inverse(Planar(dim, key=keys[3], context_shape=context_shape)),
        ]
    )


def _adaptive_convolution(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    inside, net = jax.random.split(key)
    mask = half_mask(dim, first=False)
    size = (sum(mask),)
    affine = Coupling((True,) * sum(mask), Affine(), key=inside, hidden=())  # elementwise
    inner = Chain([CircularConvolution(size), affine, SLogGate(size)])
    return VectorCoupling(mask, inner, key=net, context_shape=context_shape, hidden=(16,))


def _continuous(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    field = LipschitzNet.dense(
        dim, (16,), key=key, coefficient=2.0, context_shape=context_shape, timed=True
    )
    return Continuous(field, key=key, log_det="hutchinson", solver="dopri8", tolerance=1e-12)


def _coupling(transformer: Transformer, *, first: bool = False) -> Make:
    return lambda key, dim, context_shape: Coupling(
        half_mask(dim, first=first), transformer, key=key, context_shape=context_shape, hidden=(16,)
    )


def _autoregressive(
    transformer: Transformer,
    *,
    groups: int | None = None,
    make_conditioner: MakeConditioner | None = None,
) -> Make:
    return lambda key, dim, context_shape: Autoregressive(
        dim,
        transformer,
        key=key,
        context_shape=context_shape,
        groups=None if groups is None else min(groups, dim),
        hidden=(16, 16),
        make_conditioner=make_conditioner,
    )


def _ordered(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    order, weights = jax.random.split(key)
    return Autoregressive(
        dim,
        RationalQuadratic(4),
        key=weights,
        context_shape=context_shape,
        order=jax.random.permutation(order, dim),
        hidden=(16, 16),
    )


def _umnn(make: Callable[[Transformer], Make]) -> Make:
    def with_network(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
        inner, outer = jax.random.split(key)
        transformer = UMNN(4, key=inner, hidden=(8,), nodes=12)
        return make(transformer)(outer, dim, context_shape)

    return with_network


def _empirical(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    column = np.random.default_rng(0).standard_t(5, size=400)
    return EmpiricalInverseCDF(np.stack([(i + 1) * column for i in range(dim)], 1), knots=16)


def _rosenblatt(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    # Both components have the same mean of x_i given x_<i: between modes that are far apart the map
    # is steeper than any float32.
    factor = np.tril(np.full((dim, dim), 0.2)) + 0.5 * np.eye(dim)
    means, factors = np.tile(np.linspace(0.0, 2.0, dim), (2, 1)), np.stack([factor, 1.2 * factor])
    return Rosenblatt(GaussianConditionals(np.array([0.4, 0.6]), means, factors))


def _checkerboard(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    mask = checkerboard_mask(dim, dark=True)
    return Squeezed(_image_coupling(mask, (2, 1), key, context_shape))


def _image_coupling(
    mask: tuple[bool, ...], positions: Shape, key: PRNGKeyArray, context_shape: Shape | None
) -> Bijection:
    return Coupling(
        mask, Affine(), key=key, context_shape=context_shape, hidden=(8,), positions=positions
    )


def _multi_scale(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    keys = jax.random.split(key, 4)
    deep = Chain(
        [
            _image_coupling(half_mask(2 * dim, first=False), (2, 1), keys[0], context_shape),
            ActNorm((2, 1, 2 * dim), key=keys[1], context_shape=context_shape),
        ]
    )
    shallow = PerPosition.convolution_1x1((2, 1, 4 * dim), key=keys[2], context_shape=context_shape)
    return Squeezed(Chain([FactorOut(deep, 4 * dim), shallow]))


BIJECTIONS: dict[str, Make] = {
    "act_norm": lambda k, d, c: ActNorm((2, 2, d), key=k, context_shape=c),
    "adaptive_convolution": _adaptive_convolution,
    "additive_coupling": _coupling(Shift()),
    "affine_coupling": _coupling(Affine()),
    "affine_coupling_odd_mask": lambda k, d, c: Coupling(
        tuple(i % 2 == 0 for i in range(d)),
        Affine(),
        key=k,
        context_shape=c,
        make_conditioner=lambda i, o, **options: ResidualMLP(i, o, 16, 1, **options),
    ),
    "affine_autoregressive": _autoregressive(Affine()),
    "affine_autoregressive_gru": _autoregressive(
        Affine(), make_conditioner=partial(GRU, hidden=(12, 8))
    ),
    "affine_autoregressive_residual": _autoregressive(
        Affine(), make_conditioner=partial(MaskedResidualMLP, hidden=16, blocks=2)
    ),
    "affine_two_groups": _autoregressive(Affine(), groups=2),
    "channel_coupling": lambda k, d, c: _image_coupling(half_mask(d, first=False), (2, 2), k, c),
    "checkerboard_coupling": _checkerboard,
    "circular_convolution": lambda k, d, c: CircularConvolution((d,), key=k, context_shape=c),
    "circular_convolution_2d": lambda k, d, c: CircularConvolution(
        (2, 3, d), key=k, context_shape=c, axes=(0, 1)
    ),
    "bernstein_autoregressive": _autoregressive(Bernstein(6)),
    "bernstein_coupling": _coupling(Bernstein(6)),
    "circular_coupling": _coupling(Circular(4)),
    "deep_sigmoidal_autoregressive": _autoregressive(DeepSigmoidal(4, depth=2)),
    "deep_sigmoidal_coupling": _coupling(DeepSigmoidal(4, depth=2)),
    "continuous": _continuous,
    "empirical_inverse_cdf": _empirical,
    "elementwise_affine": lambda k, d, c: ElementwiseAffine((d,), key=k, context_shape=c),
    "fixed_rotation": lambda k, d, c: FixedRotation(d, key=k),
    "full_affine": lambda k, d, c: FullAffine(d, key=k, context_shape=c),
    "householder": lambda k, d, c: Householder(d, key=k, context_shape=c),
    "invertible_1x1_convolution": lambda k, d, c: PerPosition.convolution_1x1(
        (2, 3, d), key=k, context_shape=c
    ),
    "inverse_planar": lambda k, d, c: Inverse(Planar(d, key=k, context_shape=c)),
    "linear_rational_coupling": _coupling(LinearRational(4)),
    "linear_spline_coupling": _coupling(LinearSpline(4)),
    "mixed_stack": _mixed,
    "multi_scale": _multi_scale,
    "permutation": lambda k, d, c: Permutation.random(d, key=k),
    "planar": lambda k, d, c: Planar(d, key=k, context_shape=c),
    "planar_leaky_relu": lambda k, d, c: Planar(
        d, key=k, context_shape=c, nonlinearity="leaky_relu"
    ),
    "quadratic_spline_coupling": _coupling(QuadraticSpline(4)),
    "radial": lambda k, d, c: Radial(d, key=k, context_shape=c),
    "rational_quadratic_autoregressive": _autoregressive(RationalQuadratic(4)),
    "rational_quadratic_autoregressive_ordered": _ordered,
    "rational_quadratic_elementwise": lambda k, d, c: ElementwiseTransform(
        d, RationalQuadratic(4), key=k, context_shape=c
    ),
    "sum_of_squares_elementwise": lambda k, d, c: ElementwiseTransform(
        d, SumOfSquares(3), key=k, context_shape=c
    ),
    "rational_quadratic_coupling": _coupling(RationalQuadratic(4)),
    "rosenblatt": _rosenblatt,
    "rotation": lambda k, d, c: Rotation(d, key=k, context_shape=c),
    "rotation_exponential": lambda k, d, c: Rotation(d, key=k, context_shape=c, kind="exponential"),
    "s_log_gate": lambda k, d, c: SLogGate((d,), key=k, context_shape=c),
    "residual": lambda k, d, c: Residual(
        LipschitzNet.dense(d, (16,), key=k, context_shape=c), key=k, log_det="roulette"
    ),
    "residual_convolutional": lambda k, d, c: Residual(
        LipschitzNet.convolutional((2, 3, d), (4,), key=k, context_shape=c)
    ),
    "scaling": lambda k, d, c: Scaling((d,), key=k, context_shape=c),
    "sum_of_squares_autoregressive": _autoregressive(SumOfSquares(3)),
    "sum_of_squares_coupling": _coupling(SumOfSquares(3)),
    "sylvester": lambda k, d, c: Sylvester(d, min(d, 2), key=k, context_shape=c),
    "sylvester_householder": lambda k, d, c: Sylvester(
        d, min(d, 2), key=k, context_shape=c, kind="householder"
    ),
    "sylvester_triangular": lambda k, d, c: Sylvester(
        d, key=k, context_shape=c, kind="triangular", reverse=True
    ),
    "symmetric_convolution": lambda k, d, c: SymmetricConvolution((d,), key=k, context_shape=c),
    "symmetric_convolution_2d": lambda k, d, c: SymmetricConvolution(
        (2, 3, d), key=k, context_shape=c, axes=(0, 1)
    ),
    "triangular_affine": lambda k, d, c: TriangularAffine(d, key=k, context_shape=c),
    "triangular_polynomial": lambda k, d, c: TriangularPolynomial(d),
    "phase_shift": lambda k, d, c: PhaseShift(d, key=k, context_shape=c),
    "umnn_autoregressive": _umnn(_autoregressive),
    "umnn_coupling": _umnn(_coupling),
    "fixed_affine": _fixed_affine,
}


def make(name: str, key: PRNGKeyArray, dim: int, context_shape: Shape | None = None) -> Bijection:
    """Return a fresh bijection of the registry; raises `ValueError` for an unknown name."""
    if name not in BIJECTIONS:
        raise ValueError(f"unknown bijection {name!r}; known: {', '.join(sorted(BIJECTIONS))}")
    return BIJECTIONS[name](key, dim, context_shape)

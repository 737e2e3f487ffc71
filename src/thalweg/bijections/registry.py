"""Every bijection by name, as the contract suite, the documentation and the benchmarks see it.

To add a bijection: write its file, add its line here. Nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections.affine import FullAffine, TriangularAffine, Whitening
from thalweg.bijections.autoregressive import Autoregressive
from thalweg.bijections.bijection import Bijection, Shape
from thalweg.bijections.chain import Chain
from thalweg.bijections.continuous import Continuous
from thalweg.bijections.coupling import Coupling, half_mask
from thalweg.bijections.elementwise import ElementwiseAffine, Scaling
from thalweg.bijections.inverse import Inverse
from thalweg.bijections.permutation import FixedRotation, Permutation
from thalweg.bijections.planar import Planar
from thalweg.bijections.radial import Radial
from thalweg.bijections.repeat import Repeat
from thalweg.bijections.residual import Residual
from thalweg.bijections.sylvester import Sylvester
from thalweg.bijections.transformers import (
    Affine,
    Circular,
    LinearRational,
    LinearSpline,
    QuadraticSpline,
    RationalQuadratic,
    Shift,
    Transformer,
)
from thalweg.nets.lipschitz import LipschitzNet
from thalweg.nets.residual_mlp import ResidualMLP

Make = Callable[[PRNGKeyArray, int, Shape | None], Bijection]


def _whitening(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    loc_key, factor_key = jax.random.split(key)
    factor = jax.numpy.tril(0.3 * jax.random.normal(factor_key, (dim, dim)), -1)
    scales = jax.numpy.exp(jax.random.normal(loc_key, (dim,)))
    return Whitening(scales, factor + jax.numpy.diag(scales))


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


def _continuous(key: PRNGKeyArray, dim: int, context_shape: Shape | None) -> Bijection:
    field = LipschitzNet.dense(
        dim, (16,), key=key, coefficient=2.0, context_shape=context_shape, timed=True
    )
    return Continuous(field, key=key, log_det="hutchinson", solver="dopri8", tolerance=1e-12)


def _coupling(transformer: Transformer, *, first: bool = False) -> Make:
    return lambda key, dim, context_shape: Coupling(
        half_mask(dim, first=first), transformer, key=key, context_shape=context_shape, hidden=(16,)
    )


def _autoregressive(transformer: Transformer, *, groups: int | None = None) -> Make:
    return lambda key, dim, context_shape: Autoregressive(
        dim,
        transformer,
        key=key,
        context_shape=context_shape,
        groups=None if groups is None else min(groups, dim),
        hidden=(16, 16),
    )


BIJECTIONS: dict[str, Make] = {
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
    "affine_two_groups": _autoregressive(Affine(), groups=2),
    "circular_coupling": _coupling(Circular(4)),
    "continuous": _continuous,
    "elementwise_affine": lambda k, d, c: ElementwiseAffine((d,), key=k, context_shape=c),
    "fixed_rotation": lambda k, d, c: FixedRotation(d, key=k),
    "full_affine": lambda k, d, c: FullAffine(d, key=k, context_shape=c),
    "inverse_planar": lambda k, d, c: Inverse(Planar(d, key=k, context_shape=c)),
    "linear_rational_coupling": _coupling(LinearRational(4)),
    "linear_spline_coupling": _coupling(LinearSpline(4)),
    "mixed_stack": _mixed,
    "permutation": lambda k, d, c: Permutation.random(d, key=k),
    "planar": lambda k, d, c: Planar(d, key=k, context_shape=c),
    "planar_leaky_relu": lambda k, d, c: Planar(
        d, key=k, context_shape=c, nonlinearity="leaky_relu"
    ),
    "quadratic_spline_coupling": _coupling(QuadraticSpline(4)),
    "radial": lambda k, d, c: Radial(d, key=k, context_shape=c),
    "rational_quadratic_autoregressive": _autoregressive(RationalQuadratic(4)),
    "rational_quadratic_coupling": _coupling(RationalQuadratic(4)),
    "residual": lambda k, d, c: Residual(
        LipschitzNet.dense(d, (16,), key=k, context_shape=c), key=k, log_det="roulette"
    ),
    "residual_convolutional": lambda k, d, c: Residual(
        LipschitzNet.convolutional((2, 3, d), (4,), key=k, context_shape=c)
    ),
    "scaling": lambda k, d, c: Scaling((d,), key=k, context_shape=c),
    "sylvester": lambda k, d, c: Sylvester(d, min(d, 2), key=k, context_shape=c),
    "sylvester_householder": lambda k, d, c: Sylvester(
        d, min(d, 2), key=k, context_shape=c, kind="householder"
    ),
    "sylvester_triangular": lambda k, d, c: Sylvester(
        d, key=k, context_shape=c, kind="triangular", reverse=True
    ),
    "triangular_affine": lambda k, d, c: TriangularAffine(d, key=k, context_shape=c),
    "whitening": _whitening,
}


def make(name: str, key: PRNGKeyArray, dim: int, context_shape: Shape | None = None) -> Bijection:
    """A fresh bijection of the registry; raises `ValueError` for an unknown name."""
    if name not in BIJECTIONS:
        raise ValueError(f"unknown bijection {name!r}; known: {', '.join(sorted(BIJECTIONS))}")
    return BIJECTIONS[name](key, dim, context_shape)

"""Recognition of the support of a parameter of a Stan program, by what its map does.

Most of Stan's maps are those of thalweg. A map is taken for one of them only if it agrees with it
at random points, in float64, while all other coordinates move as well: bounds that depend on
another parameter, and a transform that differs by version, are distinguished by that. A map that
is recognised works without the program, inside JAX, and has a name in the record of a run.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from thalweg import supports
from thalweg.parameters import Parameters, Shape
from thalweg.precision import computing_in
from thalweg.supports import Support
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel
from thalweg.targets.frameworks.stan.parameters import ByStan, StanParameters, order_in_stan

_POINTS = 8
_TOLERANCE = 1e-11
_FAR = 800.0  # e^−800 is 0 in float64: a bound is met exactly
_NAMED = (
    *(supports.real, supports.positive, supports.unit_interval, supports.simplex),
    *(supports.ordered, supports.positive_ordered, supports.cholesky),
    supports.correlation_cholesky,
)


def parameters_of(model: CompiledModel) -> Parameters:
    """The parameters of a program: plain ones if all maps are known, else with Stan's own."""
    shapes = {name: shape for name, shape in model.shapes.items() if 0 not in shape}
    heads = [name.partition(".")[0] for name in model.unconstrained_names]
    points = np.random.default_rng(0).normal(size=(_POINTS, model.dim))
    order = order_in_stan(model, shapes)
    rows = model.constrain(points)[:, order]
    ends = model.constrain(np.array([[-_FAR], [_FAR]]) * np.ones(model.dim))[:, order]
    found: dict[str, Support] = {}
    begin = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        own = [i for i, head in enumerate(heads) if head == name]
        x = rows[:, begin : begin + size].reshape(_POINTS, *shape)
        known = _recognised(points[:, own], x, ends[:, begin : begin + size], shape)
        found[name] = ByStan(len(own), _itself(points[:, own], x)) if known is None else known
        begin += size
    if any(isinstance(support, ByStan) for support in found.values()):
        return StanParameters(shapes, found, model)
    return Parameters(shapes, found)


def _recognised(u: np.ndarray, x: np.ndarray, ends: np.ndarray, shape: Shape) -> Support | None:
    with computing_in("float64"):
        for candidate in (*_NAMED, *_bounded(ends)):
            if _is(candidate, u, x, shape):
                return candidate
    return None


def _itself(u: np.ndarray, x: np.ndarray) -> bool:
    """Whether the parameter is its coordinates, in another order: a matrix by columns."""
    return bool(np.array_equal(np.sort(u, 1), np.sort(x.reshape(len(x), -1), 1)))


def _bounded(ends: np.ndarray) -> Iterator[Support]:
    """Half-lines and intervals with the bounds that the parameter comes to far out."""
    first, last = ends  # u = −∞ and u = ∞
    if np.isfinite(first).all() and np.ptp(first) == 0:
        yield supports.greater_than(float(first[0]))
        yield supports.less_than(float(first[0]))
        if np.isfinite(last).all() and np.ptp(last) == 0 and first[0] < last[0]:
            yield supports.interval(float(first[0]), float(last[0]))


def _is(support: Support, u: np.ndarray, x: np.ndarray, shape: Shape) -> bool:
    try:
        free = support.free(shape)
    except ValueError:
        return False
    if int(np.prod(free)) != u.shape[1]:
        return False
    ours = jax.vmap(lambda part: support.constrain(part, {})[0])(u.reshape(len(u), *free))
    return bool(np.allclose(ours, x, rtol=_TOLERANCE, atol=_TOLERANCE))

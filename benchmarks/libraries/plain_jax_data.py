"""The bar for densities of data: flows written by hand in JAX, without any library but Optax.

As fast as we could make them on a CPU: points are columns, so that every elementwise operation
runs along the batch; masks are multiplied in once a step; layers are scanned; products are kept
for the backward pass and the rest is done again; the bin of a spline is a mask and a sum, which
beats a gather. Draws from an autoregressive map take d passes of the network, in a loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import BOUND, LEARNING_RATE, Case, Tasks, table

LOG_2PI = math.log(2 * math.pi)
MAX_LOG_SCALE = 3.0
LEAST, LEAST_SLOPE = 1e-3, 1e-3
UNIT_SLOPE = math.log(math.expm1(1 - LEAST_SLOPE))  # the raw slope that means 1

Move = Callable[[Any, Any], tuple[Any, Any]]  # (parameters, points) -> points, ln of slopes


def spline_ar(case: Case) -> Tasks:
    """Autoregressive rational-quadratic splines."""
    return _autoregressive(case, 3 * case.bins - 1, partial(spline, bins=case.bins), spline_back)


def maf(case: Case) -> Tasks:
    """Autoregressive affine maps."""
    return _autoregressive(case, 2, affine, affine_back)


def affine(theta: Any, x: Any) -> tuple[Any, Any]:
    """(x − t) e^−s, s softly bounded."""
    log_scale = MAX_LOG_SCALE * jnp.tanh(theta[1] / MAX_LOG_SCALE)
    return (x - theta[0]) * jnp.exp(-log_scale), -log_scale


def affine_back(theta: Any, z: Any) -> Any:
    """The inverse of `affine`."""
    return theta[0] + z * jnp.exp(MAX_LOG_SCALE * jnp.tanh(theta[1] / MAX_LOG_SCALE))


def _bin(theta: Any, value: Any, bins: int, search: int) -> tuple[Any, ...]:
    """Left edge, width, lower edge, height and slopes of the bin that holds a value."""

    def shares(raw: Any) -> Any:
        return 2 * BOUND * (LEAST + (1 - LEAST * bins) * jax.nn.softmax(raw, 0))

    widths, heights = shares(theta[:bins]), shares(theta[bins : 2 * bins])
    lefts = jnp.cumsum(widths, 0) - widths - BOUND
    lowers = jnp.cumsum(heights, 0) - heights - BOUND
    end = jnp.full_like(theta[:1], UNIT_SLOPE)
    slopes = LEAST_SLOPE + jax.nn.softplus(jnp.concatenate([end, theta[2 * bins :], end]))
    begins = (lefts, lowers)[search]
    before_next = jnp.concatenate([value < begins[1:], jnp.ones_like(value, bool)[None]])
    here = (value >= begins) & before_next

    def pick(values: Any) -> Any:
        return jnp.sum(jnp.where(here, values, 0.0), 0)

    return tuple(map(pick, (lefts, widths, lowers, heights, slopes[:-1], slopes[1:])))


def spline(theta: Any, x: Any, bins: int) -> tuple[Any, Any]:
    """The rational-quadratic spline of Durkan et al. (2019), and ln of its slope."""
    inside = jnp.abs(x) < BOUND
    value = jnp.where(inside, x, 0.0)
    left, width, lower, height, d0, d1 = _bin(theta, value, bins, 0)
    slope, xi = height / width, (value - left) / width
    rest, both = 1 - xi, xi * (1 - xi)
    below = slope + (d0 + d1 - 2 * slope) * both
    y = lower + height * (slope * xi**2 + d0 * both) / below
    steep = slope**2 * (d1 * xi**2 + 2 * slope * both + d0 * rest**2)
    log_slope = jnp.log(steep) - 2 * jnp.log(below)
    return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0.0)


def spline_back(theta: Any, y: Any) -> Any:
    """The inverse of `spline`, from the quadratic formula."""
    inside = jnp.abs(y) < BOUND
    value = jnp.where(inside, y, 0.0)
    left, width, lower, height, d0, d1 = _bin(theta, value, (theta.shape[0] + 1) // 3, 1)
    slope, up = height / width, value - lower
    bend = up * (d0 + d1 - 2 * slope)
    a, b, c = height * (slope - d0) + bend, height * d0 - bend, -slope * up
    xi = 2 * c / (-b - jnp.sqrt(b**2 - 4 * a * c))
    return jnp.where(inside, left + width * xi, y)


def _networks(key: Any, sizes: list[int], count: int) -> Any:
    """`count` stacked networks; the last layer starts near zero."""

    def one(key: Any) -> list[tuple[Any, Any]]:
        keys = jax.random.split(key, len(sizes) - 1)
        scales = [a**-0.5 for a in sizes[:-2]] + [1e-2]
        return [
            (jax.random.uniform(k, shape, minval=-s, maxval=s), jnp.zeros(shape[1]))
            for k, shape, s in zip(keys, pairwise(sizes), scales, strict=True)
        ]

    return jax.vmap(one)(jax.random.split(key, count))


def _network(layers: Any, y: Any) -> Any:
    for weight, bias in layers[:-1]:
        y = jax.nn.silu(weight.T @ y + bias[:, None])
    weight, bias = layers[-1]
    return weight.T @ y + bias[:, None]


def _autoregressive(case: Case, parameters: int, move: Move, back: Callable[..., Any]) -> Tasks:
    dim = case.dim
    seen, masks = np.arange(dim) + 1, []
    for width in case.hidden:
        own = 1 + np.arange(width) * (dim - 1) // width
        masks.append((seen[:, None] <= own).astype(np.float32))
        seen = own
    masks.append((seen[:, None] <= np.tile(np.arange(dim), parameters)).astype(np.float32))

    def masked(layers: Any) -> Any:
        return [(weight * mask, bias) for (weight, bias), mask in zip(layers, masks, strict=True)]

    def theta(layers: Any, x: Any) -> Any:
        return _network(layers, x).reshape(parameters, dim, -1)

    def to_base(x: Any, layers: Any) -> tuple[Any, Any]:
        x, log_slopes = move(theta(layers, x), x)
        return x[::-1], jnp.sum(log_slopes, 0)

    def to_data(z: Any, layers: Any) -> tuple[Any, None]:
        z = z[::-1]
        again = lambda _, x: back(theta(layers, x), z)  # noqa: E731
        return jax.lax.fori_loop(0, dim, again, jnp.zeros_like(z)), None

    sizes = [dim, *case.hidden, parameters * dim]
    layers = _networks(jax.random.key(case.seed), sizes, case.layers)
    return _tasks(case, layers, masked, to_base, to_data)


def spline_coupling(case: Case) -> Tasks:
    """Couplings in pairs, a fixed random order before each pair."""
    half, pairs = case.dim // 2, case.layers // 2
    parameters = 3 * case.bins - 1
    mixing, *weights = jax.random.split(jax.random.key(case.seed), 3)
    orders = jax.vmap(lambda k: jax.random.permutation(k, case.dim))(
        jax.random.split(mixing, pairs)
    )
    sizes = [half, *case.hidden, parameters * half]
    networks = tuple(_networks(key, sizes, pairs) for key in weights)

    def theta(layers: Any, stays: Any) -> Any:
        return _network(layers, stays).reshape(parameters, half, -1)

    def to_base(x: Any, layers: Any) -> tuple[Any, Any]:
        order, (even, odd) = layers
        x = x[order]
        first, second = x[:half], x[half:]
        second, one = spline(theta(even, first), second, case.bins)
        first, two = spline(theta(odd, second), first, case.bins)
        return jnp.concatenate([first, second]), jnp.sum(one, 0) + jnp.sum(two, 0)

    def to_data(z: Any, layers: Any) -> tuple[Any, None]:
        order, (even, odd) = layers
        first, second = z[:half], z[half:]
        first = spline_back(theta(odd, second), first)
        second = spline_back(theta(even, first), second)
        return jnp.concatenate([first, second])[jnp.argsort(order)], None

    return _tasks(case, networks, lambda layers: (orders, layers), to_base, to_data)


def _tasks(
    case: Case,
    layers: Any,
    ready: Callable[[Any], Any],
    to_base: Callable[[Any, Any], tuple[Any, Any]],
    to_data: Callable[[Any, Any], tuple[Any, None]],
) -> Tasks:
    """A flow of scanned layers on a trainable diagonal normal."""
    parameters = {
        "layers": layers,
        "loc": jnp.zeros(case.dim),
        "log_scale": jnp.zeros(case.dim),
    }

    def log_prob(p: Any, x: Any) -> Any:
        # Products are kept for the backward pass; what is elementwise is done again.
        saved = jax.checkpoint_policies.dots_saveable
        layer = jax.checkpoint(to_base, prevent_cse=False, policy=saved)
        z, log_dets = jax.lax.scan(layer, x.T, ready(p["layers"]))
        z = (z - p["loc"][:, None]) * jnp.exp(-p["log_scale"])[:, None]
        base = -0.5 * jnp.sum(z * z + LOG_2PI, 0) - jnp.sum(p["log_scale"])
        return base + jnp.sum(log_dets, 0)

    def draws(p: Any, key: Any) -> Any:
        z = jax.random.normal(key, (case.dim, case.drawn))
        z = p["loc"][:, None] + jnp.exp(p["log_scale"])[:, None] * z
        return jax.lax.scan(to_data, z, ready(p["layers"]), reverse=True)[0].T

    data = jnp.asarray(table(case, case.evaluated))
    adam = optax.scale_by_adam()

    @partial(jax.jit, donate_argnums=0)
    def chunk(state: Any, steps: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            parameters, moments, key, total = state
            rows = jax.random.randint(jax.random.fold_in(key, i), (case.batch,), 0, len(data))
            value, gradient = jax.value_and_grad(lambda p: -jnp.mean(log_prob(p, data[rows])))(
                parameters
            )
            direction, moments = adam.update(gradient, moments)
            moved = jax.tree.map(lambda p, d: p - LEARNING_RATE * d, parameters, direction)
            return moved, moments, key, total + value

        return jax.lax.fori_loop(0, steps, body, state)

    state = (
        jax.tree.map(jnp.copy, parameters),
        adam.init(parameters),
        jax.random.fold_in(jax.random.key(case.seed), 1),
        jnp.zeros(()),
    )

    def train(steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(chunk(state, steps))

    density, sampler = jax.jit(log_prob), jax.jit(draws)

    def evaluate(times: int) -> None:
        for _ in range(times):
            density(parameters, data).block_until_ready()

    def sample(times: int) -> None:
        for i in range(times):
            sampler(parameters, jax.random.key(i)).block_until_ready()

    def score(rows: np.ndarray) -> float:
        return float(density(state[0], jnp.asarray(rows)).mean())

    return Tasks(train, evaluate, sample, score)

"""The bar: training steps written by hand in JAX, without any library but Optax.

As fast as we could make them on a CPU: layers are scanned, steps are a loop in one compiled
program, points are columns where no network wants them as rows, elementwise work is done again
in the backward pass instead of being stored, and there is no guard, no best-so-far and no record
but the mean loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import optax
from cases import LEARNING_RATE, Case, correlated, u1
from timing import Run

LOG_2PI = math.log(2 * math.pi)
MAX_LOG_SCALE = 3.0


def training(parameters: Any, loss: Callable[[Any, Any], Any]) -> Run:
    """Adam on a loss of (parameters, key), many steps a call."""
    adam = optax.scale_by_adam()

    @partial(jax.jit, donate_argnums=0)
    def chunk(state: Any, steps: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            parameters, moments, key, total = state
            value, gradient = jax.value_and_grad(loss)(parameters, jax.random.fold_in(key, i))
            direction, moments = adam.update(gradient, moments)
            moved = jax.tree.map(lambda p, d: p - LEARNING_RATE * d, parameters, direction)
            return moved, moments, key, total + value

        return jax.lax.fori_loop(0, steps, body, state)

    state = (parameters, adam.init(parameters), jax.random.key(1), jnp.zeros(()))

    def run(steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(chunk(state, steps))

    return run


def planar(case: Case) -> Run:
    """Planar layers on a diagonal normal, target U1."""
    w_key, u_key, b_key = jax.random.split(jax.random.key(0), 3)
    w = jax.random.normal(w_key, (case.layers, case.dim))
    near_identity = 0.5413 * w / jnp.sum(w * w, -1, keepdims=True)
    parameters = {
        "w": w,
        "u": near_identity + 0.01 * jax.random.normal(u_key, w.shape),
        "b": jax.random.normal(b_key, (case.layers,)),
        "loc": jnp.zeros(case.dim),
        "log_scale": jnp.zeros(case.dim),
    }

    def loss(p: Any, key: Any) -> Any:
        w, u = p["w"], p["u"]
        dot = jnp.sum(w * u, -1, keepdims=True)
        positive = jax.nn.softplus(dot)
        u_hat = u + (positive - 1 - dot) * w / jnp.sum(w * w, -1, keepdims=True)
        noise = jax.random.normal(key, (case.dim, case.batch))
        z = p["loc"][:, None] + jnp.exp(p["log_scale"])[:, None] * noise

        @partial(jax.checkpoint, prevent_cse=False)
        def layer(z: Any, values: Any) -> Any:
            w, u_hat, b, positive = values
            h = jnp.tanh(jnp.sum(w[:, None] * z, 0) + b)
            square = h * h
            return z + u_hat[:, None] * h, square + positive * (1 - square)

        x, dets = jax.lax.scan(layer, z, (w, u_hat, p["b"], positive[:, 0]))
        log_q = -0.5 * jnp.sum(noise * noise + LOG_2PI, 0) - jnp.sum(p["log_scale"])
        return jnp.mean(log_q - jnp.sum(jnp.log(dets), 0) - u1(x.T, jnp))

    return training(parameters, loss)


def real_nvp(case: Case) -> Run:
    """Affine couplings in pairs, a fixed random order before each pair."""
    half, pairs = case.dim // 2, case.layers // 2
    sizes = [half, *case.hidden, 2 * half]

    def network(key: Any) -> list[tuple[Any, Any]]:
        keys = jax.random.split(key, len(sizes) - 1)
        scales = [a**-0.5 for a in sizes[:-2]] + [0.0]  # the last layer starts at zero
        shapes = pairwise(sizes)
        return [
            (jax.random.uniform(k, shape, minval=-s, maxval=s), jnp.zeros(shape[1]))
            for k, shape, s in zip(keys, shapes, scales, strict=True)
        ]

    def pair(key: Any) -> Any:
        return [network(k) for k in jax.random.split(key)]

    orders = jax.vmap(lambda k: jax.random.permutation(k, case.dim))(
        jax.random.split(jax.random.key(2), pairs)
    )
    parameters = {
        "pairs": jax.vmap(pair)(jax.random.split(jax.random.key(0), pairs)),
        "loc": jnp.zeros(case.dim),
        "log_scale": jnp.zeros(case.dim),
    }

    def couple(layers: Any, stays: Any, moves: Any) -> Any:
        y = stays
        for weight, bias in layers[:-1]:
            y = jax.nn.silu(y @ weight + bias)
        weight, bias = layers[-1]
        theta = y @ weight + bias
        log_scale = MAX_LOG_SCALE * jnp.tanh(theta[:, half:] / MAX_LOG_SCALE)
        return theta[:, :half] + jnp.exp(log_scale) * moves, jnp.sum(log_scale, -1)

    def loss(p: Any, key: Any) -> Any:
        noise = jax.random.normal(key, (case.batch, case.dim))
        z = p["loc"] + jnp.exp(p["log_scale"]) * noise

        # Products are kept for the backward pass; what is elementwise is done again.
        saved = jax.checkpoint_policies.dots_saveable

        @partial(jax.checkpoint, prevent_cse=False, policy=saved)
        def layer(z: Any, values: Any) -> Any:
            order, (even, odd) = values
            z = z[:, order]
            first, second = z[:, :half], z[:, half:]
            second, one = couple(even, first, second)
            first, two = couple(odd, second, first)
            return jnp.concatenate([first, second], -1), one + two

        x, log_dets = jax.lax.scan(layer, z, (orders, p["pairs"]))
        log_q = -0.5 * jnp.sum(noise * noise + LOG_2PI, -1) - jnp.sum(p["log_scale"])
        return jnp.mean(log_q - jnp.sum(log_dets, 0) - correlated(x, jnp))

    return training(parameters, loss)

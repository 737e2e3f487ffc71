"""What the contract looks at: parameters, inputs, and one compiled program a bijection.

`probe` computes everything a bijection is judged by in one program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.bijections import Bijection
from thalweg.nets import Linear
from thalweg.tree import split_trainable

CONTEXT_SHAPE = (3,)
EPS = float(np.finfo(np.float64).eps)
STEP = 1e-5  # of central differences: truncation and rounding errors are then both about 1e-10

# Programs here run once on a few points: compiling them is what takes time.
jit = functools.partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})

Record = dict[str, Any]


def randomised(tree: Any, key: Any, std: float, *, shrink: float = 1.0) -> Any:
    """The tree with normal noise on everything trainable (weights of networks by their fan-in)."""

    def is_linear(node: Any) -> bool:
        return isinstance(node, Linear)

    def width(node: Any) -> Any:
        if is_linear(node):
            fan_in = max(node.weight.shape[-2], 1)
            node = eqx.tree_at(lambda layer: layer.weight, node, fan_in**-0.5)
            return eqx.tree_at(lambda layer: layer.bias, node, 1.0)
        return 1.0

    trainable, fixed = split_trainable(tree)
    widths = jax.tree.map(width, trainable, is_leaf=is_linear)
    leaves, structure = jax.tree.flatten(trainable)
    keys = jax.random.split(key, max(len(leaves), 1))
    moved = [
        shrink * (leaf + std * w * jax.random.normal(k, leaf.shape, leaf.dtype))
        for leaf, w, k in zip(leaves, jax.tree.leaves(widths), keys, strict=False)
    ]
    return eqx.combine(jax.tree.unflatten(structure, moved), fixed)


def unit_direction(tree: Any, key: Any) -> Any:
    """A random direction of length 1 in the space of trainable parameters."""
    trainable = split_trainable(tree)[0]
    leaves, structure = jax.tree.flatten(trainable)
    keys = jax.random.split(key, max(len(leaves), 1))
    noise = [jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=False)]
    length = max(sum(float(jnp.sum(n**2)) for n in noise), 1e-300) ** 0.5
    return jax.tree.unflatten(structure, [n / length for n in noise])


def as_float32(tree: Any) -> Any:
    """Every floating-point array of the tree in float32."""
    return jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree
    )


def inputs(bijection: Bijection, key: Any, count: int = 12) -> dict[str, Any]:
    """Points for `probe`: a bulk, three far tails and the origin, each with its own context."""
    keys = jax.random.split(key, 6)
    shape = (count, *bijection.shape)
    points = 1.5 * jax.random.normal(keys[0], shape)
    points = points.at[0].set(0.0).at[1:4].multiply(20.0)
    data = 1.5 * jax.random.normal(keys[1], shape)
    context = None
    if bijection.context_shape is not None:
        context = jax.random.normal(keys[2], (count, *bijection.context_shape))
    return {
        "points": points,
        "data": data.at[1:4].multiply(20.0),
        "scores": jax.random.normal(keys[3], shape),
        "moves": jax.random.normal(keys[4], shape),
        "context": context,
        "direction": unit_direction(bijection, keys[5]),
    }


# --- one program a bijection ---------------------------------------------------------------------


@jit
def probe(bijection: Bijection, given: dict[str, Any]) -> Record:
    """All that the checks of a bijection look at, for a batch of events (by `jax.vmap`)."""
    trainable, fixed = split_trainable(bijection)

    def one(z: Any, y: Any, score: Any, move: Any, context: Any) -> Record:
        def forward(theta: Any, point: Any) -> Any:
            return eqx.combine(theta, fixed).forward_and_log_det(point, context)

        def inverse(theta: Any, point: Any) -> Any:
            return eqx.combine(theta, fixed).inverse_and_log_det(point, context)

        out: Record = {}
        out["x"], out["log_det"] = forward(trainable, z)
        out["x_only"] = bijection.forward(z, context)
        out["jacobian"] = jax.jacfwd(lambda p: bijection.forward(p, context))(z)
        out["log_det_gradient"] = jax.grad(lambda p: forward(trainable, p)[1])(z)
        out["z_back"], out["inverse_log_det"] = inverse(trainable, out["x"])
        out["z_only"] = bijection.inverse(out["x"], context)
        out["inverse_jacobian"] = jax.jacfwd(lambda p: bijection.inverse(p, context))(out["x"])
        out["pushed"] = bijection.push_score(z, score, context)
        ready = bijection.prepare(context)
        out["ready_forward"] = ready.forward_and_log_det(z, context)
        out["ready_inverse"] = ready.inverse_and_log_det(out["x"], context)
        out["ready_pushed"] = ready.push_score(z, score, context)
        # From the data side: a point that no forward pass made.
        out["w"], out["w_log_det"] = inverse(trainable, y)
        out["y_back"], out["y_log_det"] = forward(trainable, out["w"])
        out["w_jacobian"] = jax.jacfwd(lambda p: bijection.forward(p, context))(out["w"])
        # Derivatives along one joint move of the parameters and the point, in both modes.
        for name, function, point in (("forward", forward, z), ("inverse", inverse, y)):
            _, along = jax.jvp(function, (trainable, point), (given["direction"], move))
            _, pull = jax.vjp(function, trainable, point)
            by_theta, by_point = pull((score, jnp.ones((), z.dtype)))
            parts = jax.tree.map(jnp.vdot, by_theta, given["direction"])
            out[f"{name}_along"] = along
            out[f"{name}_forward_mode"] = jnp.vdot(score, along[0]) + along[1]
            out[f"{name}_reverse_mode"] = sum(jax.tree.leaves(parts), jnp.vdot(by_point, move))
        # The implicit function theorem: dz/dθ at fixed x is −J⁻¹ ∂f/∂θ.
        still = jnp.zeros_like(z)
        directions = (given["direction"], still)
        _, by_theta_forward = jax.jvp(forward, (trainable, z), directions)
        _, by_theta_inverse = jax.jvp(inverse, (trainable, out["x"]), directions)
        out["theta_forward"], out["theta_inverse"] = by_theta_forward[0], by_theta_inverse[0]
        if context is not None:
            out["by_context"] = jax.jacfwd(lambda c: bijection.forward(z, c))(context)
            out["inverse_by_context"] = jax.jacfwd(lambda c: bijection.inverse(y, c))(context)
        return out

    context = given["context"]
    axes = (0, 0, 0, 0, None if context is None else 0)
    return jax.vmap(one, in_axes=axes)(
        given["points"], given["data"], given["scores"], given["moves"], context
    )


@jit
def short_probe(bijection: Bijection, given: dict[str, Any]) -> Record:
    """What log-determinants and round trips need: for stacks, of which there are many."""

    def one(z: Any, y: Any) -> Record:
        out: Record = {}
        out["x"], out["log_det"] = bijection.forward_and_log_det(z)
        both = jnp.stack([out["x"], y])
        (out["z_back"], out["w"]), log_dets = jax.vmap(bijection.inverse_and_log_det)(both)
        out["inverse_log_det"] = log_dets[0]
        # One Jacobian for two points: what is compiled once is traced once.
        points = jnp.stack([z, out["w"]])

        def with_value(point: Any) -> Any:
            value = bijection.forward(point)
            return value, value

        jacobians, values = jax.vmap(jax.jacfwd(with_value, has_aux=True))(points)
        (out["jacobian"], out["w_jacobian"]), out["y_back"] = jacobians, values[1]
        return out

    return jax.vmap(one)(given["points"], given["data"])


def examine(
    bijection: Bijection, key: Any, count: int = 12, program: Callable[..., Record] = probe
) -> Record:
    """Run `probe` on random inputs; the record also keeps the inputs and the conditioning."""
    given = inputs(bijection, key, count)
    record = jax.tree.map(np.asarray, program(bijection, given))
    record["given"], record["bijection"] = given, bijection
    record["z"], record["y"] = np.asarray(given["points"]), np.asarray(given["data"])
    for name, jacobian in (("z", record["jacobian"]), ("w", record["w_jacobian"])):
        finite = np.where(np.isfinite(jacobian), jacobian, 0)
        values = np.linalg.svd(finite, compute_uv=False)
        record[f"{name}_norm"] = values[:, 0]
        record[f"{name}_inverse_norm"] = 1 / np.maximum(values[:, -1], 1e-300)
        record[f"{name}_cond"] = values[:, 0] * record[f"{name}_inverse_norm"]
    return record

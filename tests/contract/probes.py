"""Inputs of the contract tests: parameters, points, and one compiled program a bijection.

`probe` computes everything that is checked of a bijection in one program.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.bijections import Bijection, Reshaped
from thalweg.nets import Linear
from thalweg.tree import split_trainable

CONTEXT_SHAPE = (3,)
EPS = float(np.finfo(np.float64).eps)
STEP = 1e-5  # of central differences: truncation and rounding errors are then both about 1e-10

# Programs here run once on a few points: compiling them is what takes time. The CPU's fusion
# emitters double it; a JAX that does not know the option compiles without it.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


def _known_options() -> dict[str, Any]:
    try:
        jax.jit(jnp.sin).lower(0.0).compile(OPTIONS)
    except jax.errors.JaxRuntimeError:
        return {"xla_backend_optimization_level": 0}
    return OPTIONS


jit = functools.partial(eqx.filter_jit, compiler_options=_known_options())

Record = dict[str, Any]


def normal(key: Any, shape: tuple[int, ...], dtype: Any = float) -> np.ndarray:
    """Normal numbers as `jax.random.normal` draws them, by one program for many shapes."""
    size = math.prod(shape)
    count = 256
    while count < size:
        count *= 4
    drawn = jax.random.normal(key, (count,), dtype)
    return np.asarray(drawn)[:size].reshape(shape)


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
        jnp.asarray(shrink * (np.asarray(leaf) + std * w * normal(k, leaf.shape, leaf.dtype)))
        for leaf, w, k in zip(leaves, jax.tree.leaves(widths), keys, strict=False)
    ]
    return eqx.combine(jax.tree.unflatten(structure, moved), fixed)


def unit_direction(tree: Any, key: Any) -> Any:
    """A random direction of length 1 in the space of trainable parameters."""
    trainable = split_trainable(tree)[0]
    leaves, structure = jax.tree.flatten(trainable)
    keys = jax.random.split(key, max(len(leaves), 1))
    noise = [normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=False)]
    length = max(sum(float(np.sum(n**2)) for n in noise), 1e-300) ** 0.5
    return jax.tree.unflatten(structure, [jnp.asarray(n / length) for n in noise])


def flat(bijection: Bijection) -> Bijection:
    """The bijection on vectors: those on images are checked through a view of them."""
    if len(bijection.shape) == 1:
        return bijection
    return Reshaped(bijection, (math.prod(bijection.shape),))


def as_float32(tree: Any) -> Any:
    """Every floating-point array of the tree in float32."""
    return _in_precision(tree, jnp.float32)


def as_float64(tree: Any) -> Any:
    """Every floating-point array of the tree in float64."""
    return _in_precision(tree, jnp.float64)


def _in_precision(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, tree
    )


def inputs(bijection: Bijection, key: Any, count: int = 12) -> dict[str, Any]:
    """Points for `probe`: a bulk, three far tails and the origin, each with its own context."""
    keys = jax.random.split(key, 6)
    shape = (count, *bijection.shape)
    points, data = 1.5 * normal(keys[0], shape), 1.5 * normal(keys[1], shape)
    points[0] = 0.0
    points[1:4] *= 20.0
    data[1:4] *= 20.0
    context = None
    if bijection.context_shape is not None:
        context = jnp.asarray(normal(keys[2], (count, *bijection.context_shape)))
    return {
        "points": jnp.asarray(points),
        "data": jnp.asarray(data),
        "scores": jnp.asarray(normal(keys[3], shape)),
        "moves": jnp.asarray(normal(keys[4], shape)),
        "context": context,
        "direction": unit_direction(bijection, keys[5]),
    }


# --- one program a bijection ---------------------------------------------------------------------


class Derivatives(NamedTuple):
    """A direction of a map at one point, and its derivatives there."""

    value: Any
    log_det: Any
    jacobian: Any
    log_det_gradient: Any
    along: Any  # of value and log-det, as parameters and point move together
    by_theta: Any  # of the value, as the parameters move alone
    by_context: Any
    forward_mode: Any  # score · ∂value + ∂log-det along the joint move, pushed forward
    reverse_mode: Any  # and pulled back


def derivatives(function: Any, theta: Any, point: Any, context: Any, given: Record) -> Derivatives:
    """Linearise (θ, point, context) -> (value, log-det) once and push all tangents through it."""
    (value, log_det), push = jax.linearize(function, theta, point, context)
    pull = jax.linear_transpose(push, theta, point, context)
    direction, move, score = given["direction"], given["move"], given["score"]
    size, others = point.size, 0 if context is None else context.size
    # Tangents in rows: a basis of points, the joint move, parameters alone, a basis of contexts.
    chosen = jnp.zeros(size + 2 + others).at[size : size + 2].set(1.0)
    by_theta = jax.tree.map(lambda leaf: jnp.multiply.outer(chosen, leaf), direction)
    by_point = jnp.zeros((len(chosen), size)).at[:size].set(jnp.eye(size)).at[size].set(move)
    by_context = None
    if context is not None:
        basis = jnp.eye(others).reshape(others, *context.shape)
        by_context = jnp.zeros((len(chosen), *context.shape)).at[size + 2 :].set(basis)
    values, log_dets = jax.vmap(push)(by_theta, by_point, by_context)
    pulled_theta, pulled_point, _ = pull((score, jnp.ones_like(log_det)))
    parts = jax.tree.map(jnp.vdot, pulled_theta, direction)
    return Derivatives(
        value,
        log_det,
        values[:size].T,
        log_dets[:size],
        (values[size], log_dets[size]),
        values[size + 1],
        None if context is None else values[size + 2 :].T,
        jnp.vdot(score, values[size]) + log_dets[size],
        sum(jax.tree.leaves(parts), jnp.vdot(pulled_point, move)),
    )


@jit
def probe(bijection: Bijection, given: dict[str, Any]) -> Record:
    """All that the checks of a bijection look at, for a batch of events (by `jax.vmap`).

    Both directions are linearised once, each at the two points of interest: what is traced once is
    compiled once.
    """
    trainable, fixed = split_trainable(bijection)

    def forward(theta: Any, point: Any, context: Any) -> Any:
        return eqx.combine(theta, fixed).forward_and_log_det(point, context)

    def inverse(theta: Any, point: Any, context: Any) -> Any:
        return eqx.combine(theta, fixed).inverse_and_log_det(point, context)

    def one(z: Any, y: Any, score: Any, move: Any, context: Any) -> Record:
        own = {"direction": given["direction"], "move": move, "score": score}

        def studied(function: Any, points: Any) -> tuple[Derivatives, Derivatives]:
            both = jax.vmap(lambda p: derivatives(function, trainable, p, context, own))(points)
            return jax.tree.map(lambda v: v[0], both), jax.tree.map(lambda v: v[1], both)

        out: Record = {}
        out["x_only"] = bijection.forward(z, context)
        # Back from where z went, and from y on the data side, which no forward pass made.
        back, off = studied(inverse, jnp.stack([out["x_only"], y]))
        there, again = studied(forward, jnp.stack([z, off.value]))
        out["z_only"] = bijection.inverse(out["x_only"], context)
        out["pushed"] = bijection.push_score(z, score, context)
        ready = bijection.prepare(context)
        out["ready_forward"] = ready.forward_and_log_det(z, context)
        out["ready_inverse"] = ready.inverse_and_log_det(out["x_only"], context)
        out["ready_pushed"] = ready.push_score(z, score, context)
        out["x"], out["log_det"] = there.value, there.log_det
        out["jacobian"], out["log_det_gradient"] = there.jacobian, there.log_det_gradient
        out["z_back"], out["inverse_log_det"] = back.value, back.log_det
        out["inverse_jacobian"] = back.jacobian
        out["w"], out["w_log_det"] = off.value, off.log_det
        out["y_back"], out["y_log_det"] = again.value, again.log_det
        out["w_jacobian"] = again.jacobian
        for name, found in (("forward", there), ("inverse", off)):
            out[f"{name}_along"] = found.along
            out[f"{name}_forward_mode"] = found.forward_mode
            out[f"{name}_reverse_mode"] = found.reverse_mode
        # The implicit function theorem: dz/dθ at fixed x is −J⁻¹ ∂f/∂θ.
        out["theta_forward"], out["theta_inverse"] = there.by_theta, back.by_theta
        if context is not None:
            out["by_context"], out["inverse_by_context"] = there.by_context, off.by_context
        return out

    context = given["context"]
    axes = (0, 0, 0, 0, None if context is None else 0)
    return jax.vmap(one, in_axes=axes)(
        given["points"], given["data"], given["scores"], given["moves"], context
    )


@jit
def short_probe(bijection: Bijection, given: dict[str, Any]) -> Record:
    """A record for log-determinants and round trips alone: for stacks, of which there are many."""

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
        with np.errstate(over="ignore"):  # a matrix may be as far from invertible as numbers go
            cond = values[:, 0] * record[f"{name}_inverse_norm"]
        record[f"{name}_cond"] = np.minimum(cond, 1e300)
    return record

"""The contract of every bijection and flow, as plain functions that assert.

One compiled program (`probe`) computes everything a bijection is judged by; each `check_*` looks
at one promise. They are apart from the tests so that `tests/test_mutations.py` can show that each
of them fails on a broken formula.

Tolerances are stated for well-conditioned maps and grow with the conditioning of the map itself:
a Jacobian J amplifies rounding errors by up to cond(J), whatever the implementation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from thalweg.bijections import Bijection
from thalweg.nets import Linear
from thalweg.tree import Frozen, split_trainable

CONTEXT_SHAPE = (3,)
EPS = float(np.finfo(np.float64).eps)
STEP = 1e-5  # of central differences: truncation and rounding errors are then both about 1e-10

# Programs here run once on a few points: compiling them is what takes time.
jit = functools.partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})

Record = dict[str, Any]


# --- parameters and inputs -----------------------------------------------------------------------


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


def _size(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # a bound that overflows is no bound
        return np.sqrt((values**2).sum(axis=tuple(range(1, values.ndim))))


def _within(error: np.ndarray, tolerance: np.ndarray | float, what: str) -> None:
    """Every error is within its tolerance; a NaN never is."""
    error = np.asarray(error)
    tolerance = np.broadcast_to(tolerance, np.shape(error))
    bad = ~(np.abs(error) <= tolerance)
    if bad.any():
        worst = np.argmax(np.where(np.isnan(error), np.inf, np.abs(error) / tolerance))
        raise AssertionError(
            f"{what}: {bad.sum()} of {bad.size} beyond tolerance; worst error "
            f"{np.ravel(error)[worst]:.3e} against {np.ravel(tolerance)[worst]:.3e}"
        )


# --- promises of a bijection ---------------------------------------------------------------------


# Beyond this conditioning float64 holds no accurate determinant or inverse of the Jacobian to
# compare with; only the round trips, whose bounds scale with it, are then judged.
WORST_COND = 1e11


def _judged(record: Record) -> np.ndarray:
    return record["z_cond"] < WORST_COND


def check_log_det(record: Record) -> None:
    """Both log-determinants are those of the autodiff Jacobian, to 1e-8."""
    # slogdet itself is good to about eps·cond.
    tolerance = 1e-8 + 100 * EPS * record["z_cond"]
    judged = _judged(record)
    for log_det in ("log_det", "inverse_log_det"):
        assert np.isfinite(record[log_det][judged]).all(), f"{log_det} is not finite"
    _, expected = np.linalg.slogdet(record["jacobian"][judged])
    _within(record["log_det"][judged] - expected, tolerance[judged], "forward log-det")
    if "inverse_jacobian" in record:
        # The inverse log-det belongs to z_back, which differs from z by rounding errors; its
        # gradient carries them into it.
        gradient = record["log_det_gradient"][judged]
        shift = _size(gradient) * _size((record["z_back"] - record["z"])[judged])
        tolerance[judged] += 2 * shift
        _, expected = np.linalg.slogdet(record["inverse_jacobian"][judged])
        error = record["inverse_log_det"][judged] - expected
        _within(error, tolerance[judged], "inverse log-det")
    both = record["log_det"][judged] + record["inverse_log_det"][judged]
    _within(both, tolerance[judged], "sum of log-dets")


def check_round_trips(record: Record, tolerance: float = 1e-9, growth: float = 300) -> None:
    """z → x → z and x → z → x return to where they began.

    The bound is `tolerance` relative to the point, or what rounding errors of the values on the
    way become under the Jacobian, whichever is larger.
    """
    x, z = record["x"], record["z"]
    dim = z.shape[1]
    way = 1 + _size(x) + np.maximum(record["z_norm"], 1) * (1 + _size(z))
    rounding = growth * dim * EPS * np.maximum(record["z_inverse_norm"], 1) * way
    judged, bound = _judged(record), tolerance * (1 + _size(z)) + rounding
    _within(_size(record["z_back"] - z)[judged], bound[judged], "z → x → z")
    # Backward stability: the computed z need only be near in the sense that it maps back to x,
    # so the inverse's conditioning has no part in this bound.
    y, w = record["y"], record["w"]
    rounding = growth * dim * EPS * np.maximum(record["w_norm"], 1) * (1 + _size(w))
    bound = tolerance * (1 + _size(y)) + rounding
    # A preimage may lie beyond what a float holds; one that is NaN has failed.
    held = ~(_size(w) > 1e100)
    _within(_size(record["y_back"] - y)[held], bound[held], "x → z → x")


def check_one_way_calls(record: Record) -> None:
    """`forward` and `inverse` are the first halves of their `_and_log_det` versions."""
    for one, other in (("x", "x_only"), ("z_back", "z_only")):
        scale = 1 + _size(record[one])
        amplified = record["z_inverse_norm"] * (1 + _size(record["x"])) if one != "x" else 0
        _within(_size(record[one] - record[other]), 100 * EPS * (scale + amplified), other)


def check_prepare(record: Record) -> None:
    """`prepare` changes when parameters are worked out and nothing else."""
    judged, cond = _judged(record), 1 + np.minimum(record["z_cond"], WORST_COND)
    scale = 1 + _size(record["x"]) + _size(record["z"])
    pairs = [
        (record["x"], record["ready_forward"][0], scale),
        (record["z_back"], record["ready_inverse"][0], scale * cond),
        (record["log_det"], record["ready_forward"][1], cond),
        (record["inverse_log_det"], record["ready_inverse"][1], scale * cond),
        (record["pushed"][0], record["ready_pushed"][0], scale),
        (record["pushed"][2], record["ready_pushed"][2], (1 + _size(record["pushed"][2])) * cond),
    ]
    for plain, ready, size in pairs:
        error = _size((plain - ready)[judged])
        _within(error, 1e-12 * size[judged], "prepared against plain")


def check_push_score(record: Record) -> None:
    """push_score gives x, ln|det J| and J⁻ᵀ(s − ∇ ln|det J|)."""
    x, log_det, score = record["pushed"]
    _within(_size(x - record["x"]), 1e-10 * (1 + _size(record["x"])), "x of push_score")
    _within(log_det - record["log_det"], 1e-9, "log-det of push_score")
    right = np.asarray(record["given"]["scores"]) - record["log_det_gradient"]
    expected = np.linalg.solve(np.swapaxes(record["jacobian"], 1, 2), right[..., None])[..., 0]
    size = 1 + _size(right) * np.maximum(record["z_inverse_norm"], 1)
    _within(_size(score - expected), 1e-8 * size + EPS * 100 * record["z_cond"] * size, "score")


def check_implicit_gradients(record: Record) -> None:
    """∂f⁻¹/∂x = J⁻¹ and ∂f⁻¹/∂θ = −J⁻¹ ∂f/∂θ."""
    cond, judged = record["z_cond"], _judged(record)
    # A second derivative that is large carries the rounding error of z_back into both.
    with np.errstate(over="ignore"):
        shift = record["z_inverse_norm"] * _size(record["z_back"] - record["z"]) * (1 + cond)
    if not judged.any():
        return
    product = np.einsum("nij,njk->nik", record["inverse_jacobian"], record["jacobian"])
    away = _size(product - np.eye(product.shape[-1]))
    bound = 1e-8 + 1e3 * EPS * cond + shift
    _within(away[judged], bound[judged], "J⁻¹ J − I")
    jacobian = record["jacobian"][judged]
    carried = np.linalg.solve(jacobian, record["theta_forward"][judged][..., None])[..., 0]
    size = 1 + (_size(record["theta_forward"]) * record["z_inverse_norm"])[judged]
    error = _size(record["theta_inverse"][judged] + carried)
    _within(error, bound[judged] * size, "∂f⁻¹/∂θ")


def check_gradient_modes(record: Record) -> None:
    """Forward- and reverse-mode derivatives of both directions are the same linear map."""
    for name, cond in (("forward", record["z_cond"]), ("inverse", record["w_cond"])):
        one, other = record[f"{name}_forward_mode"], record[f"{name}_reverse_mode"]
        tolerance = (1e-9 + 100 * EPS * cond) * (1 + np.abs(one))
        _within(one - other, tolerance, f"{name}: reverse against forward mode")


def check_finite_differences(record: Record, tolerance: float = 1e-5) -> None:
    """Derivatives of both directions and both log-dets along a move equal central differences."""
    bijection, given = record["bijection"], record["given"]
    trainable, fixed = split_trainable(bijection)

    def moved(sign: float) -> Record:
        theta = jax.tree.map(lambda t, d: t + sign * STEP * d, trainable, given["direction"])
        shifted = dict(given)
        shifted["points"] = given["points"] + sign * STEP * given["moves"]
        shifted["data"] = given["data"] + sign * STEP * given["moves"]
        return jax.tree.map(np.asarray, probe(eqx.combine(theta, fixed), shifted))

    up, down = moved(1.0), moved(-1.0)
    quantities = [
        ("forward", 0, "x"),
        ("forward", 1, "log_det"),
        ("inverse", 0, "w"),
        ("inverse", 1, "w_log_det"),
    ]
    for name, index, key in quantities:
        numeric = (up[key] - down[key]) / (2 * STEP)
        exact = record[f"{name}_along"][index]
        scale = 1 + _size(exact) + 1e-3 * _size(record[key])
        _within(_size(numeric - exact), tolerance * scale, f"derivative of {name}, {key}")


def check_context(record: Record) -> None:
    """Every coordinate that the map moves depends on the context, in both directions."""
    moves = np.abs(record["x"] - record["z"]).max(0) > 0
    assert moves.any(), "the map moves nothing"
    reach = np.abs(record["by_context"]).max(axis=(0, 2))
    back = np.abs(record["inverse_by_context"]).max(axis=(0, 2))
    assert (reach[moves] > 1e-6).all(), f"outputs that ignore the context: {reach}"
    assert (back[moves] > 1e-6).all(), f"inverse outputs that ignore the context: {back}"


def check_eager(record: Record) -> None:
    """Without jit and vmap the numbers are the same."""
    bijection, given = record["bijection"], record["given"]
    row = 5
    context = None if given["context"] is None else given["context"][row]
    x, log_det = bijection.forward_and_log_det(given["points"][row], context)
    w, w_log_det = bijection.inverse_and_log_det(given["data"][row], context)
    forward = 1e-12 * (1 + record["z_cond"][row]) * (1 + _size(record["x"])[row])
    inverse = 1e-12 * (1 + record["w_cond"][row]) * (1 + _size(record["y"])[row])
    assert np.abs(x - record["x"][row]).max() <= forward
    assert abs(log_det - record["log_det"][row]) <= forward
    assert np.abs(w - record["w"][row]).max() <= inverse
    assert abs(w_log_det - record["w_log_det"][row]) <= inverse
    assert np.shape(log_det) == np.shape(w_log_det) == ()


def check_dtypes(bijection: Bijection) -> None:
    """What comes out has the dtype of what goes in, log-dets included, and the event's shape."""
    for dtype in (jnp.float32, jnp.float64):
        model = as_float32(bijection) if dtype == jnp.float32 else bijection
        point = jax.ShapeDtypeStruct(bijection.shape, dtype)
        context = None
        if bijection.context_shape is not None:
            context = jax.ShapeDtypeStruct(bijection.context_shape, dtype)
        for call in ("forward", "inverse"):
            method: Callable[..., Any] = getattr(model, f"{call}_and_log_det")
            value, log_det = eqx.filter_eval_shape(method, point, context)
            only = eqx.filter_eval_shape(getattr(model, call), point, context)
            assert (value.shape, value.dtype) == (bijection.shape, dtype), (call, value)
            assert (only.shape, only.dtype) == (bijection.shape, dtype), (call, only)
            assert (log_det.shape, log_det.dtype) == ((), dtype), (call, "log-det", log_det)
        x, log_det, score = eqx.filter_eval_shape(model.push_score, point, point, context)
        assert {x.dtype, log_det.dtype, score.dtype} == {jnp.dtype(dtype)}, "push_score"


def check_frozen(model: Any, loss: Callable[[Any], Any]) -> None:
    """Frozen leaves get no gradient, are not trained, and everything trained has a gradient."""
    trainable, fixed = split_trainable(model)
    gradients = jit(eqx.filter_grad(loss))(model)

    def is_frozen(node: Any) -> bool:
        return isinstance(node, Frozen)

    for node in jax.tree.leaves(trainable, is_leaf=is_frozen):
        assert not is_frozen(node) or not jax.tree.leaves(node), "a frozen leaf is trained"
    for node in jax.tree.leaves(gradients, is_leaf=is_frozen):
        if is_frozen(node):
            for leaf in jax.tree.leaves(node):
                assert not np.asarray(leaf).any(), "a frozen leaf has a gradient"
    for leaf in jax.tree.leaves(fixed, is_leaf=is_frozen):
        assert is_frozen(leaf) or not eqx.is_inexact_array(leaf), "a free array is not trained"


# --- promises of a flow --------------------------------------------------------------------------


@jit
def draw_program(flow: Any, key: Any, count: int, context: Any) -> Record:
    """Draws, their two log densities, and an expectation that shares no draws with them."""
    first, second = jax.random.split(key)
    x, log_q = flow.sample_and_log_prob(first, (count,), context)
    mean, error = flow.expectation(lambda v: jnp.concatenate([v, v**2]), second, count, context)
    return {
        "x": x,
        "log_q": log_q,
        "log_prob": flow.log_prob(x, context),
        "sample": flow.sample(first, (count,), context),
        "mean": mean,
        "error": error,
    }


@jit
def log_prob_program(flow: Any, x: Any, context: Any) -> Any:
    """ln q(x)."""
    return flow.log_prob(x, context)


def study(flow: Any, key: Any, context: Any = None, count: int = 20_000) -> Record:
    """Draws of a flow in d = 1 or 2, and its density on a grid around nearly all of its mass."""
    record = jax.tree.map(np.asarray, draw_program(flow, key, count, context))
    dim = flow.shape[0]
    cells, per_cell = {1: (40, 500), 2: (20, 25)}[dim]
    low, high = record["x"].min(0), record["x"].max(0)
    reach = 0.35 * (high - low)  # about 4 standard deviations are seen, about 7 are covered
    low, high = low - reach, high + reach
    points = cells * per_cell
    edges = [np.linspace(a, b, points + 1) for a, b in zip(low, high, strict=True)]
    middles = [(e[1:] + e[:-1]) / 2 for e in edges]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, dim)
    record["grid"], record["volume"] = grid, np.prod((high - low) / points)
    record["grid_log_prob"] = np.asarray(log_prob_program(flow, grid, context))
    record["cells"], record["per_cell"] = cells, per_cell
    record["edges"] = [e[::per_cell] for e in edges]
    return record


def check_same_density(record: Record) -> None:
    """`sample_and_log_prob` and `log_prob` agree on the same points, and `sample` draws them."""
    error = record["log_q"] - record["log_prob"]
    _within(error, 1e-8 * (1 + np.abs(record["log_q"])), "log_prob of draws")
    _within(_size(record["x"] - record["sample"]), 1e-10 * (1 + _size(record["x"])), "draws")


def check_normalised(record: Record) -> None:
    """The density integrates to 1 ± 1e-3."""
    mass = np.exp(record["grid_log_prob"]).sum() * record["volume"]
    assert abs(mass - 1) <= 1e-3, f"the density integrates to {mass}"


def check_samples_follow_density(record: Record) -> None:
    """A χ² test of the draws' histogram against the integral of the density over its cells."""
    dim, cells, per_cell = record["x"].shape[1], record["cells"], record["per_cell"]
    mass = np.exp(record["grid_log_prob"]) * record["volume"]
    mass = mass.reshape((cells, per_cell) * dim).sum(axis=tuple(range(1, 2 * dim, 2))).ravel()
    counts = np.histogramdd(record["x"], record["edges"])[0].ravel()
    expected = mass * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-9))
    assert len(observed) > 10, "too few cells for a test"
    if expected[-1] < 5:
        observed = np.append(observed[:-2], observed[-2:].sum())
        expected = np.append(expected[:-2], expected[-2:].sum())
    p_value = stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(observed) - 1)
    # The seed is fixed, so this is one draw of a uniform p-value: no flakiness.
    assert p_value > 1e-4, f"draws do not follow the density: p = {p_value:.2e}"


def check_expectation(record: Record) -> None:
    """Monte Carlo means of x and x² are within 4 standard errors of quadrature."""
    weights = np.exp(record["grid_log_prob"]) * record["volume"]
    values = np.concatenate([record["grid"], record["grid"] ** 2], 1)
    exact = weights @ values
    _within(record["mean"] - exact, 4 * record["error"] + 1e-3 * np.abs(exact), "expectation")
    assert (record["error"] > 0).all()
    variance = weights @ values**2 - exact**2
    np.testing.assert_allclose(record["error"], (variance / len(record["x"])) ** 0.5, rtol=0.15)


def check_batches(flow: Any, key: Any, context: Any = None) -> None:
    """The density of a batch is that of its events one by one, whatever the batch's shape."""
    x = jax.random.normal(key, (6, *flow.shape))
    alone = [float(flow.log_prob(x[i], context)) for i in range(6)]
    for shape in ((6,), (2, 3), (3, 1, 2)):
        batch = flow.log_prob(x.reshape(*shape, *flow.shape), context)
        assert batch.shape == shape
        np.testing.assert_allclose(np.ravel(batch), alone, rtol=1e-10, atol=1e-10)

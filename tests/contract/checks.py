"""The contract of every bijection, as plain functions that assert.

Each `check_*` looks at one promise in the record of a probe. They are apart from the tests so that
`test_broken_bijections.py` can show that each of them fails on a broken formula.

Tolerances are stated for well-conditioned maps and grow with the conditioning of the map itself:
a Jacobian J amplifies rounding errors by up to cond(J), whatever the implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from contract.probes import EPS, STEP, Record, as_float32, jit, probe
from thalweg.bijections import Bijection
from thalweg.tree import Frozen, split_trainable


def lengths(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # a bound that overflows is no bound
        return np.sqrt((values**2).sum(axis=tuple(range(1, values.ndim))))


def within(error: np.ndarray, tolerance: np.ndarray | float, what: str) -> None:
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


# Beyond this conditioning float64 holds no accurate determinant or inverse of the Jacobian to
# compare with; only the round trips, whose bounds scale with it, are then checked.
WORST_COND = 1e11


def _well_conditioned(record: Record) -> np.ndarray:
    return record["z_cond"] < WORST_COND


def check_log_det(record: Record) -> None:
    """Both log-determinants are those of the autodiff Jacobian, to 1e-8."""
    # slogdet itself is good to about eps·cond.
    tolerance = 1e-8 + 100 * EPS * record["z_cond"]
    conditioned = _well_conditioned(record)
    for log_det in ("log_det", "inverse_log_det"):
        assert np.isfinite(record[log_det][conditioned]).all(), f"{log_det} is not finite"
    _, expected = np.linalg.slogdet(record["jacobian"][conditioned])
    within(record["log_det"][conditioned] - expected, tolerance[conditioned], "forward log-det")
    if "inverse_jacobian" in record:
        # The inverse log-det belongs to z_back, which differs from z by rounding errors; its
        # gradient carries them into it.
        gradient = record["log_det_gradient"][conditioned]
        shift = lengths(gradient) * lengths((record["z_back"] - record["z"])[conditioned])
        tolerance[conditioned] += 2 * shift
        _, expected = np.linalg.slogdet(record["inverse_jacobian"][conditioned])
        error = record["inverse_log_det"][conditioned] - expected
        within(error, tolerance[conditioned], "inverse log-det")
    both = record["log_det"][conditioned] + record["inverse_log_det"][conditioned]
    within(both, tolerance[conditioned], "sum of log-dets")


def check_round_trips(record: Record, tolerance: float = 1e-9, growth: float = 300) -> None:
    """z → x → z and x → z → x return to where they began.

    The bound is `tolerance` relative to the point, or what rounding errors of the values on the
    way become under the Jacobian, whichever is larger.
    """
    x, z = record["x"], record["z"]
    dim = z.shape[1]
    way = 1 + lengths(x) + np.maximum(record["z_norm"], 1) * (1 + lengths(z))
    rounding = growth * dim * EPS * np.maximum(record["z_inverse_norm"], 1) * way
    conditioned, bound = _well_conditioned(record), tolerance * (1 + lengths(z)) + rounding
    within(lengths(record["z_back"] - z)[conditioned], bound[conditioned], "z → x → z")
    # Backward stability: the computed z need only be near in the sense that it maps back to x,
    # so the inverse's conditioning has no part in this bound.
    y, w = record["y"], record["w"]
    rounding = growth * dim * EPS * np.maximum(record["w_norm"], 1) * (1 + lengths(w))
    bound = tolerance * (1 + lengths(y)) + rounding
    # A preimage may lie beyond what a float holds; one that is NaN has failed.
    held = ~(lengths(w) > 1e100)
    within(lengths(record["y_back"] - y)[held], bound[held], "x → z → x")


def check_one_way_calls(record: Record) -> None:
    """`forward` and `inverse` are the first halves of their `_and_log_det` versions."""
    for one, other in (("x", "x_only"), ("z_back", "z_only")):
        scale = 1 + lengths(record[one])
        amplified = record["z_inverse_norm"] * (1 + lengths(record["x"])) if one != "x" else 0
        within(lengths(record[one] - record[other]), 100 * EPS * (scale + amplified), other)


def check_prepare(record: Record) -> None:
    """`prepare` changes when parameters are computed and nothing else."""
    conditioned, cond = _well_conditioned(record), 1 + np.minimum(record["z_cond"], WORST_COND)
    scale = 1 + lengths(record["x"]) + lengths(record["z"])
    pairs = [
        (record["x"], record["ready_forward"][0], scale),
        (record["z_back"], record["ready_inverse"][0], scale * cond),
        (record["log_det"], record["ready_forward"][1], cond),
        (record["inverse_log_det"], record["ready_inverse"][1], scale * cond),
        (record["pushed"][0], record["ready_pushed"][0], scale),
        (record["pushed"][2], record["ready_pushed"][2], (1 + lengths(record["pushed"][2])) * cond),
    ]
    for plain, ready, size in pairs:
        error = lengths((plain - ready)[conditioned])
        within(error, 1e-12 * size[conditioned], "prepared against plain")


def check_push_score(record: Record) -> None:
    """push_score gives x, ln|det J| and J⁻ᵀ(s − ∇ ln|det J|)."""
    x, log_det, score = record["pushed"]
    within(lengths(x - record["x"]), 1e-10 * (1 + lengths(record["x"])), "x of push_score")
    within(log_det - record["log_det"], 1e-9, "log-det of push_score")
    right = np.asarray(record["given"]["scores"]) - record["log_det_gradient"]
    expected = np.linalg.solve(np.swapaxes(record["jacobian"], 1, 2), right[..., None])[..., 0]
    size = 1 + lengths(right) * np.maximum(record["z_inverse_norm"], 1)
    within(lengths(score - expected), 1e-8 * size + EPS * 100 * record["z_cond"] * size, "score")


def check_implicit_gradients(record: Record) -> None:
    """∂f⁻¹/∂x = J⁻¹ and ∂f⁻¹/∂θ = −J⁻¹ ∂f/∂θ."""
    cond, conditioned = record["z_cond"], _well_conditioned(record)
    # A second derivative that is large carries the rounding error of z_back into both.
    with np.errstate(over="ignore"):
        shift = record["z_inverse_norm"] * lengths(record["z_back"] - record["z"]) * (1 + cond)
    if not conditioned.any():
        return
    product = np.einsum("nij,njk->nik", record["inverse_jacobian"], record["jacobian"])
    away = lengths(product - np.eye(product.shape[-1]))
    bound = 1e-8 + 1e3 * EPS * cond + shift
    within(away[conditioned], bound[conditioned], "J⁻¹ J − I")
    jacobian = record["jacobian"][conditioned]
    carried = np.linalg.solve(jacobian, record["theta_forward"][conditioned][..., None])[..., 0]
    size = 1 + (lengths(record["theta_forward"]) * record["z_inverse_norm"])[conditioned]
    error = lengths(record["theta_inverse"][conditioned] + carried)
    within(error, bound[conditioned] * size, "∂f⁻¹/∂θ")


def check_gradient_modes(record: Record) -> None:
    """Forward- and reverse-mode derivatives of both directions are the same linear map."""
    for name, cond in (("forward", record["z_cond"]), ("inverse", record["w_cond"])):
        one, other = record[f"{name}_forward_mode"], record[f"{name}_reverse_mode"]
        tolerance = (1e-9 + 100 * EPS * cond) * (1 + np.abs(one))
        within(one - other, tolerance, f"{name}: reverse against forward mode")


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
        scale = 1 + lengths(exact) + 1e-3 * lengths(record[key])
        within(lengths(numeric - exact), tolerance * scale, f"derivative of {name}, {key}")


def check_context(record: Record) -> None:
    """Every coordinate that the map moves depends on the context, in both directions."""
    moves = np.abs(record["x"] - record["z"]).max(0) > 0
    assert moves.any(), "the map moves nothing"
    reach = np.abs(record["by_context"]).max(axis=(0, 2))
    back = np.abs(record["inverse_by_context"]).max(axis=(0, 2))
    assert (reach[moves] > 1e-6).all(), f"outputs that ignore the context: {reach}"
    assert (back[moves] > 1e-6).all(), f"inverse outputs that ignore the context: {back}"


def check_no_context(bijection: Bijection, key: Any, context_shape: tuple[int, ...]) -> None:
    """A bijection without a context gives the same numbers whatever context it is handed."""
    z = jax.random.normal(key, bijection.shape)

    @jit
    def both(bijection: Bijection, z: Any, context: Any) -> Any:
        calls = (bijection.forward_and_log_det, bijection.inverse_and_log_det)
        return [(call(z), call(z, context)) for call in calls]

    for alone, given in both(bijection, z, jnp.ones(context_shape)):
        assert all(np.array_equal(a, b) for a, b in zip(alone, given, strict=True))


def check_eager(record: Record) -> None:
    """Without jit and vmap the numbers are the same."""
    bijection, given = record["bijection"], record["given"]
    row = 5
    context = None if given["context"] is None else given["context"][row]
    x, log_det = bijection.forward_and_log_det(given["points"][row], context)
    w, w_log_det = bijection.inverse_and_log_det(given["data"][row], context)
    forward = 1e-12 * (1 + record["z_cond"][row]) * (1 + lengths(record["x"])[row])
    inverse = 1e-12 * (1 + record["w_cond"][row]) * (1 + lengths(record["y"])[row])
    assert np.abs(x - record["x"][row]).max() <= forward
    assert abs(log_det - record["log_det"][row]) <= forward
    assert np.abs(w - record["w"][row]).max() <= inverse
    assert abs(w_log_det - record["w_log_det"][row]) <= inverse
    assert np.shape(log_det) == np.shape(w_log_det) == ()


def check_dtypes(bijection: Bijection) -> None:
    """Results have the dtype of the input, log-dets included, and the shape of the event."""
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

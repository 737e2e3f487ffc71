"""The S-log gate: the paper's formula, no gate at all, and its straight continuation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import as_float32

from thalweg.bijections import SLogGate


def _gate(raw, **options):
    gate = SLogGate((1,), **options)
    return eqx.tree_at(lambda g: g.raw.free, gate, jnp.array([raw]))


@pytest.mark.parametrize("raw", [-3.0, 0.0, 2.0])
def test_the_formula(raw):
    gate, alpha = _gate(raw), np.log1p(np.exp(raw))
    for z in (-2.5, -1e-3, 0.0, 1e-6, 0.7, 3.0):
        x, log_det = gate.forward_and_log_det(jnp.array([z]))
        np.testing.assert_allclose(x[0], np.sign(z) * np.log1p(alpha * abs(z)) / alpha, rtol=1e-13)
        np.testing.assert_allclose(log_det, -np.log(1 + alpha * abs(z)), atol=1e-14)
        back, _ = gate.inverse_and_log_det(x)
        np.testing.assert_allclose(back[0], z, rtol=1e-13)


@pytest.mark.parametrize("raw", [-20.0, -100.0, -800.0])
def test_a_small_alpha_is_no_gate(raw):
    """In value and in derivatives, where log1p(αz)/α is all cancellation."""
    gate, alpha = _gate(raw), np.log1p(np.exp(raw))
    z = jnp.array([1.7])
    np.testing.assert_allclose(gate.forward(z), z, rtol=1e-7)
    np.testing.assert_allclose(gate.inverse(z), z, rtol=1e-7)
    for call, sign in (("forward", -1), ("inverse", 1)):
        slope = eqx.filter_grad(lambda g, c=call: getattr(g, c)(z)[0])(gate).raw.free[0]
        np.testing.assert_allclose(slope, sign * 1.7**2 / 2 * alpha, rtol=1e-6)


def test_series_and_formula_meet():
    """Values and derivatives on both sides of where the series ends."""
    gate = _gate(jnp.log(jnp.expm1(1.0)))  # α = 1
    for v in (0.00999, 0.01001):
        values = {"forward": [np.log1p(v), 1 / (1 + v), -1 / (1 + v) ** 2]}
        values["inverse"] = [np.expm1(v), np.exp(v), np.exp(v)]
        for call, expected in values.items():

            def curved(z, call=call):
                return getattr(gate, call)(z[None])[0]

            for derive, value in zip((lambda f: f, jax.grad, _second), expected, strict=True):
                np.testing.assert_allclose(derive(curved)(jnp.array(v)), value, rtol=1e-9)


def _second(function):
    return jax.grad(jax.grad(function))


def test_the_origin_is_a_middle():
    """ln|det| = −ln(1 + α|z|) has a kink at 0; its derivative there is neither side's."""
    for call in ("forward_and_log_det", "inverse_and_log_det"):
        assert jax.grad(lambda z, c=call: getattr(_gate(0.0), c)(z)[1])(jnp.zeros(1)) == 0


def test_beyond_the_bend_it_is_straight():
    gate = as_float32(_gate(5.0, max_log_scale=2.0))
    x = jnp.array([1e6], jnp.float32)  # e^(αx) is beyond any float
    z, log_det = gate.inverse_and_log_det(x)
    assert z.dtype == log_det.dtype == jnp.float32
    np.testing.assert_allclose(log_det, 2.0, rtol=1e-6)
    np.testing.assert_allclose(gate.forward(z), x, rtol=1e-6)
    # C¹ at the bend.
    gate = _gate(5.0, max_log_scale=2.0)
    bend = float(gate.inverse(jnp.array([2.0 / float(jax.nn.softplus(5.0))]))[0])
    sides = [bend * (1 - 1e-9), bend * (1 + 1e-9)]
    slopes = [jax.jacfwd(gate.forward)(jnp.array([z]))[0, 0] for z in sides]
    np.testing.assert_allclose(slopes, np.exp(-2.0), rtol=1e-7)

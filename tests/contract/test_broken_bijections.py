"""Each check of the contract fails on a formula broken on purpose.

A check that has never been seen to fail may check nothing. Every entry is a real class with one
error, and the check that must object.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from contract import checks, probes
from contract.broken_bijections import (
    BROKEN,
    DIM,
    AffineWidens,
    ScalingUnsigned,
    Thawed,
    without_constraint,
)
from thalweg.bijections import FixedRotation

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BROKEN)
def test_broken_bijections_are_caught(name):
    build, check = BROKEN[name]
    bijection = probes.randomised(build(jax.random.key(0)), jax.random.key(1), 0.5)
    record = probes.examine(bijection, jax.random.key(2))
    with pytest.raises(AssertionError):
        getattr(checks, check)(record)


@pytest.mark.parametrize("check", ["check_log_det", "check_round_trips"])
def test_missing_constraint_is_caught(check):
    record = probes.examine(without_constraint(jax.random.key(0)), jax.random.key(2))
    with pytest.raises(AssertionError):
        getattr(checks, check)(record)


def test_unsigned_scaling_is_caught():
    scaling = ScalingUnsigned((DIM,))
    scaling = eqx.tree_at(lambda s: s.raw.free, scaling, jnp.array([-1.0, -0.5, 0.2]))
    with pytest.raises(AssertionError):
        checks.check_log_det(probes.examine(scaling, jax.random.key(0)))


def test_reverse_mode_that_differs_is_caught():
    @jax.custom_vjp
    def half(v):
        return v

    half.defvjp(lambda v: (v, None), lambda _, g: (0.5 * g,))
    record = {
        f"{name}_{mode}_mode": jnp.full(4, 0.5 if mode == "reverse" else 1.0)
        for name in ("forward", "inverse")
        for mode in ("forward", "reverse")
    }
    assert jax.grad(half)(1.0) == 0.5  # what such a record comes from
    with pytest.raises(AssertionError):
        checks.check_gradient_modes({**record, "z_cond": jnp.ones(4), "w_cond": jnp.ones(4)})


def test_widened_dtype_is_caught():
    with pytest.raises(AssertionError, match="log-det"):
        checks.check_dtypes(AffineWidens((DIM,)))


def test_thawed_leaf_is_caught():
    rotation = FixedRotation(DIM, key=jax.random.key(0))
    thawed = eqx.tree_at(lambda r: r.matrix, rotation, Thawed(rotation.matrix.value))
    z = jnp.arange(1.0, DIM + 1)
    checks.check_frozen(rotation, lambda b: jnp.sum(b.forward(z) ** 3))
    with pytest.raises(AssertionError, match="gradient"):
        checks.check_frozen(thawed, lambda b: jnp.sum(b.forward(z) ** 3))

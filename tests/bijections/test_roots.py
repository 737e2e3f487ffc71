"""Numerical inverses: they widen, report failure, and differentiate implicitly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import probes
from contract.bijections import make
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.bijections.roots import solve_fixed_point, solve_increasing


def _cubic(target, lower, upper, **options):
    lower, upper = jnp.asarray(lower, jnp.float64), jnp.asarray(upper, jnp.float64)
    return solve_increasing(lambda a: a**3 + a - target, lower, upper, **options)


_cubic_jit = jax.jit(_cubic)


@settings(max_examples=100, deadline=None)
@given(root=st.floats(-1e3, 1e3), lower=st.floats(-1e4, 1e4), width=st.floats(1e-6, 1e4))
def test_the_bracket_is_only_where_the_search_starts(root, lower, width):
    """Wherever the interval lies, the root found is the root and not an end of the interval."""
    solved = _cubic_jit(root**3 + root, lower, lower + width)
    assert solved.converged
    np.testing.assert_allclose(solved.value, root, rtol=1e-9, atol=1e-9)


def test_a_root_at_an_end_of_the_bracket():
    for lower, upper in ((2.0, 5.0), (-3.0, 2.0), (2.0, 2.0)):
        solved = _cubic_jit(10.0, lower, upper)
        assert solved.converged
        assert abs(solved.value - 2) < 1e-14


def test_failure_is_reported_as_nan():
    solved = _cubic(1e6, 0.0, 1e3, max_iterations=2)
    assert not solved.converged
    assert np.isnan(solved.or_nan())
    # exp(a) never reaches -1: no bracket exists, however wide.
    nowhere = solve_increasing(lambda a: jnp.exp(a) + 1, jnp.array(-1.0), jnp.array(1.0))
    assert not nowhere.converged


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("level", [0, 3])
def test_every_planar_root_converges(dtype, level):
    """Steep tanh equations make plain Newton steps cycle inside the bracket.

    Both with and without the compiler's optimisations, which round tanh differently.
    """
    keys = jax.random.split(jax.random.key(0))
    slope = (jax.nn.softplus(3 * jax.random.normal(keys[0], (200_000,))) - 1).astype(dtype)
    target = (3 * jax.random.normal(keys[1], (200_000,))).astype(dtype)

    def solve(slope, target):
        reach = jnp.abs(slope)
        root = solve_increasing(
            lambda a: a + slope * jnp.tanh(a) - target,
            target - reach,
            target + reach,
            scale=jnp.abs(target) + reach,
        )
        return root.value, root.converged

    options = {"xla_backend_optimization_level": level}
    value, converged = jax.jit(jax.vmap(solve), compiler_options=options)(slope, target)
    assert converged.all(), f"{int((~converged).sum())} of {converged.size} did not converge"
    size = np.abs(target) + np.abs(slope)
    residual = np.abs(value + slope * jnp.tanh(value) - target) / size
    assert residual.max() <= 32 * jnp.finfo(dtype).eps


def test_increasing_differentiates_implicitly():
    def root(theta, widen):
        end = jnp.asarray(widen, jnp.float64)
        function = lambda a: theta[0] * a + jnp.tanh(theta[1] * a) - theta[2]  # noqa: E731
        return solve_increasing(function, end, end + 0.1).value

    theta = jnp.array([0.7, 1.3, 2.0])
    a = root(theta, 0.0)
    t = jnp.tanh(theta[1] * a)
    slope = theta[0] + theta[1] * (1 - t**2)
    expected = -jnp.array([a, a * (1 - t**2), -1.0]) / slope
    for derivative in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(derivative(root)(theta, 0.0), expected, rtol=1e-12)
        # Where the search starts has no derivative of its own.
        np.testing.assert_allclose(derivative(root, argnums=1)(theta, 0.5), 0, atol=1e-14)
    hessian = jax.jacfwd(jax.grad(root))(theta, 0.0)
    step = 1e-5 * jnp.eye(3)
    numeric = [
        (jax.grad(root)(theta + s, 0.0) - jax.grad(root)(theta - s, 0.0)) / 2e-5 for s in step
    ]
    np.testing.assert_allclose(hessian, np.array(numeric), atol=1e-7)


MATRIX = jnp.array([[0.4, -0.3, 0.1], [0.2, 0.3, 0.2], [-0.1, 0.2, -0.4]])


def _fixed_point(theta, **options):
    return solve_fixed_point(lambda x: jnp.tanh(MATRIX @ x + theta), jnp.zeros(3), **options)


def test_fixed_point_solves_and_reports():
    theta = jnp.array([0.5, -1.0, 2.0])
    solved = _fixed_point(theta)
    assert solved.converged
    np.testing.assert_allclose(solved.value, jnp.tanh(MATRIX @ solved.value + theta), atol=1e-14)
    assert np.isnan(_fixed_point(theta, max_iterations=2).or_nan()).all()
    # x ↦ 2x + 1 moves away from its fixed point.
    diverging = solve_fixed_point(lambda x: 2 * x + 1, jnp.zeros(2), max_iterations=50)
    assert not diverging.converged


def test_fixed_point_differentiates_implicitly():
    theta = jnp.array([0.5, -1.0, 2.0])
    x = _fixed_point(theta).value
    outer = jnp.diag(1 - x**2)
    expected = jnp.linalg.solve(jnp.eye(3) - outer @ MATRIX, outer)
    for derivative in (jax.jacfwd, jax.jacrev):
        found = jax.jit(derivative(lambda t: _fixed_point(t).value))(theta)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.slow
def test_no_point_of_many_ends_in_the_middle_of_its_bracket():
    """Rounding may put the last step outside the bracket: then its middle is not the answer."""
    bijection = make("deep_sigmoidal_autoregressive", jax.random.key(1), 5)
    bijection = probes.as_float32(probes.randomised(bijection, jax.random.key(2), 0.5))
    points = 100 * jax.random.normal(jax.random.key(0), (5, 2000), jnp.float32)
    back = jax.jit(lambda z: bijection.inverse(bijection.forward(z)))(points)
    np.testing.assert_allclose(back, points, atol=0.05)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_where_the_function_is_flat_no_root_is_seen(dtype):
    """Far above, rounding leaves no slope: the search must go on to where there is one."""

    def residual(t):
        return jnp.minimum(t + 2000, 0) + 1000

    found = solve_increasing(residual, jnp.asarray(-1, dtype), jnp.asarray(1, dtype), scale=1000.0)
    assert found.converged
    np.testing.assert_allclose(found.value, -3000, rtol=1e-5)

"""Supports: maps onto them, their inverses and determinants, in Stan's and NumPyro's forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg import supports
from thalweg.supports import as_support

# A support, a shape, and the places of x that are free.
CASES = {
    "real": ("real", (3,), None),
    "positive": ("positive", (2, 2), None),
    "greater_than(-2)": ("greater_than(-2)", (), None),
    "less_than(1.5)": ("less_than(1.5)", (3,), None),
    "unit_interval": ("unit_interval", (3,), None),
    "interval(-2, 5)": ("interval(-2, 5)", (3,), None),
    "simplex": ("simplex", (2, 4), lambda x: x[:, :-1]),
    "simplex of 2": ("simplex", (2,), lambda x: x[:-1]),
    "ordered": ("ordered", (4,), None),
    "ordered of 1": ("ordered", (1,), None),
    "positive_ordered": ("positive_ordered", (2, 3), None),
    "cholesky": ("cholesky", (3, 3), lambda x: x[jnp.tril_indices(3)]),
    "cholesky of 1": ("cholesky", (1, 1), None),
    "correlation_cholesky": ("correlation_cholesky", (4, 4), lambda x: x[jnp.tril_indices(4, -1)]),
}


@pytest.fixture(params=CASES, name="case")
def _case(request):
    name, shape, free = CASES[request.param]
    support = as_support(name)
    return support, shape, support.free(shape), (lambda x: x) if free is None else free


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.few(6)
def test_the_determinant_is_that_of_the_jacobian(case, scale):
    support, _, size, free = case
    u = scale * jax.random.normal(jax.random.key(0), size)

    def flat(numbers):
        return jnp.ravel(free(support.constrain(numbers.reshape(size), {})[0]))

    expected = jnp.linalg.slogdet(jax.jacobian(flat)(jnp.ravel(u)))[1]
    np.testing.assert_allclose(support.constrain(u, {})[1], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.few(8)
def test_points_lie_inside_and_come_back(case):
    support, shape, size, _ = case
    for seed in range(20):
        u = 2 * jax.random.normal(jax.random.key(seed), size)
        x, _ = support.constrain(u, {})
        assert x.shape == shape
        assert support.holds(x, {})
        np.testing.assert_allclose(support.unconstrain(x, {}), u, rtol=1e-7, atol=1e-7)


def test_points_outside_are_detected(case):
    support, shape, _, _ = case
    assert not support.holds(jnp.full(shape, jnp.nan), {})


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("positive", 0.0),
        ("unit_interval", 1.0),
        ("interval(0, 2)", -0.1),
        ("less_than(3)", 3.0),
        ("simplex", [0.5, 0.4]),
        ("simplex", [1.5, -0.5]),
        ("ordered", [1.0, 1.0]),
        ("positive_ordered", [-1.0, 1.0]),
        ("cholesky", [[1.0, 0.1], [0.0, 1.0]]),
        ("cholesky", [[-1.0, 0.0], [0.0, 1.0]]),
        ("correlation_cholesky", [[1.0, 0.0], [0.5, 0.5]]),
    ],
)
def test_edges_are_outside(name, x):
    assert not as_support(name).holds(jnp.asarray(x), {})


@settings(deadline=None, max_examples=30)
@given(st.floats(-700, 700))
def test_no_extreme_makes_a_nan(value):
    u = jnp.asarray(value)
    for name in ("positive", "unit_interval", "interval(-1, 3)", "less_than(0)"):
        x, log_det = as_support(name).constrain(u, {})
        assert not jnp.isnan(x) and jnp.isfinite(log_det)
    x, log_det = supports.correlation_cholesky.constrain(u[None], {})
    assert jnp.all(jnp.isfinite(x)) and jnp.isfinite(log_det)


def test_the_centre_of_a_simplex_is_at_nought():
    np.testing.assert_allclose(supports.simplex.constrain(jnp.zeros(4), {})[0], 0.2)


def test_correlations_have_a_unit_diagonal():
    factor, _ = supports.correlation_cholesky.constrain(jnp.array([0.3, -1.0, 2.0]), {})
    np.testing.assert_allclose(jnp.diagonal(factor @ factor.T), 1.0)


def test_bounds_may_depend_on_what_came_before():
    support = supports.interval(0.0, lambda before: 1 - before["a"])
    x, log_det = support.constrain(jnp.asarray(0.0), {"a": jnp.asarray(0.2)})
    np.testing.assert_allclose(x, 0.4)
    np.testing.assert_allclose(log_det, np.log(0.8 / 4))
    assert not support.holds(jnp.asarray(0.9), {"a": jnp.asarray(0.2)})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("positiv", "unknown support 'positiv' (did you mean 'positive'?)"),
        ("interval(0)", "takes 2 finite numbers"),
        ("interval(0, 1", "takes 2 finite numbers"),
        ("interval(2, 1)", "needs low < high"),
        ("greater_than(a)", "takes a finite number"),
        (3, "a support is a name or a Support, got 3"),
    ],
)
def test_what_is_no_support_is_refused(asked, says):
    with pytest.raises(ValueError) as caught:
        as_support(asked)
    assert says in str(caught.value)


HUGE = "9" * 400


@pytest.mark.parametrize(
    "asked",
    [
        *(f"interval(0,{HUGE})", f"greater_than({HUGE})", f"greater_than({'9' * 5000})"),
        *("interval(0, 1e999)", "less_than(-1e999)", "interval(0, nan)"),
        "interval(" + "(" * 5000 + "0, 1)",
    ],
    ids=range(7),
)
def test_t_bounds_of_four_hundred_digits_are_refused(asked):
    with pytest.raises(ValueError, match="finite number") as caught:
        as_support(asked)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("bound", [np.inf, np.nan, "0", None, 10**400])
def test_t_bounds_that_are_no_finite_numbers_are_refused(bound):
    for make in (supports.greater_than, supports.less_than, lambda b: supports.interval(0, b)):
        with pytest.raises(ValueError, match="a bound must be a finite number, or a function"):
            make(bound)


def test_t_bounds_beyond_float32_ask_for_float64():
    assert as_support("interval(0, 1e300)").high == 1e300
    with jax.enable_x64(False), pytest.raises(ValueError, match="more than float32 holds"):
        as_support("interval(0, 1e300)")


def test_names_are_read_as_they_are_written():
    for name in ("positive", "unit_interval", "interval(-2, 5)", "greater_than(-2)", "simplex"):
        assert str(as_support(name)) == name


@pytest.mark.parametrize(
    ("name", "shape"),
    [("simplex", ()), ("simplex", (1,)), ("ordered", ()), ("cholesky", (2, 3)),
     ("correlation_cholesky", (1, 1))],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(name, shape):
    with pytest.raises(ValueError, match="got shape"):
        as_support(name).free(shape)

"""The values and gradients that `check_target` refuses, and those it lets pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets.density_checks import POINTS, check, normal, sentence


@pytest.mark.parametrize(
    ("density", "said"),
    [
        (lambda x: None, "returned None; it must end in `return` and one number"),
        (lambda x: (normal(x), x), "returned a tuple of 2 values, not one"),
        (lambda x: [normal(x)] * 3, "returned a list of 3 values, not one"),
        (lambda x: {"log_p": normal(x)}, "returned an object of type dict, not one number"),
        (lambda x: "high", "returned an object of type str, not one number"),
        (
            lambda x: -0.5 * x**2,
            "returned an array of shape (2,) for one point of shape (2,); it must return one "
            "number; reduce it with jnp.sum?",
        ),
        (
            lambda x: normal(x)[None],
            "returned an array of shape (1,) for one point of shape (2,); it must return one "
            "number; reduce it with jnp.sum?",
        ),
        (
            lambda x: jnp.zeros((5, 2)),
            "returned an array of shape (5, 2) for one point of shape (2,); it must return one "
            "number",
        ),
        (
            lambda x: normal(x) + 0j,
            "returned a value of type complex128; it must return a real floating-point number",
        ),
        (
            lambda x: jnp.sum(x > 0),
            "returned a value of type int64; it must return a real floating-point number",
        ),
        (
            lambda x: x[0] > 0,
            "returned a value of type bool; it must return a real floating-point number",
        ),
    ],
)
def test_other_results_are_refused_by_their_kind(density, said):
    assert sentence(density) == f"the log density 'mine' {said}"


def test_nan_at_every_point():
    message = sentence(lambda x: jnp.sum(x) * jnp.nan)
    assert "is NaN at all 40 of the points tried, for example at x = (" in message
    assert f"x = ({POINTS[0, 0]:.4g}, {POINTS[0, 1]:.4g})" in message


def test_nan_at_more_than_half_of_the_points():
    bad = np.abs(POINTS)
    bad[:10] *= -1
    message = sentence(lambda x: jnp.log(-x[0]) + normal(x), bad)
    assert "is NaN at 30 of 40 of the points tried" in message
    assert message.endswith("return -jnp.inf outside its support")


def test_nan_at_a_few_points_is_marked_not_refused():
    few = np.abs(POINTS)
    few[:10] *= -1
    usable = check(lambda x: jnp.log(x[0]) + normal(x), few)
    np.testing.assert_array_equal(usable, few[:, 0] > 0)


def test_minus_infinity_everywhere():
    message = sentence(lambda x: jnp.where(x[0] > 100, normal(x), -jnp.inf))
    assert "is -inf at every point tried (40, for example x = (" in message
    assert (
        "give a start where it is finite with init=…, or shift and scale its coordinates" in message
    )


def test_a_bounded_support_is_marked_not_refused():
    usable = check(lambda x: jnp.where(x[0] > 0, normal(x), -jnp.inf))
    np.testing.assert_array_equal(usable, POINTS[:, 0] > 0)


def test_plus_infinity_anywhere():
    points = POINTS.copy()
    points[3] = 0
    message = sentence(lambda x: -jnp.log(jnp.sum(x**2)), points)
    assert message == (
        "the log density 'mine' is +inf at x = (0, 0); a log density must be below +inf everywhere"
    )


def test_gradients_that_are_nan_where_the_value_is_finite():
    def trap(x):
        # Finite everywhere, but the branch not taken poisons the derivative for x < 0.
        return jnp.where(x[0] > 0, -jnp.sqrt(x[0]), x[0]) - x[1] ** 2

    message = sentence(trap)
    assert "but its gradient is (nan, " in message
    negative = int(np.sum(POINTS[:, 0] < 0))
    assert f"({negative} of 40 of the finite points)" in message


def test_a_gradient_that_is_nan_at_the_origin_alone_is_marked_not_refused():
    points = POINTS.copy()
    points[5] = 0
    usable = check(lambda x: -jnp.sqrt(jnp.sum(x**2)), points)
    assert not usable[5]
    assert usable.sum() == 39


def test_a_constant():
    assert sentence(lambda x: 0.0) == (
        "the log density 'mine' has gradient exactly 0 at all 40 finite points tried: it is "
        "constant there, or its gradient is stopped"
    )


def test_a_step():
    message = sentence(lambda x: -jnp.sum(jnp.round(x)))
    assert "it is piecewise constant there" in message


def test_one_point_at_a_mode_is_no_reason_to_refuse():
    assert check(normal, np.zeros((1, 2))).all()


def test_a_coordinate_it_does_not_depend_on():
    message = sentence(lambda x: -(x[0] ** 2))
    assert message == (
        "the log density 'mine' does not depend on x2 at any of 40 points tried; such a density "
        "cannot be normalised, so is dim = 2 right?"
    )


def test_densities_that_cannot_be_differentiated():
    def density(x):
        # A loop of unknown length has no reverse-mode derivative.
        return jax.lax.while_loop(lambda v: v < 10, lambda v: v + jnp.sum(x**2), jnp.sum(x))

    message = sentence(density)
    assert "cannot be differentiated by JAX: ValueError: Reverse-mode" in message

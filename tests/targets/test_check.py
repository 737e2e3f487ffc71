"""Every sentence of `check_target`, and what it lets pass."""

import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets import Target, check_target, from_function, get

POINTS = np.random.default_rng(0).normal(size=(40, 2))


def normal(x):
    return -0.5 * jnp.sum(x**2)


def check(density, points=POINTS, dim=2):
    return check_target(Target("mine", dim, density), points)


def sentence(density, points=POINTS):
    with pytest.raises(ValueError) as caught:
        check(density, points)
    message = str(caught.value)
    assert message.startswith("the log density 'mine' ")
    assert "\n" not in message
    return message


def here(function):
    return function.__code__.co_firstlineno + 1


def test_a_good_density_marks_every_point_usable():
    usable = check(normal)
    assert usable.dtype == bool
    assert usable.shape == (40,)
    assert usable.all()


def test_it_is_traced_and_so_compiled_once():
    calls = []

    def density(x):
        calls.append(1)
        return normal(x)

    check(density)
    assert len(calls) == 1


def test_an_error_of_the_users_code_is_told_with_its_line():
    def density(x):
        raise KeyError("sigma")

    assert sentence(density) == (
        f"the log density 'mine' raised KeyError: 'sigma' (line {here(density)} of test_check.py), "
        "called with one point of shape (2,)"
    )


def test_a_density_written_for_batches_is_told_it_gets_one_point():
    def density(x):
        return -0.5 * (x[:, 0] ** 2 + x[:, 1] ** 2)

    message = sentence(density)
    assert "raised IndexError" in message
    assert message.endswith("called with one point of shape (2,)")


def test_a_long_message_is_cut_to_its_first_line():
    def density(x):
        raise RuntimeError("a" * 1000 + "\nsecond line")

    assert len(sentence(density)) < 400


def test_an_error_without_a_message_is_told_by_its_name():
    def density(x):
        assert x is None
        raise NotImplementedError

    assert " raised AssertionError" in sentence(density)


class _Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(7), "SystemExit: 7"),
        (BaseException("own"), "BaseException: own"),
        (GeneratorExit(), "GeneratorExit"),
        (_Wordless(), "_Wordless"),
    ],
)
def test_whatever_a_density_raises_is_one_sentence(error, said):
    def density(x):
        raise error

    assert f"raised {said} (line {here(density)} of test_check.py)" in sentence(density)


def test_ctrl_c_within_a_density_is_ctrl_c():
    def density(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(density)


def test_the_models_own_words_are_told():
    target = Target("mine", 2, lambda x: -jnp.inf, explain=lambda points: "times must be sorted")
    with pytest.raises(ValueError) as caught:
        check_target(target, np.ones((4, 2)))
    assert str(caught.value) == (
        "the log density 'mine' rejects all 4 points tried; it says: times must be sorted; "
        "where it accepts a point, start there with init=…"
    )


@pytest.mark.parametrize("dim", [10**9, 10**400, 10**6000], ids=range(3))
def test_more_parameters_than_memory_are_refused_at_once(dim):
    with pytest.raises(ValueError, match=r"and this machine has .*; is dim right\?"):
        from_function(normal, dim)
    with pytest.raises(ValueError, match="and this machine has"):
        from_function(normal, parameters={"a": (dim,)})
    with pytest.raises(ValueError, match="and this machine has"):
        get("standard_normal", dim=dim)


def test_an_error_in_a_partial_has_its_line_too():
    def density(x, scale):
        raise ZeroDivisionError("no scale")

    assert f"(line {here(density)} of" in sentence(functools.partial(density, scale=0))


def test_an_error_in_a_callable_object_has_its_line_too():
    class Density:
        def __call__(self, x):
            raise ZeroDivisionError("no scale")

    assert f"(line {here(Density.__call__)} of" in sentence(Density())


@pytest.mark.parametrize("convert", [np.exp, math.exp, float, operator.methodcaller("item")])
def test_numpy_and_math_are_named_as_the_cause(convert):
    def density(x):
        return -jnp.sum(x) * convert(x[0])

    message = sentence(density)
    assert "cannot be traced by JAX" in message
    assert message.endswith("write it with jax.numpy")
    assert f"(line {here(density)} of test_check.py)" in message


def test_a_branch_on_a_value_is_named_as_the_cause():
    def density(x):
        return normal(x) if x[0] > 0 else 2 * normal(x)

    message = sentence(density)
    assert "it branches on a value with if, while, and, or" in message
    assert message.endswith("write it with jnp.where")


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


def test_densities_that_fail_when_they_run():
    def explode(x):
        raise RuntimeError("the table is empty")

    @jax.custom_vjp
    def table(x):
        shape = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(explode, shape, x, vmap_method="sequential")

    table.defvjp(lambda x: (table(x), x), lambda x, g: (g * x,))
    assert "failed when it ran: " in sentence(table)


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.zeros(2), np.zeros((0, 2))])
def test_points_of_the_wrong_shape(points, unchecked_shapes):
    with pytest.raises(ValueError, match=r"points must have shape \(n, 2\), n > 0, got \("):
        check(normal, points)


def test_the_name_of_a_function_is_its_own():
    assert from_function(normal, 2).name == "normal"
    assert from_function(normal, 2, "posterior").name == "posterior"


@pytest.mark.parametrize("dim", [0, -1, 1.5, "2", True])
def test_a_function_needs_a_dimension(dim):
    with pytest.raises(ValueError, match="dim must be a whole number of at least 1"):
        from_function(normal, dim)
    with pytest.raises(ValueError, match="a function needs dim="):
        from_function(normal)


def test_other_objects_than_functions_are_refused():
    with pytest.raises(ValueError, match="the log density must be a function, got an int"):
        from_function(3, 2)

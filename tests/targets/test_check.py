"""Errors of a density's code in one sentence of `check_target`, and its arguments."""

import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets.density_checks import check, normal, sentence

from thalweg.targets import Target, check_target, from_function, get


def here(function):
    return function.__code__.co_firstlineno + 1


def test_a_good_density_marks_every_point_usable():
    usable = check(normal)
    assert usable.dtype == bool
    assert usable.shape == (40,)
    assert usable.all()


def test_it_is_traced_twice():
    calls = []

    def density(x):
        calls.append(1)
        return normal(x)

    check(density)
    assert len(calls) == 2  # for its faults, and for all programs
    check(density)
    assert len(calls) == 4


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

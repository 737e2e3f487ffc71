"""Densities that differ by their data alone are one program; all others differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.precision import computing_in
from thalweg.targets import Target, from_function
from thalweg.targets.traced import density_of, traced
from thalweg.targets.work import work_of
from thalweg.tree import default_float

DATA = [np.random.default_rng(seed).normal(size=(7, 2)) for seed in range(2)]
POINT = np.array([0.3, -0.7])


def trace(function, dim=2):
    return traced(function, dim, np.dtype(default_float()))


def plain(data):
    return lambda x: -0.5 * jnp.sum((data @ x) ** 2) - jnp.sum(x**2)


def numbers(data):
    scale = float(np.exp(data[0, 0]))
    return lambda x: -0.5 * jnp.sum((x / scale - 3 * scale) ** 2) - jnp.log(scale)


def library(data):
    return lambda x: jnp.sum(jax.nn.log_sigmoid(data @ x)) - jnp.logaddexp(x[0], data[0, 0])


def compiled(data):
    inner = jax.jit(lambda x: jnp.sum(data @ x))
    return lambda x: -(inner(x) ** 2) - jnp.sum(x**2)


def loops(data):
    def density(x):
        first = jax.lax.scan(lambda c, row: (c - (row @ x) ** 2, None), jnp.sum(-(x**2)), data)[0]
        return first + jax.lax.cond(x[0] > 0, lambda: data[0] @ x, lambda: x[1])

    return density


def named(data):
    def density(p):
        return -jnp.sum((data @ p["at"]) ** 2) / p["scale"] - 3 * jnp.log(p["scale"])

    return from_function(
        density, parameters={"at": (2,), "scale": ()}, supports={"scale": "positive"}
    ).log_density


@pytest.mark.parametrize("make", [plain, numbers, library, compiled, loops, named])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_new_data_of_one_shape_are_arguments_of_one_program(make, precision):
    dim = 3 if make is named else 2
    with computing_in(precision):
        own = [make(data) for data in DATA]
        found = [trace(one, dim) for one in own]
        assert found[0].program is found[1].program
        at = jnp.asarray(np.resize(POINT, dim))
        for mine, its in zip(own, found, strict=True):
            for function in (lambda f: f, jax.grad, jax.hessian):
                np.testing.assert_allclose(function(its)(at), function(mine)(at), rtol=2e-5)


@pytest.mark.parametrize(
    "pair",
    [
        (lambda x: jnp.sum(x), lambda x: jnp.max(x)),
        (lambda x: x[0] ** 2, lambda x: x[0] ** 3),
        (lambda x: x[0] * x[0] - x[1], lambda x: x[0] * x[1] - x[1]),
        (lambda x: jnp.where(x[0] > 0.5, x[0], x[1]), lambda x: jnp.where(x[0] > 0.6, x[0], x[1])),
        (lambda x: jnp.sum(x**2.5), lambda x: jnp.sum(x**1.5)),
        (lambda x: jnp.sum(x * np.ones(2)), lambda x: jnp.sum(x * np.ones(1))),
        (
            lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c + x[0], 0.0),
            lambda x: jax.lax.fori_loop(0, 4, lambda i, c: c + x[0], 0.0),
        ),
    ],
    ids=["operation", "power", "operand", "threshold", "exponent", "shape", "turns"],
)
def test_different_programs_differ(pair):
    first, second = (trace(one) for one in pair)
    assert first.program is not second.program
    for mine, its in zip(pair, (first, second), strict=True):
        np.testing.assert_allclose(its(jnp.asarray(POINT)), mine(jnp.asarray(POINT)), rtol=1e-6)


def test_a_rule_for_a_derivative_that_holds_data_is_its_own_program():
    """The data of a rule are in no trace of the value: sharing it would give wrong gradients."""

    def make(slope):
        @jax.custom_jvp
        def function(x):
            return jnp.sum(x)

        function.defjvp(lambda p, t: (jnp.sum(p[0]), slope * jnp.sum(t[0])))
        return function

    def make_reverse(slope):
        @jax.custom_vjp
        def function(x):
            return jnp.sum(x)

        function.defvjp(lambda x: (jnp.sum(x), x), lambda x, c: (c * slope * jnp.ones_like(x),))
        return function

    for maker in (make, make_reverse):
        two, three = (trace(maker(slope)) for slope in (2.0, 3.0))
        assert two.program is not three.program
        assert jax.grad(two)(jnp.ones(2)).tolist() == [2.0, 2.0]
        assert jax.grad(three)(jnp.ones(2)).tolist() == [3.0, 3.0]


def test_data_are_the_leaves_of_a_tree_and_the_program_is_its_structure():
    first, second = (trace(plain(data)) for data in DATA)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    shapes = [leaf.shape for leaf in jax.tree.leaves(first)]
    assert (7, 2) in shapes
    values = jax.jit(lambda density, x: density(x))
    for data, density in zip(DATA, (first, second), strict=True):
        at = jnp.asarray(POINT)
        np.testing.assert_allclose(values(density, at), plain(data)(at), rtol=1e-6)
    assert values._cache_size() == 1


def test_a_target_is_traced_once_in_each_precision():
    calls = []

    def density(x):
        calls.append(x.dtype)
        return -jnp.sum(x**2)

    target = Target("mine", 2, density)
    for _ in range(2):
        with computing_in("float32"):
            assert density_of(target)(jnp.ones(2)).dtype == jnp.float32
        with computing_in("float64"):
            assert density_of(target)(jnp.ones(2)).dtype == jnp.float64
    assert calls == [jnp.float32, jnp.float64]


def test_the_work_of_a_trace_is_that_of_its_function():
    function = loops(DATA[0])
    assert trace(function).work == work_of(function, 2, default_float())

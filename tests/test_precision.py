"""Blocks in a precision of their own."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.precision import computing_in, current_precision, in_own_precision, precision_of


class Fit:
    precision = "float64"

    @in_own_precision
    def draws(self, n):
        return {"x": jnp.full(n, 1 + 1e-12), "n": n}


def test_a_block_has_its_precision_and_the_process_keeps_its_own():
    assert current_precision() == "float64"  # of the suite
    with computing_in("float32"):
        assert current_precision() == "float32"
        assert jnp.zeros(2).dtype == jnp.float32
        with computing_in("float64"):
            assert jnp.zeros(2).dtype == jnp.float64
        assert jnp.zeros(2).dtype == jnp.float32
    assert jnp.zeros(2).dtype == jnp.float64


def test_other_threads_are_left_alone():
    seen = []
    with computing_in("float32"):
        thread = threading.Thread(target=lambda: seen.append(current_precision()))
        thread.start()
        thread.join()
    assert seen == ["float64"]


def test_one_compiled_function_serves_both_precisions():
    function = jax.jit(lambda x: x + 1e-12)
    assert float(function(jnp.ones(()))) > 1
    with computing_in("float32"):
        assert function(jnp.ones(())).dtype == jnp.float32
    assert float(function(jnp.ones(()))) > 1


def test_results_of_more_precision_come_as_numpy_arrays():
    assert isinstance(Fit().draws(3)["x"], jax.Array)
    with computing_in("float32"):
        found = Fit().draws(3)
    assert isinstance(found["x"], np.ndarray)
    assert found["x"].dtype == np.float64
    assert np.all(found["x"] > 1)
    assert found["n"] == 3


def test_the_precision_of_a_tree_does_not_depend_on_where_it_is_asked():
    tree = {"a": jnp.ones(2), "b": jnp.ones(2, jnp.float32), "n": 3}
    with computing_in("float32"):
        assert precision_of(tree) == "float64"
        assert precision_of({"b": tree["b"]}) == "float32"
        assert precision_of({}) == "float32"


def test_unknown_precisions_are_refused():
    with pytest.raises(ValueError, match="float32 or float64, got 'half'"), computing_in("half"):
        pass


def test_w3_numpy_arrays_that_a_function_closes_over_have_both_precisions():
    """JAX keeps the form that an array took first; data of float64 would stay rounded, or fail."""
    data = 1.0 + 1e-9 * np.arange(3.0)

    def total(x):
        return jnp.sum(data * x[0])

    function = jax.jit(total)
    for precision in ("float32", "float64", "float32", "float64"):
        with computing_in(precision):
            found = function(jnp.ones(1))
            assert found.dtype == precision
            assert jax.jit(lambda x: total(x))(jnp.ones(1)).dtype == precision
    assert float(found) == data.sum()

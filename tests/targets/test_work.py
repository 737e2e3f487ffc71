"""The work of a value, by its trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets.evaluator import BLOCK, BLOCK_OUTSIDE, Evaluator, _gradients
from thalweg.targets.map_points import MOST_BYTES, together
from thalweg.targets.work import TURNS, work_of


def of(log_density, dim=2):
    return work_of(log_density, dim, np.float32)


def test_it_grows_with_the_rows_of_data():
    def regression(rows):
        return of(lambda w: jnp.sum(jnp.logaddexp(0.0, jnp.ones((rows, 2)) @ w)))

    few, many = regression(1000), regression(1_000_000)
    assert 500 * few.numbers < many.numbers < 1500 * few.numbers
    assert 500 * few.size < many.size < 1500 * few.size
    assert many.dear
    assert not few.dear


def test_every_turn_of_a_loop_counts():
    def looped(x):
        return jax.lax.scan(lambda y, _: (jnp.sin(y), None), x, length=500)[0].sum()

    def until(x):
        return jax.lax.while_loop(lambda y: y[0] < 3, lambda y: y + 1, x).sum()

    assert 500 * 2 <= of(looped).numbers < 4 * 500 * 2
    assert TURNS * 2 <= of(until).numbers < 4 * TURNS * 2


@pytest.mark.parametrize("n", [100, 200])
def test_a_factorisation_is_dearer_than_its_result(n):
    def process(x):
        kernel = jnp.eye(n) * jnp.exp(x[0])
        return jnp.linalg.cholesky(kernel)[0, 0]

    assert of(process).numbers > n**3 / 16


def outside(x):
    like = jax.ShapeDtypeStruct((), x.dtype)
    return jax.pure_callback(lambda x: -np.sum(x**2, -1), like, x, vmap_method="expand_dims")


def test_code_outside_jax_is_seen_and_gets_small_blocks():
    seen = []

    def counted(x):
        def host(points):
            seen.append(points.shape)
            return -np.sum(points**2, -1)

        like = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(host, like, x, vmap_method="expand_dims")

    assert of(jax.jit(outside)).outside
    assert not of(lambda x: -jnp.sum(x**2)).outside
    Evaluator(counted).values(np.ones((3, 2)))
    assert seen == [(BLOCK_OUTSIDE, 2)]


def test_a_method_without_a_hash_has_work_too():
    class Model:
        __hash__ = None

        def log_density(self, x):
            return -jnp.sum(x**2)

    assert of(Model().log_density).numbers > 0


@pytest.mark.parametrize("rows", [1000, 100_000, 1_000_000])
def test_the_memory_of_a_block_is_bounded(rows):
    x, y = jnp.ones((rows, 6)), jnp.ones(rows)

    def logistic(w):
        eta = x @ w
        return jnp.sum(y * eta - jnp.logaddexp(0.0, eta))

    dtype = np.zeros(0).dtype
    size = min(BLOCK, together(logistic, 6, dtype))
    assert size * work_of(logistic, 6, dtype).size <= MOST_BYTES or size == 1
    compiled = _gradients.lower(logistic, np.ones((size, 6))).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 3 * MOST_BYTES

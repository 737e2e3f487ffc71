"""Points go through a density in blocks of bounded memory, and the numbers stay the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets import map_points as module
from thalweg.targets.map_points import map_points, together
from thalweg.targets.work import work_of

ROWS = np.random.default_rng(0).normal(size=(5000, 3))


def many_rows(x):
    return -jnp.sum(jnp.logaddexp(0.0, jnp.asarray(ROWS, x.dtype) @ x))


def small(x):
    return -jnp.sum(x**2)


def test_a_small_density_takes_many_points_and_a_large_one_few():
    assert together(small, 3, jnp.float64) >= 2**16
    assert 64 <= together(many_rows, 3, jnp.float64) <= 1024
    assert together(many_rows, 3, jnp.float32) == 2 * together(many_rows, 3, jnp.float64)


def test_one_point_is_always_taken(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    assert together(many_rows, 3, jnp.float64) == 1


def test_parts_of_a_program_count():
    """Rows within a loop, a branch or a compiled part are rows."""

    def looped(x):
        return jax.lax.fori_loop(0, 3, lambda _, s: s + jax.jit(many_rows)(x), 0.0)

    assert together(looped, 3, jnp.float64) <= together(many_rows, 3, jnp.float64)


@pytest.mark.parametrize("n", [1, 5, 8, 21])
def test_blocks_change_no_number(monkeypatch, n):
    x = jnp.asarray(np.random.default_rng(n).normal(size=(n, 3)))
    both = jax.value_and_grad(many_rows)
    whole = map_points(both, many_rows, x)
    monkeypatch.setattr(module, "MOST_BYTES", work_of(many_rows, 3, x.dtype).size * 8)
    parts = map_points(both, many_rows, x)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    made = str(jax.make_jaxpr(lambda x: map_points(both, many_rows, x))(x))
    assert ("scan" in made) == (n > 8)

"""Programs: what is part of their key, and how many a process keeps."""

import gc
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.compiling import KEPT, Program

MAPS = Path("/proc/self/maps")


def memory_maps() -> int:
    gc.collect()
    return len(MAPS.read_text().splitlines())


def counted():
    """A program of a density and a point, and the list of its traces."""
    traces: list[int] = []

    def function(density, x, scale=1.0):
        traces.append(1)
        return {"value": scale * density(x), "name": "a word"}

    return Program(function), traces


def test_arrays_are_traced_and_all_else_is_part_of_the_key():
    program, traces = counted()
    for shift in range(3):
        out = program(jnp.sum, jnp.arange(3.0) + shift)
        assert out["name"] == "a word"
        assert float(out["value"]) == 3 + 3 * shift
    assert float(program(jnp.sum, np.arange(3.0))["value"]) == 3.0  # those of NumPy are arrays too
    assert len(traces) == 1
    program(jnp.sum, jnp.arange(4.0))  # another shape
    program(jnp.prod, jnp.arange(4.0))  # another function
    assert float(program(jnp.sum, jnp.arange(3.0), scale=2.0)["value"]) == 6.0
    assert len(traces) == 4


def test_a_program_within_a_program_is_not_counted_as_one():
    program, traces = counted()
    program(jnp.sum, jnp.ones(2))
    jax.jit(lambda x: [program(jnp.sum, x[:n])["value"] for n in range(1, KEPT + 3)])(
        jnp.ones(KEPT + 3)
    )
    before = len(traces)
    program(jnp.sum, jnp.ones(2))
    assert len(traces) == before  # still there


def test_the_program_that_was_used_last_is_never_let_go_of():
    program, traces = counted()
    for n in range(1, 4 * KEPT):
        program(jnp.sum, jnp.ones(n))
        program(jnp.sum, jnp.ones(n))
        program(jnp.sum, jnp.ones(1))
        assert len(traces) == n


@pytest.mark.skipif(not MAPS.exists(), reason="needs Linux's list of memory maps")
def test_l8_programs_of_old_densities_are_let_go_of():
    program, traces = counted()
    counts = []
    for i in range(4 * KEPT):
        slope = jnp.full(5, float(i))
        program(lambda x, a=slope: jnp.sum(jnp.sin(a * x)), jnp.ones(5))
        if i % (KEPT + 1) == KEPT:
            counts.append(memory_maps())
    assert len(traces) == 4 * KEPT
    assert max(counts) - min(counts) <= 10  # each program has some eight


@pytest.mark.slow
@pytest.mark.skipif(not MAPS.exists(), reason="needs Linux's list of memory maps")
def test_l8_a_loop_of_inferences_of_new_densities_does_not_grow():
    counts = []
    for i in range(3 * (KEPT + 1)):
        y = jnp.linspace(0.0, 1.0 + i, 7)
        tw.infer(
            lambda x, y=y: -0.5 * jnp.sum((x[0] - y) ** 2) - 0.5 * jnp.sum(x**2),
            *(2,),
            steps=4,
            restarts=1,
            flow="mean_field",
            progress=False,
        )
        counts.append(memory_maps())
    third = KEPT + 1
    assert max(counts[third:]) <= 1.1 * max(counts[:third])

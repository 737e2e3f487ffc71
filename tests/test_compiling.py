"""Programs: what is part of their key, and how many a process keeps."""

import gc
import weakref
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.compiling import KEPT, Program, compile_ahead
from thalweg.precision import computing_in

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


def test_a_program_that_was_compiled_ahead_is_the_one_that_is_called():
    program, traces = counted()
    compile_ahead(program, jnp.sum, jnp.zeros(3))
    compile_ahead(program, jnp.sum, jnp.ones(3))  # of the same shape: there already
    assert len(traces) == 1
    for x in (jnp.arange(3.0), np.arange(3.0)):
        assert float(program(jnp.sum, x)["value"]) == 3.0
    assert len(traces) == 1
    assert float(program(jnp.sum, jnp.ones(4))["value"]) == 4.0
    assert len(traces) == 2


def test_another_precision_has_its_own_program():
    program = Program(lambda n: n * jnp.ones(()))
    with computing_in("float32"):
        compile_ahead(program, jnp.int32(3))
    with computing_in("float64"):
        assert program(jnp.int32(3)).dtype == jnp.float64
    with computing_in("float32"):
        assert program(jnp.int32(3)).dtype == jnp.float32


def test_what_fails_to_compile_ahead_is_compiled_by_the_call(monkeypatch):
    def fails(lowered, **options):
        raise RuntimeError("no room")

    program, _ = counted()
    with monkeypatch.context() as during:
        during.setattr(jax.stages.Lowered, "compile", fails)
        compile_ahead(program, jnp.sum, jnp.ones(2))
        _wait(program)
    assert float(program(jnp.sum, jnp.ones(2))["value"]) == 2.0


def _wait(program):
    for prepared in program._programs.values():
        prepared._thread.join()


def test_l8_an_inference_of_an_old_density_is_let_go_of():
    """Nothing of it stays: no program, and no cache that has it for a key."""
    seen = []
    for i in range(KEPT + 2):
        center = jnp.full(2, float(i))

        def density(x, center=center):
            return -0.5 * jnp.sum((x - center) ** 2)

        seen.append(weakref.ref(density))
        assert tw.infer(density, 2, progress=False).verdict == "trust"
        del density
    gc.collect()
    assert [one() for one in seen[:2]] == [None, None]


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

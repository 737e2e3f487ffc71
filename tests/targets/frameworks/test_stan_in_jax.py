"""A compiled Stan program within programs of XLA: derivatives in batches, new data, dropped models.

Compiling takes a minute or so, so what needs a program is marked slow.
"""

import gc
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.precision import computing_in
from thalweg.targets import from_stan
from thalweg.targets.frameworks.stan import compiled_model, program
from thalweg.targets.traced import density_of

PROGRAM = """
data {
  int N;
  vector[N] y;
}
parameters {
  vector[2] mu;
}
model {
  mu ~ normal(0, 1);
  y ~ normal(mu[1] + mu[2], 1);
  if (mu[1] > 50) reject("mu is too large");
  if (mu[1] < -50) target += y[N + 1];
}
"""
Y = np.array([1.0, 2.5, 0.5])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with a program, and the cache in which it is compiled."""
    try:
        program.stan_folder()
        program.find_compiler("the program")
    except ValueError as error:
        pytest.skip(str(error))
    place = tmp_path_factory.mktemp("stan")
    (place / "m.stan").write_text(PROGRAM)
    return place


@pytest.fixture
def make(cache, monkeypatch):
    """Return the target of some data, and its functions of NumPy arrays."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "cache"))

    def made(y=Y):
        target = from_stan(cache / "m.stan", {"N": len(y), "y": y})
        return target, target.explain.__self__

    return made


slow = pytest.mark.slow


@slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_and_derivatives_are_those_of_the_program_in_batches_of_any_depth(make, precision):
    target, model = make()
    density, tolerance = target.log_density, 1e-5 if precision == "float32" else 1e-12
    with computing_in(precision):
        u = jax.random.normal(jax.random.key(0), (3, 4, 5, 2))
        assert u.dtype == precision
        rows = np.asarray(u, np.float64).reshape(-1, 2)
        values, slopes = model.values_and_gradients(rows)
        np.testing.assert_array_equal(values, model.values(rows))
        expected = {"value": values, "grad": slopes, "hessian": model.hessians(rows)}
        functions = {"value": density, "grad": jax.grad(density), "hessian": jax.hessian(density)}
        for name, function in functions.items():
            for transform in (lambda f: f, jax.jit):
                found = transform(jax.vmap(jax.vmap(jax.vmap(function))))(u)
                assert found.dtype == precision
                found = found.reshape(expected[name].shape)
                np.testing.assert_allclose(found, expected[name], tolerance, tolerance)
        half = density(u[0, 0, 0].astype(jnp.float16))
        assert half.dtype == jnp.float16
        assert abs(float(half) - values[0]) < 0.1


@slow
def test_every_row_is_filled_by_whatever_number_of_threads(make):
    target, model = make(np.arange(20_000) / 20_000)  # enough work to be shared out
    values = jax.jit(jax.vmap(target.log_density))
    for n in (0, 1, 2, 31, 100):
        u = np.random.default_rng(n).normal(size=(n, 2))
        one_by_one = [model.values(row[None])[0] for row in u]
        np.testing.assert_array_equal(model.values(u), one_by_one)
        np.testing.assert_array_equal(values(u), one_by_one)


@slow
def test_points_that_are_rejected_or_fail(make):
    target, model = make()
    density = jax.jit(jax.value_and_grad(target.log_density))
    for dtype in ("float32", "float64"):
        value, slope = density(jnp.array([60.0, 0.0], dtype))
        assert value == -jnp.inf and not slope.any()
        for bad in (-60.0, np.nan):
            value, slope = density(jnp.array([bad, 0.0], dtype))
            assert jnp.isnan(value) and jnp.isnan(slope).all()
        curvature = jax.jit(jax.hessian(target.log_density))(jnp.array([60.0, 0.0], dtype))
        assert jnp.isnan(curvature).all()
    assert jnp.isneginf(target.log_density(jnp.array([0.0, 1e30], jnp.float32)))
    assert "mu is too large" in model.reason(np.array([[60.0, 0.0]]))
    assert model.failure(np.array([[60.0, 0.0]])) is None
    assert "index" in model.failure(np.array([[0.0, 0.0], [60.0, 0.0], [-60.0, 0.0]]))


@slow
def test_all_data_of_a_shape_have_one_program(make):
    (first, _), (second, other), (third, _) = make(), make(Y + 1), make(np.ones(7))
    ours, its = density_of(first), density_of(second)
    assert ours.program is its.program is density_of(third).program
    u = jnp.array([0.1, -0.2])
    for function in (lambda f: f, jax.grad, jax.hessian):
        np.testing.assert_allclose(function(its)(u), function(second.log_density)(u), rtol=1e-12)
    # Even models side by side are one call.
    both = jax.tree.map(lambda *parts: jnp.stack(parts), ours, its)
    found = jax.jit(jax.vmap(lambda density: density(u)))(both)
    np.testing.assert_allclose(found, [first.log_density(u), second.log_density(u)], rtol=1e-12)
    assert found[1] == other.values(np.asarray(u)[None])[0]


@slow
def test_a_model_lives_as_long_as_a_trace_of_it(make):
    target, _ = make()
    u = jnp.array([0.3, 0.4])
    expected = float(target.log_density(u))
    trace, jaxpr = density_of(target), jax.make_jaxpr(target.log_density)(u)
    number = int(trace.data[0][0])
    del target, _
    for _ in range(2 * compiled_model.KEPT):
        make(Y + 1)
        gc.collect()
    assert float(trace(u)) == expected
    assert float(jax.core.eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, u)[0]) == expected
    assert make(Y + 1)[1].number[0] > number  # none is given twice


@slow
def test_a_number_that_names_no_model_is_refused(make):
    target, model = make()
    density, u = density_of(target), jnp.array([0.3, 0.4])
    stale = jnp.array(model.number) + 0  # an array that no model lives by
    leaves, structure = jax.tree.flatten(density)
    at = [i for i, leaf in enumerate(leaves) if leaf is model.number]
    leaves[at[0]] = stale
    later = jax.tree.unflatten(structure, leaves)
    assert later(u) == density(u)
    library, number = model.library, int(stale[0])
    del target, model, density, leaves
    for _ in range(2 * compiled_model.KEPT):
        make(Y + 1)
        gc.collect()
    for function in (later, jax.grad(later), jax.hessian(later)):
        with pytest.raises(Exception, match="the Stan program is gone"):
            jax.block_until_ready(jax.jit(function)(u))
    with pytest.raises(ValueError, match="the Stan program is gone"):
        library.run("values", number, np.zeros((1, 2)), 1, np.zeros(1))
    with pytest.raises(Exception, match="of another shape"):
        jax.block_until_ready(library.call("values", make()[1].number, jnp.zeros(5), ()))


FITS = """
import json, os, sys
import jax, numpy as np
from jax import monitoring

compiled, missed = [], []
monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
)
monitoring.register_event_listener(
    lambda event, **_: missed.append(event) if event.endswith("cache_misses") else None
)
import thalweg as tw

for shift in map(float, sys.argv[1:]):
    target = tw.targets.from_stan("m.stan", {"N": 3, "y": [1.0 + shift, 2.5 + shift, 0.5 + shift]})
    compiled.clear(), missed.clear()
    posterior = tw.infer(target, progress=False)
    mean = np.mean(posterior.sample(20_000)["mu"], 0).tolist()
    print(json.dumps([len(compiled), len(missed), mean, posterior.verdict]))
"""


@slow
def test_new_data_compile_nothing_and_another_process_reads_the_programs(cache, tmp_path):
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "XDG_CACHE_HOME": str(cache / "cache"),
    }

    def fit(*shifts):
        done = subprocess.run(
            [sys.executable, "-c", FITS, *map(str, shifts)],
            env=os.environ | kept,
            cwd=cache,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        for shift, (_, _, mean, verdict) in zip(shifts, found, strict=True):
            assert verdict == "trust"
            np.testing.assert_allclose(mean, np.sum(Y + shift) / 7, atol=0.05)
        return [counts for *counts, _, _ in found]

    first, second = fit(0, -2)
    assert first[1] > 0
    assert second == [0, 0]
    ((_, missed),) = fit(3)
    assert missed == 0


def test_a_library_is_one_of_a_jaxlib(monkeypatch, tmp_path):
    """Its handlers are made of headers of jaxlib: that of another one is compiled anew."""
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    monkeypatch.setattr(program.platformdirs, "user_cache_dir", lambda name: str(tmp_path))
    read = program.Program(tmp_path / "m.stan", "// C++", {}, {}, ())
    digests = []

    class Known:
        def __init__(self, text):
            digests.append(text)

        def hexdigest(self):
            return "known"

    monkeypatch.setattr(program.hashlib, "sha256", Known)
    (tmp_path / "stan").mkdir()
    (tmp_path / "stan" / "known.so").touch()
    for version in ("1.0", "2.0"):
        monkeypatch.setattr(program.importlib.metadata, "version", lambda name, v=version: v)
        assert program.compile_library(read, tmp_path).name == "known.so"
    assert digests[0] != digests[1]
    assert all(b"XLA_FFI_DEFINE_HANDLER_SYMBOL" in text for text in digests)

"""Stan programs as targets: derivatives through callbacks, names and transforms, refusals."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets.frameworks.stan_programs import Bounded, Exponential, Quartic, Transformed

from thalweg.inference.arguments import as_target
from thalweg.inference.density_of_run import find_target
from thalweg.parameters import Parameters
from thalweg.targets import from_stan
from thalweg.targets.frameworks.stan import program
from thalweg.targets.frameworks.stan.agreement import check_agreement
from thalweg.targets.frameworks.stan.data import as_json, read_data
from thalweg.targets.frameworks.stan.density import through_callbacks
from thalweg.targets.frameworks.stan.parameters import StanParameters
from thalweg.targets.frameworks.stan.recognise import parameters_of

# --- derivatives ---------------------------------------------------------------------------------


def quartic(u):
    return -jnp.sum(u**4) / 4 - u[0] * u[1]


POINTS = jax.random.normal(jax.random.key(0), (5, 3))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.few(1)
def test_values_and_two_derivatives_are_those_of_the_density(transform):
    ours = through_callbacks(Quartic())
    for derive in (lambda f: f, jax.grad, jax.hessian, lambda f: jax.jacrev(jax.grad(f))):
        found = transform(jax.vmap(derive(ours)))(POINTS)
        np.testing.assert_allclose(found, jax.vmap(derive(quartic))(POINTS), atol=1e-12)


def test_a_batch_is_one_call_even_of_batches():
    outside = Quartic()
    many = jnp.stack([POINTS, POINTS + 1])
    jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(through_callbacks(outside)))))(many)
    assert outside.calls == [(10, 3)]
    outside.calls.clear()
    jax.jit(jax.vmap(jax.hessian(through_callbacks(outside))))(POINTS)
    assert outside.calls.count((5, 3)) == len(outside.calls) <= 2


def test_it_works_within_loops_and_in_float32():
    density = through_callbacks(Quartic())

    def step(u, _):
        value, slope = jax.value_and_grad(density)(u)
        return u + 0.01 * slope, value

    start = POINTS[0].astype(jnp.float32)
    _, values = jax.jit(lambda u: jax.lax.scan(step, u, None, 20))(start)
    assert values.dtype == jnp.float32
    assert values[-1] > values[0]
    np.testing.assert_allclose(values[0], quartic(start), rtol=1e-6)
    np.testing.assert_allclose(density(jnp.array([1, 2, 3])), quartic(jnp.array([1.0, 2, 3])))


def test_rejected_points_and_nan_go_through():
    density = through_callbacks(Quartic())
    value, slope = jax.value_and_grad(density)(jnp.array([6.0, 0, 0]))
    assert value == -jnp.inf and not slope.any()
    value, slope = jax.value_and_grad(density)(jnp.array([jnp.nan, 0, 0]))
    assert jnp.isnan(value) and jnp.isnan(slope[0])
    with pytest.raises(ValueError, match=r"a point has shape \(3,\), got \(2,\)"):
        density(jnp.zeros(2))


# --- names and transforms ------------------------------------------------------------------------


def test_maps_that_thalweg_knows_are_recognised_with_their_bounds():
    found = parameters_of(Bounded())
    assert type(found) is Parameters
    words = {name: str(support) for name, support in found.supports.items()}
    assert words == {
        "low": "greater_than(-1.25)",
        "high": "less_than(7)",
        "both": f"interval({1 / 3}, {1 / 3 + 2})",
        "order": "ordered",
        "last": "real",
    }
    again = Parameters.from_record(json.loads(json.dumps(found.to_record())))
    u = jax.random.normal(jax.random.key(1), (7,))
    for tree in (found.constrain(u)[0], again.constrain(u)[0]):
        row = np.concatenate([np.ravel(tree[name]) for name in words])
        np.testing.assert_allclose(row, Bounded().constrain(np.asarray(u)[None])[0], rtol=1e-12)


def test_other_maps_stay_those_of_the_program():
    model = Transformed()
    found = parameters_of(model)
    assert isinstance(found, StanParameters)
    assert found.coordinates[:4] == ("a", "u(b)", "u(c)", "M[0,0]")
    assert found.coordinates[4] == "M[1,0]"  # the columns of Stan's coordinates
    assert found.names[4] == "M[0,1]"  # the rows of ours
    u = jax.random.normal(jax.random.key(2), (4, 7))
    trees = found.trees(u)
    np.testing.assert_allclose(trees["M"][0], np.asarray(u[0, 3:]).reshape(2, 2).T)
    assert np.all(trees["c"] > trees["b"])
    np.testing.assert_allclose(found.unconstrain(trees), u, atol=1e-12)
    np.testing.assert_allclose(found.log_det(u), u[:, 1] + u[:, 2], atol=1e-12)
    one, log_det = jax.jit(jax.vmap(found.constrain))(u)
    np.testing.assert_allclose(one["M"], trees["M"])
    np.testing.assert_allclose(log_det, u[:, 1] + u[:, 2], atol=1e-12)
    np.testing.assert_allclose(found.from_rows(found.rows(trees))["M"], trees["M"])
    # Without the program they are unknown.
    assert Parameters.from_record(found.to_record()) is None


@pytest.mark.parametrize("model", [Exponential(), Transformed()], ids=["ours", "by Stan"])
def test_parameters_that_agree_with_stan_pass(model):
    check_agreement(model, parameters_of(model), "m.stan")


def test_a_density_that_is_not_stans_is_refused():
    model = Exponential(determinant=0.5)
    with pytest.raises(ValueError, match=r"the density made of m\.stan is not Stan's own: at u = "):
        check_agreement(model, parameters_of(model), "m.stan")


def test_numbers_in_another_order_than_stans_are_refused():
    class ByRows(Transformed):
        matrix = ("M.1.1", "M.1.2", "M.2.1", "M.2.2")
        constrained_names = unconstrained_names = ("a", "b", "c", *matrix)

    with pytest.raises(ValueError, match=r"parameter 'M' of m\.stan is not Stan's"):
        check_agreement(ByRows(), parameters_of(ByRows()), "m.stan")


def test_parameters_outside_their_supports_are_named():
    found = parameters_of(Transformed())
    tree = {"a": 0.0, "b": 2.0, "c": 1.0, "M": np.eye(2)}
    with pytest.raises(ValueError, match="c is below b"):
        found.unconstrain(tree)
    with pytest.raises(ValueError, match="'M' is missing"):
        found.unconstrain({"a": 0.0, "b": 2.0, "c": 3.0})
    with pytest.raises(ValueError, match="parameter 'M' has shape"):
        found.unconstrain({**tree, "M": np.eye(3)})


# --- data ----------------------------------------------------------------------------------------

INPUTS = {"N": {"type": "int", "dimensions": 0}, "y": {"type": "real", "dimensions": 1}}


def test_data_are_written_as_stan_reads_them():
    data = {"N": jnp.array(2), "y": np.array([1, 2], np.float32), "more": "ignored"}
    assert json.loads(as_json(data, INPUTS, "m.stan")) == {"N": 2, "y": [1.0, 2.0]}
    assert as_json({"N": 2.0, "y": []}, INPUTS, "m.stan") == '{"N": 2, "y": []}'
    assert as_json({"N": 1, "y": ["Inf"]}, INPUTS, "m.stan") == '{"N": 1, "y": [Infinity]}'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "the data lack 'N', which m.stan declares; there are none"),
        ({"N": 2, "x": 1}, "the data lack 'y', which m.stan declares; they have N, x"),
        ({"N": 2, "y": 1.0}, "'y' must be an array with one axis for m.stan, got shape ()"),
        ({"N": [2], "y": [1]}, "'N' must be a single number for m.stan, got shape (1,)"),
        ({"N": 2.5, "y": [1]}, "'N' must be whole numbers"),
        ({"N": np.nan, "y": [1]}, "'N' must be whole numbers"),
        ({"N": 2, "y": ["a", "b"]}, "'y' must be numbers"),
        ({"N": 2, "y": [[1], [1, 2]]}, "'y' is not rectangular"),
        ({"N": None, "y": [1]}, "'N' must be numbers"),
        ({"N": "2", "y": [1]}, "'N' must be numbers"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name(data, says):
    with pytest.raises(ValueError) as caught:
        as_json(data, INPUTS, "m.stan")
    assert says in str(caught.value)


def test_data_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bad.json").write_text("{'N': 2}")
    (tmp_path / "list.json").write_text("[1]")
    for data, says in (
        ("none.json", "no such data file: none.json"),
        ("bad.json", "is not JSON"),
        ("list.json", "must hold one JSON object"),
        ([1], "data must be a dictionary"),
    ):
        with pytest.raises(ValueError, match=says):
            read_data(data)


# --- refusals ------------------------------------------------------------------------------------


@pytest.fixture
def stan_file(tmp_path):
    path = tmp_path / "m.stan"
    path.write_text("parameters { real x; } model { x ~ normal(0, 1); }\n")
    return path


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("none.stan", "no such file: none.stan"),
        ("m.txt", "ends in .stan, got 'm.txt'"),
        (3, "a Stan program is the path of its file, got int"),
    ],
)
def test_files_that_are_none(file, says):
    with pytest.raises(ValueError, match=says):
        from_stan(file)


def test_without_the_package(monkeypatch, stan_file):
    monkeypatch.setitem(sys.modules, "httpstan", None)
    with pytest.raises(ValueError, match=r"needs httpstan: pip install 'thalweg\[stan\]'"):
        from_stan(stan_file)


def test_without_a_compiler(monkeypatch, stan_file, tmp_path):
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    monkeypatch.setattr(program.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "c"))
    read = program.Program(stan_file, "// C++", {}, {}, ())
    with pytest.raises(ValueError, match=r"no C\+\+ compiler: install g\+\+ \(Debian: apt"):
        program.compile_library(read, tmp_path)
    assert not (tmp_path / "c").exists()


def test_a_compiler_that_fails_leaves_nothing(monkeypatch, stan_file, tmp_path, capsys):
    monkeypatch.setattr(program.shutil, "which", lambda name: "/usr/bin/g++")
    monkeypatch.setattr(program.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "c"))
    failed = subprocess.CompletedProcess([], 1, "", "note\nm.cpp:1: fatal error: no header\n")
    monkeypatch.setattr(program.subprocess, "run", lambda *a, **k: failed)
    read = program.Program(stan_file, "// C++", {}, {}, ())
    with pytest.raises(ValueError, match=r"g\+\+ cannot compile m\.stan: .*no header"):
        program.compile_library(read, tmp_path)
    assert list((tmp_path / "c" / "stan").iterdir()) == []
    said = capsys.readouterr()
    assert said.out == "" and "compiling m.stan" in said.err


def test_messages_of_stanc_become_one_sentence():
    said = """Syntax error in 'm.stan', line 2, column 7 to column 8, parsing error:
   -------------------------------------------------
     1:  parameters { real x; }
     2:  model x
                ^
   -------------------------------------------------

Expected "{" after
"model".

"""
    assert program._one_sentence("m.stan", said) == (
        "m.stan is no Stan program: Syntax error in 'm.stan', line 2, column 7 to column 8, "
        'parsing error: Expected "{" after "model"'
    )


def test_data_go_with_a_stan_program_alone(tmp_path):
    with pytest.raises(ValueError, match="data go with a Stan program"):
        as_target("two_modes", None, data={"N": 1})
    with pytest.raises(ValueError, match="parameters and supports go with a function"):
        as_target("m.stan", None, {"x": ()})
    with pytest.raises(ValueError, match=r"no such file: m\.stan"):
        as_target("m.stan", None)


def test_a_run_says_which_file_is_not_what_it_was(stan_file):
    record = {"name": "m", "dim": 1, "reference": f"stan:{stan_file}"}
    record["options"] = {"data": None, "files": {str(stan_file): "another"}}
    with pytest.raises(ValueError, match=r"m\.stan has changed since the run"):
        find_target(record, trust_code=True)
    stan_file.unlink()
    with pytest.raises(ValueError, match=r"m\.stan, which the run was made from, is gone"):
        find_target(record, trust_code=True)

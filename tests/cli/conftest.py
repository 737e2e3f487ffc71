"""One finished run and one way to call the command line, shared by its tests."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from thalweg.cli.main import main

SOURCE = Path(__file__).parents[2] / "src"
DENSITIES = """
import jax.numpy as jnp
import numpy as np
from jax import lax


def bent(x):
    return -0.5 * jnp.sum(x**2) - 0.3 * (x[1] - 0.5 * x[0] ** 2) ** 2


def nan(x):
    return jnp.nan * jnp.sum(x)


def nowhere(x):
    return -jnp.inf + 0 * jnp.sum(x)


def infinite(x):
    return jnp.inf + 0 * jnp.sum(x)


def vector(x):
    return -0.5 * x**2


def raises(x):
    raise RuntimeError("something of the user's own")


def raises_key_error(x):
    return {}["missing"]


def stopped(x):
    return lax.stop_gradient(-0.5 * jnp.sum(x**2))


def callback(x):
    import jax

    return jax.pure_callback(lambda v: np.sum(v), jax.ShapeDtypeStruct((), x.dtype), x)


def numpy_only(x):
    return float(-0.5 * np.sum(np.square(x)))


def branches(x):
    return -x[0] if x[0] > 0 else x[0]


def two_values(x):
    return jnp.sum(x), jnp.sum(x)


def nothing(x):
    jnp.sum(x)


def wants_more(x):
    return x[5].astype(float) + jnp.dot(x, jnp.ones(7))


number = 3
"""


@pytest.fixture
def call(capfd):
    """Call the command line here; gives its exit code, stdout and stderr."""

    def run(*arguments):
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return SimpleNamespace(code=code, **capfd.readouterr()._asdict())

    return run


# How sentences about wrong usage begin: exit code 2. Bad input has 1.
MISUSED = ("Missing ", "No such ", "Invalid value for ", "name a study", "Got unexpected ")


@pytest.fixture
def refused(call):
    """Call the command line with bad input; gives the one sentence it must answer with."""

    def run(*arguments):
        answer = call(*arguments)
        assert answer.out == ""
        lines = [line for line in answer.err.splitlines() if not is_progress(line)]
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("thalweg: ")
        assert len(lines[0]) > 15
        sentence = lines[0].removeprefix("thalweg: ")
        assert answer.code == (2 if sentence.startswith(MISUSED) else 1), answer
        return sentence

    return run


def is_progress(line):
    return (
        ": step " in line
        or line.startswith("looking for a start")
        or " rows of " in line
        or re.match(r"\d/\d ", line) is not None
    )


@pytest.fixture(scope="session")
def environment():
    """Environment variables of a subprocess that imports this source tree."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture
def start(environment):
    """Start the command line in a process of its own; whatever still runs at the end is killed."""
    started = []

    def run(*arguments):
        code = "from thalweg.cli.main import script; script()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def densities(tmp_path):
    path = tmp_path / "densities.py"
    path.write_text(DENSITIES)
    return path


@pytest.fixture(scope="package")
def shared(tmp_path_factory):
    """A finished run of a density in a file: what was printed, and its folder."""
    place = tmp_path_factory.mktemp("shared")
    (place / "densities.py").write_text(DENSITIES)
    out, err = io.StringIO(), io.StringIO()
    arguments = f"infer {place}/densities.py:bent --dim 2 --flow planar --layers 2 --steps 120"
    more = f"--batch 16 --restarts 2 --seed 3 --json --out {place}/run"
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1]:
        code = main([*arguments.split(), *more.split()])
    assert code == 0, err.getvalue()
    return SimpleNamespace(folder=place / "run", out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def run(shared, tmp_path):
    """A copy of that run, to be used and damaged."""
    return Path(shutil.copytree(shared.folder, tmp_path / "run"))


@pytest.fixture
def edit(run):
    """Change the record of the run."""

    def change(function):
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(function(record)))

    return change

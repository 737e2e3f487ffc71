"""The public face: light to import, complete, and without side effects on JAX."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg

MOST_LINES = 300  # of a file of the package or of its tests


def run_python(code: str) -> str:
    """What a fresh interpreter prints, run on `code`."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_does_not_import_jax():
    code = "import sys, thalweg; print([m for m in ('jax', 'numpy', 'scipy') if m in sys.modules])"
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", thalweg.__all__)
def test_public_name_resolves(name):
    assert name in dir(thalweg)
    assert getattr(thalweg, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'thalweg' has no attribute 'nonsense'"):
        _ = thalweg.nonsense


def test_version_is_that_of_the_installed_package():
    assert importlib.metadata.version("thalweg") == thalweg.__version__


@pytest.mark.parametrize("package", ["thalweg", "thalweg_studies"])
def test_importing_every_module_changes_no_jax_setting(package):
    # `__main__` is left out: importing it runs the command line.
    code = f"""
import importlib, pkgutil
import jax
before = dict(jax.config.values)
import {package}
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([(k, v) for k, v in before.items() if jax.config.values[k] != v])
print(jax.config.jax_enable_x64)
"""
    assert run_python(code).split("\n") == ["[]", "False"]


@pytest.mark.parametrize("folder", [Path(thalweg.__file__).parent, Path(__file__).parent])
def test_no_file_is_longer_than_a_reader_takes_in(folder):
    files = folder.rglob("*.py")
    lengths = {str(file): len(file.read_text().splitlines()) for file in files}
    assert {file: count for file, count in lengths.items() if count > MOST_LINES} == {}

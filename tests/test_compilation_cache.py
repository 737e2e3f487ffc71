"""The compilation cache: used from Python too, in the user's folder, and no larger than a limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.compilation_cache import delete_oldest

FIT = """
import jax, jax.numpy as jnp
jax.numpy.zeros(3) + 1.0  # JAX has settled whether there is a cache
import thalweg as tw
tw.infer(lambda x: -0.5 * jnp.sum((x - 1.0) ** 2), 2, progress=False)
print(jax.config.jax_compilation_cache_dir)
"""


def fit(home, **environment):
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    done = subprocess.run(
        [sys.executable, "-c", FIT],
        env=cleaned | {"XDG_CACHE_HOME": str(home), "XLA_FLAGS": "", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout.strip()


def test_a_fit_from_python_keeps_its_programs(tmp_path):
    folder = fit(tmp_path)
    assert folder.startswith(str(tmp_path / "thalweg" / "compiled"))
    assert len(os.listdir(folder)) > 3


@pytest.mark.parametrize(
    ("name", "value"), [("THALWEG_CACHE", "off"), ("JAX_COMPILATION_CACHE_DIR", "chosen")]
)
def test_the_users_choice_stays(tmp_path, name, value):
    chosen = str(tmp_path / value) if name.startswith("JAX") else value
    folder = fit(tmp_path, **{name: chosen})
    assert folder == (chosen if name.startswith("JAX") else "None")
    assert not (tmp_path / "thalweg").exists()


def test_the_oldest_programs_go_first(tmp_path):
    for age in range(10):
        file = tmp_path / str(age % 2) / f"program-{age}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    delete_oldest(tmp_path, 1000)
    assert len(list(tmp_path.rglob("program-*"))) == 10
    delete_oldest(tmp_path, 800)
    assert {file.name for file in tmp_path.rglob("program-*")} == {
        f"program-{age}" for age in range(6)
    }


def test_files_that_another_process_deletes_meanwhile_are_passed_over(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(bytes(100))
    stat, gone = Path.stat, []

    def deleted(path, **options):
        if path.name == "one":
            gone.append(path)
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", deleted)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    delete_oldest(tmp_path, 50)
    assert gone
    assert not os.path.exists(tmp_path / "two")

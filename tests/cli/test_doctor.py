"""`thalweg doctor`: versions, devices, extras, and a cache that is tried."""

import json
import os
import subprocess
import sys

import pytest

import thalweg
from thalweg.cli import doctor


def run(home, *words, **environment):
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    done = subprocess.run(
        [sys.executable, "-m", "thalweg", "doctor", *words],
        env=cleaned | {"XDG_CACHE_HOME": str(home), "XLA_FLAGS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_cache_is_in_the_users_folder_and_hits(tmp_path):
    found = json.loads(run(tmp_path, "--json"))
    assert found["cache"]["hits"] is True
    assert found["cache"]["folder"].startswith(str(tmp_path))
    assert found["versions"]["thalweg"] == thalweg.__version__
    assert found["devices"]
    assert found["precision"] == "float32"


def test_a_cache_that_is_off_is_reported(tmp_path):
    assert "compilation cache: none" in run(tmp_path, THALWEG_CACHE="off")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(("hits", "words"), [(True, "works"), (False, "DOES NOT HIT")])
def test_what_the_trial_shows_is_said(hits, words):
    cache = {"folder": "/here", "programs": 3, "bytes": 2_000_000, "hits": hits}
    versions = dict.fromkeys(doctor.VERSIONS, "1.0")
    found = {"python": "3", "versions": versions, "devices": ["cpu"], "precision": "float32"}
    said = "\n".join(doctor.lines({**found, "cache": cache, "extras": {"stan": ["httpstan"]}}))
    assert words in said
    assert "3 programs, 2 MB in /here" in said
    assert "stan: pip install 'thalweg[stan]' (missing: httpstan)" in said


def test_extras_name_what_is_missing(monkeypatch):
    wanted = [
        "jax>=0.5",
        "nowhere-to-be-found>=1; extra == 'stan'",
        "numpy; python_version >= '3.11' and extra == \"tables\"",
        "absent-old; python_version < '3.11' and extra == 'tables'",
        "absent-too; extra == 'dev'",
    ]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: wanted)
    assert doctor.missing_of_extras() == {"stan": ["nowhere-to-be-found"], "tables": []}

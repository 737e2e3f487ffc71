"""Whether JAX can compute in this process: said in a sentence, not waited for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg as tw
from thalweg import backend

FORKS = """
import os, warnings
import jax.numpy as jnp
from thalweg import backend
warnings.simplefilter("ignore")  # JAX warns of the fork
{before}
if not os.fork():
    try:
        backend.check_backend()
    except ValueError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("used", [True, False])
def test_h_a_fork_after_jax_is_refused_and_does_not_hang(used):
    code = FORKS.format(before="jnp.ones(3).sum().block_until_ready()" if used else "")
    source = Path(backend.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert ("multiprocessing.get_context('spawn')" in done.stdout) == used


def test_h_every_job_looks_before_it_computes(monkeypatch):
    monkeypatch.setattr(backend, "_forked_in_use", True)
    for call in (
        lambda: tw.infer("u1", steps=1, progress=False),
        lambda: tw.DensityEstimator().fit([[1.0, 2.0]] * 20),
        lambda: tw.LatentGaussianModel(progress=False).fit([[0, 1]] * 20),
    ):
        with pytest.raises(ValueError, match="forked"):
            call()

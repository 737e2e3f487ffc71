"""kill −9 at random moments: a run that is resumed ends where an undisturbed one does."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import thalweg as tw

TIMES = int(os.environ.get("THALWEG_KILLS", "10"))
WORDS = {
    "infer": ["two_modes", "--flow", "planar", "--layers", 2, "--steps", 1000, "--batch", 16],
    "estimate": ["rows.csv", "--flow", "maf", "--layers", 2, "--members", 2, "--steps", 100],
    "fit-vae": [
        *("images.npy", "--flow", "planar", "--layers", 2, "--latent", 2, "--steps", 500),
        *("--draws", 20),
    ],
}


# Checkpoints are written all the time, so that there is one, or half of one, whenever it ends.
CODE = """
import importlib
train = importlib.import_module("thalweg.training.train")
train.CHECKPOINT_SECONDS = 0.05
from thalweg.cli.main import script
script()
"""


@pytest.fixture
def start(environment):
    """Start the command line in a process of its own."""

    def run(*words):
        command = [sys.executable, "-c", CODE, *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, **pipes)

    return run


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b,c", comments="")
    np.save(tmp_path / "images.npy", (rng.random((200, 4, 4)) < 0.5).astype(np.uint8))


def end(process):
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return json.loads(out)


def what_came_out(answer):
    """All that does not depend on how long it took, or where."""
    speeds = ("rows_per_second", "draws_per_second")
    apart = (*speeds, "seconds", "compile_seconds", "compile_seconds_total", "out")
    return {key: value for key, value in answer.items() if key not in apart}


def arrays(folder):
    from thalweg.files.tensors import read_tensors

    return {path.name: read_tensors(path)[0] for path in sorted(folder.glob("*.safetensors"))}


@pytest.mark.slow
@pytest.mark.parametrize("job", sorted(WORDS))
def test_killed_runs_end_where_an_undisturbed_one_does(start, tmp_path, data, job):
    words = [job, *WORDS[job], "--no-report", "--json", "--out"]
    start(*words, tmp_path / "warm").communicate()  # what is compiled is kept
    begun = time.monotonic()
    whole = end(start(*words, tmp_path / "whole"))
    lasts = time.monotonic() - begun
    rng, killed, resumed = np.random.default_rng(0), 0, 0
    for number in range(TIMES):
        folder = tmp_path / f"run-{number}"
        process = start(*words, folder)
        time.sleep(lasts * rng.uniform(0.1, 1.0))
        process.kill()
        process.communicate()
        killed += process.returncode != 0
        if not (folder / "run.json").exists():
            answer = end(start(*words, folder))  # killed before there was a run
        else:
            answer = end(start("resume", folder, "--json"))
            resumed += 1
        assert what_came_out(answer) == what_came_out(whole)
        for name, tensors in arrays(tmp_path / "whole").items():
            for key, value in tensors.items():
                np.testing.assert_array_equal(arrays(folder)[name][key], value)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
        tw.load(folder)
    assert resumed

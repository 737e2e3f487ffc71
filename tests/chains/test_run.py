"""Chains in run folders and on the command line."""

import json

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.main import main
from thalweg.inference import read_run

QUICK = ["--flow", "mean_field", "--steps", "20", "--restarts", "1", "--seed", "3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    out = ["--out", str(folder), "--refine", "independence", "--no-report", "--x64"]
    assert main(["infer", "banana", *QUICK, *out]) == 0
    return folder


def test_a_run_keeps_its_chains(run):
    posterior = read_run(run)
    chains = posterior.refined
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["request"]["refine"] == "independence"
    assert record["refined"]["verdict"] == chains.verdict
    assert record["refine_seconds"] > 0
    assert chains.draws.shape[0] == 32
    np.testing.assert_allclose(chains.diagnostics["rhat"].shape, (2,))
    assert "independence" in str(chains.summary())


def test_draws_of_the_chains_go_to_files(run, tmp_path, capsys):
    assert main(["sample", str(run), "-n", "50", "-o", "draws.csv", "--refined", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 50
    table = np.loadtxt("draws.csv", delimiter=",", skiprows=1)
    chains = read_run(run).refined
    np.testing.assert_allclose(table, np.asarray(chains.sample(50, seed=0)), rtol=1e-6)


def test_a_run_without_chains_says_how_to_get_some(run, tmp_path, capsys):
    posterior = read_run(run)
    posterior.refined = None
    posterior.save("plain")
    assert main(["sample", "plain", "-n", "5", "-o", "draws.csv", "--refined"]) == 1
    assert "--refine auto" in capsys.readouterr().err
    both = ["--refined", "--corrected"]
    assert main(["sample", str(run), "-n", "5", "-o", "draws.csv", *both]) == 1
    assert "not both" in capsys.readouterr().err


def test_chains_that_are_damaged_are_one_sentence(run, tmp_path):
    posterior = read_run(run)
    posterior.save("copy")
    tw.load("copy")
    (tmp_path / "copy" / "chains.safetensors").unlink()
    with pytest.raises(ValueError, match="chains"):
        read_run("copy")


def test_trust_needs_no_chains():
    posterior = tw.infer(
        "standard_normal", 2, flow="mean_field", refine="auto", steps=300, progress=False
    )
    assert posterior.verdict == "trust"
    assert posterior.refined is None

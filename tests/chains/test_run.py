"""Chains in run folders and on the command line."""

import dataclasses
import json

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.main import main
from thalweg.inference import read_run
from thalweg.jobs import find_job

INFER = find_job("infer")
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


def with_verdict(posterior, verdict):
    posterior.refined = dataclasses.replace(posterior.refined, verdict=verdict)
    return posterior


def test_w5_draws_of_a_refined_run_are_those_of_converged_chains(run):
    posterior = with_verdict(read_run(run), "trust")
    flat = posterior.refined.draws.reshape(-1, 2)
    draws = np.asarray(posterior.sample(500))
    assert draws.shape == (500, 2)
    known = {row.tobytes() for row in flat.astype(draws.dtype)}
    assert all(row.tobytes() in known for row in draws)
    everything = np.asarray(posterior.sample(len(flat)))
    np.testing.assert_allclose(np.sort(everything, 0), np.sort(flat, 0).astype(draws.dtype))
    with pytest.warns(UserWarning, match=f"the chains hold {len(flat)}: some repeat"):
        assert len(posterior.sample(len(flat) + 1)) == len(flat) + 1
    mean, error = posterior.expectation(lambda x: x[0])
    assert float(mean) == pytest.approx(flat[:, 0].mean(), rel=1e-6)
    assert error > 0
    table = posterior.summary()
    assert "R̂" in table.columns and "verdict on the flow: " in table.header
    assert "corrected mean" in posterior.flow_summary().columns
    # What is the flow's stays the flow's.
    of_flow = with_verdict(read_run(run), "reject")
    np.testing.assert_array_equal(posterior.resample(20), of_flow.resample(20))
    assert not np.any(np.isin(np.asarray(of_flow.sample(50))[:, 0], flat[:, 0]))
    assert "corrected mean" in of_flow.summary().columns


def test_w5_it_is_so_after_saving_and_loading_and_at_the_terminal(run, tmp_path, capsys):
    posterior = with_verdict(read_run(run), "trust")
    count = posterior.refined.count
    posterior.save("refined")
    again = tw.load("refined")
    np.testing.assert_array_equal(again.sample(30), posterior.sample(30))
    assert main(["sample", "refined", "-n", str(count + 5), "-o", "draws.npy"]) == 0
    said = capsys.readouterr()
    assert f"draws in draws.npy, of the chains, which hold {count}: some repeat" in said.out
    assert said.err == ""
    assert main(["sample", "refined", "-n", "30", "-o", "few.npy", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["draws_from"], answer["distinct"]) == ("chains", 30)
    np.testing.assert_allclose(np.load("few.npy"), posterior.sample(30), rtol=1e-6)


def test_w5_the_terminal_shows_the_draws_of_the_target_first(run):
    trusted = with_verdict(read_run(run), "trust")
    first, *rest = INFER.lines(trusted, run)
    assert "32 chains" in first and "R̂" in first
    assert rest.index("the flow alone:") > 0
    assert INFER.results(trusted, run)["draws_from"] == "chains"
    poor = with_verdict(read_run(run), "reject")
    first, *_ = INFER.lines(poor, run)
    assert "ELBO" in first and "have not converged" not in first
    assert INFER.results(poor, run)["draws_from"] == "flow"
    poor.refined, poor.verdict = None, "reject"
    lines = "\n".join(INFER.lines(poor, run))
    assert "thalweg infer banana" in lines and "--refine auto" in lines
    assert "posterior.refine()" in lines
    missed = {"missed_mass", "missed_mass_se", "missed_mass_status"}
    assert missed < INFER.results(poor, run).keys()


def test_trust_needs_no_chains():
    posterior = tw.infer(
        "standard_normal", 2, flow="mean_field", refine="auto", steps=300, progress=False
    )
    assert posterior.verdict == "trust"
    assert posterior.refined is None

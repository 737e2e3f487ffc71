"""The output and the files of every verb."""

import json
import subprocess
import sys

import numpy as np
import pytest

from thalweg.cli.main import VERBS
from thalweg.flows import names as flow_names
from thalweg.inference import read_run
from thalweg.targets import names as target_names

INFER_KEYS = {
    "job", "target", "flow", "layers", "dim", "parameters", "steps", "seconds",
    "compile_seconds", "elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat",
    "ess_fraction", "kl", "verdict", "out",
}  # fmt: skip


# --- infer ---------------------------------------------------------------------------------------


def test_infer_prints_one_json_object_with_every_key(shared):
    answer = json.loads(shared.out)  # fails on anything before or after the object
    assert answer.keys() >= INFER_KEYS
    assert shared.out.count("\n") == 1
    expected = {"job": "infer", "target": "bent", "flow": "planar", "layers": 2, "dim": 2}
    assert {key: answer[key] for key in expected} == expected
    assert (answer["steps"], answer["restarts"], answer["seed"]) == (120, 2, 3)
    assert answer["kl"] is None
    assert answer["verdict"] in {"trust", "reweight", "reject"}
    assert answer["out"] == str(shared.folder)
    assert answer["elbo"] <= answer["log_evidence"]
    assert answer["parameters"] == {"flow": 4 + 2 * 5, "gaussian": 5}[answer["kept"]]


def test_infer_reports_progress_on_stderr(shared):
    assert "gaussian: step" in shared.err
    assert "planar: step 120/120" in shared.err
    assert "\x1b" not in shared.err
    assert "Traceback" not in shared.err
    assert "Warning" not in shared.err


def test_a_run_folder_holds_the_page(shared):
    names = {path.name for path in shared.folder.iterdir()}
    assert {"run.json", "model.safetensors", "history.json", "report.html"} <= names
    assert not [name for name in names if name.startswith((".", "checkpoint"))]


def test_infer_without_json_prints_the_table_and_where_it_is(call, run):
    answer = call("resume", run)
    assert answer.code == 0
    assert answer.out.startswith("verdict ")
    assert "x1" in answer.out
    assert f"run   {run}" in answer.out


# --- the other verbs -----------------------------------------------------------------------------


def test_resume_of_a_complete_run_prints_its_results_again(call, run, shared):
    answer = call("resume", run, "--json")
    assert answer.code == 0
    assert {**json.loads(answer.out), "out": ""} == {**json.loads(shared.out), "out": ""}


@pytest.mark.parametrize("ending", ["csv", "npy", "npz"])
def test_sample_writes_the_draws_of_the_run(call, run, tmp_path, ending):
    file = tmp_path / f"draws.{ending}"
    answer = call("sample", run, "-n", 7, "-o", file, "--seed", 5, "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == {"n": 7, "file": str(file)}
    if ending == "csv":
        assert file.read_text().splitlines()[0] == "x1,x2"
        rows = np.loadtxt(file, delimiter=",", skiprows=1)
    else:
        held = np.load(file, allow_pickle=False)
        rows = held if ending == "npy" else np.stack([held["x1"], held["x2"]], 1)
    np.testing.assert_array_equal(rows, read_run(run).sample(7, 5))


def test_sample_corrected(call, run, tmp_path):
    answer = call("sample", run, "-n", 50, "-o", tmp_path / "d.npy", "--corrected", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["n"] == 50
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy"), read_run(run).resample(50))


@pytest.mark.parametrize("ending", ["csv", "npy", "npz"])
def test_score_of_what_sample_wrote(call, run, tmp_path, ending):
    draws, scores = tmp_path / f"draws.{ending}", tmp_path / "scores.npy"
    call("sample", run, "-n", 20, "-o", draws)
    answer = call("score", run, draws, "-o", scores, "--json")
    assert answer.code == 0
    printed, found = json.loads(answer.out), np.load(scores)
    posterior = read_run(run)
    np.testing.assert_allclose(found[:, 0], posterior.log_prob(posterior.sample(20)), rtol=1e-9)
    assert printed == {"rows": 20, "file": str(scores), "mean": pytest.approx(found.mean())}


def test_score_finds_columns_by_name(call, run, tmp_path):
    data, scores = tmp_path / "data.csv", tmp_path / "scores.csv"
    data.write_text("label,x2,x1\na,0.5,1.0\nb,-1,2\n\n")
    assert call("score", run, data, "-o", scores).code == 0
    expected = read_run(run).log_prob(np.array([[1.0, 0.5], [2.0, -1.0]]))
    np.testing.assert_allclose(np.loadtxt(scores, skiprows=1), expected, rtol=1e-9)
    assert scores.read_text().splitlines()[0] == "log_density"


def test_an_existing_file_is_replaced_only_with_force(call, run, tmp_path):
    file = tmp_path / "draws.csv"
    file.write_text("old\n" * 1000)
    assert call("sample", run, "-n", 2, "-o", file, "--force").code == 0
    assert len(file.read_text().splitlines()) == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_report_writes_one_page(call, run):
    (run / "report.html").unlink()
    answer = call("report", run, "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == {"file": str(run / "report.html")}
    assert (run / "report.html").read_text().startswith("<!")


@pytest.mark.parametrize(
    ("verb", "names", "keys"),
    [
        ("flows", flow_names, {"name", "paper", "sampling", "density", "best_for", "options"}),
        ("targets", target_names, {"name", "dim", "log_z", "description", "options"}),
    ],
)
def test_lists_name_every_entry(call, verb, names, keys):
    rows = json.loads(call(verb, "--json").out)
    assert [row["name"] for row in rows] == names()
    assert all(keys <= row.keys() for row in rows)
    text = call(verb).out
    assert all(name in text for name in names())


def test_reproduce_lists_the_studies(call):
    rows = json.loads(call("reproduce", "--list", "--json").out)
    assert rows
    assert all(row["name"] in call("reproduce", "--list").out for row in rows)


# --- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["infer", "--help"], ["--version"]])
def test_help_needs_no_jax(environment, arguments):
    code = f"""
import sys
from thalweg.cli.main import main
code = main({arguments!r})
heavy = [name for name in ("jax", "numpy", "matplotlib", "scipy") if name in sys.modules]
print("exit", code, "imported", heavy)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "exit 0 imported []", done.stderr


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_every_verb_has_help(call, verb):
    answer = call(*([verb] if verb else []), "--help")
    assert answer.code == 0
    assert answer.out.startswith("Usage: thalweg")
    assert answer.err == ""
    if verb is None:
        assert all(name in answer.out for name in VERBS)


def test_no_verb_at_all_shows_help(call):
    answer = call()
    assert "Usage: thalweg" in answer.out + answer.err
    assert "Traceback" not in answer.err

"""Files that commands leave: none where they were refused, options where they were stopped."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

TINY = ["--dim", "2", "--flow", "planar", "--layers", "2", "--steps", "120", "--batch", "16"]


@pytest.fixture
def table(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 2))
    path = tmp_path / "data.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b", comments="")
    return path


def status(folder):
    return json.loads((folder / "run.json").read_text())["status"]


# --- L6 ------------------------------------------------------------------------------------------


def test_a_refused_estimate_leaves_no_folder(refused, table, tmp_path):
    for out in ("run", "a/b/c"):
        refused("estimate", table, "--columns", "a,typo", "--out", out)
        refused("estimate", table, "--marginal", "typo=positive", "--out", out)
    refused("estimate", table, "--columns", "typo")
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_folder_that_was_there_stays(refused, table, tmp_path):
    (tmp_path / "run").mkdir()
    refused("estimate", table, "--columns", "typo", "--out", "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_refused_encoding_leaves_no_folder(refused, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((12, 4, 4), np.uint8))
    for words in (
        ["--latent", "0"],
        ["--layers", "0"],
        ["--prior", "typo"],
        ["--test-images", "0"],
    ):
        refused("fit-vae", "images.npy", *words, "--out", "run")
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]


@pytest.mark.parametrize("error", [ValueError("late"), RuntimeError("late"), SystemExit(7)])
def test_a_fit_that_fails_at_once_leaves_nothing(call, tmp_path, monkeypatch, error):
    def fails(*_):
        assert status(tmp_path / "a" / "run") == "running"
        raise error

    monkeypatch.setattr("thalweg.inference.pipeline.find_start", fails)
    assert call("infer", "standard_normal", *TINY, "--out", "a/run").code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_failed_run_may_be_used_again(call, table, tmp_path):
    # A run that was killed with a typing error in its request, and then resumed.
    from thalweg.runs import write_record

    request = {"data": str(table), "columns": ["typo"], "context": None, "test_fraction": 0.1}
    request |= {"missing": "error", "seed": 0, "options": {}}
    (tmp_path / "run").mkdir()
    from thalweg.runs import environment

    record = {"job": "estimate", "request": request, "environment": environment()}
    write_record(tmp_path / "run", {**record, "status": "running"})
    assert call("resume", "run").code == 1
    assert status(tmp_path / "run") == "failed"
    words = ["--flow", "planar", "--layers", 2, "--steps", 5, "--members", 1, "--no-report"]
    corrected = call("estimate", table, *words, "--out", "run", "--x64")
    assert corrected.code == 0, corrected.err
    assert status(tmp_path / "run") == "complete"


def test_a_failed_run_keeps_its_checkpoint(tmp_path):
    from thalweg.runs import CHECKPOINT, give_up, open_folder, write_record

    folder = open_folder(tmp_path / "run")
    write_record(folder, {"status": "running"})
    (folder / CHECKPOINT).write_bytes(b"hours of work")
    give_up(folder, {"job": "infer"})
    assert status(folder) == "failed"
    with pytest.raises(ValueError, match="already holds a run"):
        open_folder(folder)
    assert (folder / CHECKPOINT).read_bytes() == b"hours of work"


# --- L7 ------------------------------------------------------------------------------------------


def test_resume_keeps_no_report(call, table, tmp_path, monkeypatch):
    from thalweg.density import job

    def stopped(*_, **__):
        raise KeyboardInterrupt

    words = ["--flow", "planar", "--layers", 2, "--steps", 5, "--members", 1]
    for out, asked in (("with", []), ("without", ["--no-report"])):
        with monkeypatch.context() as patched:
            patched.setattr(job, "_results", stopped)
            assert call("estimate", table, *words, *asked, "--x64", "--out", out).code == 130
        assert status(tmp_path / out) == "interrupted"
        assert call("resume", out).code == 0
    assert (tmp_path / "with" / "report.html").exists()
    assert not (tmp_path / "without" / "report.html").exists()


@pytest.mark.slow
def test_paths_survive_a_module_that_changes_the_folder(call, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moves.py").write_text(
        "import os, jax.numpy as jnp\n"
        "os.chdir('elsewhere')\n"
        "def f(x):\n"
        "    return -0.5 * jnp.sum(x**2)\n"
    )
    words = ["--steps", "20", "--no-report", "--json"]
    answer = call("infer", "moves.py:f", *TINY, *words, "--out", "here/run")
    assert answer.code == 0, answer.err
    assert status(tmp_path / "here" / "run") == "complete"
    assert json.loads(answer.out)["out"] == "here/run"
    assert os.listdir(tmp_path / "elsewhere") == []
    record = json.loads((tmp_path / "here" / "run" / "run.json").read_text())
    assert record["target"]["reference"] == f"{tmp_path / 'moves.py'}:f"


@pytest.mark.parametrize("verb", ["sample", "score"])
def test_files_are_replaced_only_with_force(call, refused, run, tmp_path, verb):
    (tmp_path / "data.csv").write_text("x1,x2\n1,2\n")
    (tmp_path / "out.csv").write_text("a week of work")
    words = ["-n", 3] if verb == "sample" else ["data.csv"]
    assert "--force" in refused(verb, run, *words, "-o", "out.csv")
    assert (tmp_path / "out.csv").read_text() == "a week of work"
    assert call(verb, run, *words, "-o", "out.csv", "--force").code == 0
    assert (tmp_path / "out.csv").read_text() != "a week of work"


def test_scores_never_replace_the_scored_file(refused, run, tmp_path):
    (tmp_path / "data.csv").write_text("x1,x2\n1,2\n")
    (tmp_path / "same.csv").symlink_to("data.csv")
    os.link(tmp_path / "data.csv", tmp_path / "twin.csv")
    for file in ("data.csv", "same.csv", "twin.csv", Path("..") / tmp_path.name / "data.csv"):
        assert "being read" in refused("score", run, "data.csv", "-o", file, "--force")
    assert (tmp_path / "data.csv").read_text() == "x1,x2\n1,2\n"


def test_a_device_is_not_replaced_even_with_force(refused, run, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for file in ("pipe.csv", "folder.csv"):
        refused("sample", run, "-n", 3, "-o", file, "--force")
    assert (tmp_path / "pipe.csv").is_fifo()

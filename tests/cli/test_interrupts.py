"""Ctrl-C and kill in the middle of a run, in processes of their own."""

import json
import signal

import pytest

# Long enough to be caught in the middle, and over within seconds.
STEPS = 30_000
TARGET = "two_modes"
TINY = ["--flow", "planar", "--layers", 2, "--steps", STEPS, "--batch", 4, "--restarts", 1]


def wait_for(process, text):
    """Read stderr up to the first line that holds `text`."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}: {''.join(seen)}")


def finish(process):
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def status(folder):
    return json.loads((folder / "run.json").read_text())["status"]


@pytest.fixture(scope="module")
def results():
    """ELBOs of runs that were stopped in different ways and must agree."""
    return {}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_resumed_to_its_end(start, tmp_path, results, how):
    folder = tmp_path / "run"
    process = start("infer", TARGET, *TINY, "--json", "--out", folder)
    wait_for(process, "planar: step")
    process.send_signal(how)
    code, out, err = finish(process)
    assert out == ""
    if how == signal.SIGINT:
        assert code == 130
        assert status(folder) == "interrupted"
        assert err.splitlines()[-1].startswith("thalweg: ")
        assert f"thalweg resume {folder}" in err
        assert (folder / "checkpoint.safetensors").is_file()
    else:
        assert status(folder) == "running"
        # What a kill in the middle of a write leaves.
        (folder / ".checkpoint.safetensors.k1ll3d").write_bytes(b"half")
    code, out, err = finish(start("resume", folder, "--json"))
    assert code == 0, err
    if how == signal.SIGINT:
        assert "going on from step" in err
    answer = json.loads(out)
    assert answer["steps"] == STEPS
    assert answer["verdict"] in {"trust", "reweight", "reject"}
    assert status(folder) == "complete"
    names = {path.name for path in folder.iterdir()}
    assert "report.html" in names
    # However it was stopped, the run ends at the same place.
    assert results.setdefault("elbo", answer["elbo"]) == answer["elbo"]
    assert not [name for name in names if name.startswith((".", "checkpoint"))]


def test_ctrl_c_before_the_flow_starts(start, tmp_path):
    folder = tmp_path / "run"
    process = start("infer", TARGET, *TINY, "--out", folder)
    wait_for(process, "gaussian: step")
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, err
    assert out == ""
    assert "planar: step" not in err
    assert status(folder) == "interrupted"
    assert "resume" in err


def test_resume_imports_a_density_only_with_trust_code(call, run, edit):
    edit(lambda record: {**record, "status": "interrupted"})
    assert "--trust-code" in call("resume", run).err
    assert status(run) == "interrupted"
    answer = call("resume", run, "--json", "--trust-code")
    assert answer.code == 0, answer.err
    assert status(run) == "complete"


def test_resume_refuses_a_damaged_checkpoint_in_one_sentence(call, run, edit, densities):
    found = {"reference": f"{densities}:bent"}
    edit(lambda r: {**r, "status": "interrupted", "target": {**r["target"], **found}})
    (run / "checkpoint.safetensors").write_text("half a checkpoint")
    answer = call("resume", run, "--json", "--target", f"{densities}:bent")
    assert answer.code == 1
    assert answer.out == ""
    assert "checkpoint.safetensors" in answer.err.splitlines()[-1]
    assert answer.err.count("thalweg: ") == 1
    assert status(run) != "complete"


def test_resume_without_the_file_of_the_density_is_refused(call, run, edit):
    gone = {"reference": None}
    edit(lambda r: {**r, "status": "interrupted", "target": {**r["target"], **gone}})
    answer = call("resume", run)
    assert answer.code == 1
    assert answer.err.startswith("thalweg: ")
    assert "cannot be found again" in answer.err
    assert answer.err.count("\n") == 1

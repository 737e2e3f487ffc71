"""Nothing that a run folder names is run by reading it: code comes from the caller."""

import json
import shutil

import numpy as np
import pytest

import thalweg as tw
from thalweg.targets import Target

MALICIOUS = """
from pathlib import Path
Path(__file__).with_name("executed").write_text("")
import jax.numpy as jnp
def bent(x):
    return -jnp.sum(x**2)
"""


@pytest.fixture
def strangers(run, densities, edit):
    """A run folder with a file of code in it, which its record names as the density."""
    (run / "model.py").write_text(MALICIOUS)
    found = {"reference": f"{run}/model.py:bent", "files": {}}
    edit(lambda r: {**r, "target": {**r["target"], **found}})
    return run


def executed(folder):
    return (folder / "executed").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["report", "RUN"],
        ["sample", "RUN", "-n", 5, "-o", "draws.csv"],
        ["sample", "RUN", "-n", 5, "-o", "draws.csv", "--corrected"],
        ["sample", "RUN", "-n", 5000, "-o", "draws.csv", "--corrected"],
        ["score", "RUN", "rows.csv", "-o", "scores.csv"],
        ["resume", "RUN"],
    ],
)
def test_no_verb_runs_code_from_a_folder(call, strangers, tmp_path, command):
    (tmp_path / "rows.csv").write_text("x1,x2\n0,0\n")
    answer = call(*[strangers if word == "RUN" else word for word in command])
    assert not executed(strangers)
    if 5000 in command:
        assert answer.code == 1
        assert "--target" in answer.err
        assert "--trust-code" in answer.err
        assert answer.err.count("\n") == 1
    else:
        assert answer.code == 0, answer.err


def test_reading_in_python_runs_nothing(strangers):
    posterior = tw.load(strangers)
    posterior.sample(3)
    posterior.resample(3)
    posterior.summary()
    assert not executed(strangers)
    with pytest.raises(ValueError, match=r"chains need .*trust_code=True"):
        posterior.refine()
    assert not executed(strangers)


def test_an_unfinished_run_asks_for_its_density(call, strangers, edit):
    edit(lambda r: {**r, "status": "interrupted"})
    answer = call("resume", strangers)
    assert answer.code == 1
    assert not executed(strangers)
    assert f"--target {strangers}/model.py:bent" in answer.err
    assert "--trust-code" in answer.err


def test_trusted_code_is_run_and_compared_with_the_run(call, strangers):
    answer = call("sample", strangers, "-n", 5, "-o", "d.csv", "--corrected", "--trust-code")
    assert executed(strangers)
    assert answer.code == 1
    assert "has changed since" in answer.err


def test_names_of_classes_import_nothing(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('executed').write_text('')\n")
    monkeypatch.syspath_prepend(tmp_path)
    from thalweg.files.tensors import write_tensors
    from thalweg.serialization import FORMAT

    for name in ("evil.Evil", "evil", "os.system", "thalweg.cli.main"):
        spec = {"module": name, "fields": {}}
        words = {"format": FORMAT, "spec": json.dumps(spec)}
        write_tensors(tmp_path / "m.safetensors", {}, words)
        with pytest.raises(ValueError, match="not known here"):
            tw.load(tmp_path / "m.safetensors")
    assert not executed(tmp_path)


def test_the_density_of_a_run_is_given_on_the_command_line(call, run, densities):
    more = ["sample", run, "-n", 3000, "--corrected", "--json"]
    given = call(*more, "-o", "a.npy", "--target", f"{densities}:bent", "--dim", 2)
    assert given.code == 0, given.err
    assert json.loads(given.out)["distinct"] > 100
    assert call(*more, "-o", "b.npy", "--trust-code").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))
    shown = call("sample", run, "-n", 30, "--corrected", "-o", "c.npy")
    assert "distinct" in shown.out


def test_a_density_is_given_in_python(run, densities):
    def other(x):
        return -0.5 * (x**2).sum()

    whole = tw.load(run, trust_code=True)
    again = tw.load(run, whole.target)
    np.testing.assert_array_equal(whole.resample(20), again.resample(20))
    assert isinstance(again.target, Target)
    with pytest.raises(ValueError, match="has changed since"):
        tw.load(run, other)
    with pytest.raises(ValueError, match="has 3 parameters, and that of"):
        tw.load(run, Target("t", 3, other))
    with pytest.raises(ValueError, match="goes with a run folder"):
        tw.load(run / "model.safetensors", other)


def test_ctrl_c_prints_the_whole_resume_command(run, edit, tmp_path):
    from thalweg.cli.run import resume_sentence

    assert resume_sentence(run).endswith(f"thalweg resume {run} --trust-code")
    edit(lambda r: {**r, "target": {**r["target"], "reference": "built-in"}})
    assert resume_sentence(run).endswith(f"thalweg resume {run}")
    assert resume_sentence(tmp_path / "nowhere").endswith("nowhere")


# --- what a run was made from --------------------------------------------------------------------


@pytest.fixture
def run_of_model(shared, tmp_path):
    """A run and the file it was made from, both to be changed."""
    folder = shutil.copytree(shared.folder, tmp_path / "run")
    model = shutil.copy(shared.folder.parent / "densities.py", tmp_path / "densities.py")
    record = json.loads((folder / "run.json").read_text())
    (digest,) = record["target"]["files"].values()
    record["target"]["files"] = {str(model): digest}
    record["target"]["reference"] = f"{model}:bent"
    (folder / "run.json").write_text(json.dumps(record))
    return folder, tmp_path / "densities.py"


def test_correcting_by_a_model_that_was_edited_is_refused(call, run_of_model):
    folder, model = run_of_model
    model.write_text(model.read_text().replace("0.3 *", "3.0 *"))
    more = ["sample", folder, "-n", 2000, "-o", "d.csv", "--corrected"]
    for how in (["--trust-code"], ["--target", f"{model}:bent"]):
        answer = call(*more, *how)
        assert answer.code == 1
        assert "densities.py has changed since" in answer.err
        assert answer.err.count("\n") == 1


def test_a_moved_model_is_accepted(call, run_of_model, tmp_path):
    folder, model = run_of_model
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(model, tmp_path / "elsewhere")
    more = ["sample", folder, "-n", 2000, "-o", "d.csv", "--corrected"]
    assert "is gone" in call(*more, "--trust-code").err
    assert call(*more, "--target", f"{moved}:bent").code == 0


def test_resuming_with_a_model_that_was_edited_is_refused(call, run_of_model):
    folder, model = run_of_model
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    model.write_text(model.read_text() + "\n# a comment\n")
    for how in (["--trust-code"], ["--target", f"{model}:bent"]):
        answer = call("resume", folder, *how)
        assert answer.code == 1
        assert "densities.py has changed since" in answer.err

"""Damaged run folders: every verb refuses them in one sentence."""

import json

import pytest

READERS = {
    "sample": ["-n", 3, "-o", "draws.csv"],
    "score": ["data.csv", "-o", "scores.csv"],
    "report": [],
    "resume": [],
}


@pytest.fixture
def refused_by_all(refused, tmp_path):
    """Every verb that opens a run refuses this one, and writes nothing."""
    (tmp_path / "data.csv").write_text("x1,x2\n1,2\n")

    def check(folder, *words):
        before = sorted(tmp_path.rglob("*"))
        for verb, rest in READERS.items():
            sentence = refused(verb, folder, *rest)
            assert any(word in sentence for word in words), (verb, sentence)
        assert sorted(tmp_path.rglob("*")) == before

    return check


def test_a_folder_without_a_run_is_refused(refused_by_all, tmp_path):
    refused_by_all(tmp_path / "nowhere", "there is no run folder")
    (tmp_path / "empty").mkdir()
    refused_by_all(tmp_path / "empty", "has no run.json")
    refused_by_all(tmp_path / "data.csv", "there is no run folder", "not a run folder")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"text"', "3", '{"format": "other"}', "\udcff", '{"job": "infer"}'],
)
def test_a_file_that_is_no_record_is_refused(refused_by_all, run, content):
    (run / "run.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    refused_by_all(run, "run.json")


@pytest.mark.parametrize(
    "key",
    [
        "job", "request", "target", "environment", "status", "parameter_names", "diagnostics",
        "verdict", "reasons",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["absent", None, 7, []])
def test_a_record_with_a_broken_entry_never_shows_a_traceback(
    call, run, tmp_path, edit, key, value
):
    edit(lambda record: {**record, key: value})
    if value == "absent":
        edit(lambda record: {k: v for k, v in record.items() if k != key})
    (tmp_path / "data.csv").write_text("x1,x2\n1,2\n")
    for verb, rest in READERS.items():
        if verb == "report":
            continue  # slow, and reads the same record
        answer = call(verb, run, *rest)
        # A verb may do without the entry; it may not fall over it.
        if answer.code != 0:
            assert answer.code == 1
            assert answer.err.startswith("thalweg: ")
            assert answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ["model.safetensors", "gaussian.safetensors", "draws.safetensors"])
@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "other"])
def test_a_damaged_model_is_refused(refused_by_all, run, name, how):
    path = run / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "other":
        path.write_bytes((run / "report.html").read_bytes())
    else:
        path.write_bytes(content[: len(content) // 2] if how == "truncated" else b"")
    refused_by_all(run, name)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"step": [1]}'])
def test_a_damaged_history_is_refused(refused_by_all, run, content):
    (run / "history.json").unlink()
    if content is not None:
        (run / "history.json").write_text(content)
    refused_by_all(run, str(run))


def test_a_model_of_another_dimension_is_refused(refused_by_all, run, tmp_path):
    import jax

    import thalweg
    from thalweg import flows

    thalweg.save(run / "model.safetensors", flows.build("gaussian", jax.random.key(0), 3))
    refused_by_all(run, "model.safetensors", str(run))


def test_a_model_file_without_a_model_is_refused(refused_by_all, run):
    from thalweg.files.tensors import write_tensors
    from thalweg.serialization import FORMAT

    spec = json.dumps({"value": 3})
    write_tensors(run / "model.safetensors", {}, {"format": FORMAT, "spec": spec})
    refused_by_all(run, "model.safetensors", str(run))


def test_a_missing_target_file_is_asked_for(call, refused, run, edit):
    edit(lambda r: {**r, "target": {**r["target"], "reference": "/nowhere/densities.py:bent"}})
    assert call("sample", run, "-n", 3, "-o", "draws.csv").code == 0
    more = ["sample", run, "-n", 5000, "-o", "more.csv", "--corrected"]
    assert "--target /nowhere/densities.py:bent --dim 2" in refused(*more)
    assert "no such file: /nowhere/densities.py" in refused(*more, "--trust-code")

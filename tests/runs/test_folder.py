"""Run folders and their records."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.runs import RECORD, environment, open_folder, read_record, to_json, write_record


def test_json_is_strict_and_plain():
    text = to_json(
        {
            "array": jnp.arange(2.0),
            "scalar": np.float32(0.5),
            "whole": np.int64(3),
            "flag": np.bool_(True),
            "bad": [np.nan, np.inf, float("-inf"), np.array([np.nan])],
            "pair": (1, "é"),
            3: None,
        }
    )

    def forbidden(word):
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(text, parse_constant=forbidden) == {
        "array": [0.0, 1.0],
        "scalar": 0.5,
        "whole": 3,
        "flag": True,
        "bad": [None, None, None, [None]],
        "pair": [1, "é"],
        "3": None,
    }
    assert "\n" not in text
    assert "é" in text


def test_what_json_cannot_hold_is_an_error():
    with pytest.raises(TypeError):
        to_json({"a": object()})


def test_environment_says_what_ran_where():
    found = environment()
    assert found["x64"] is True
    assert set(found["versions"]) >= {"thalweg", "jax", "numpy", "python"}
    assert found["versions"]["jax"] == jax.__version__
    assert "cpu" in found["device"].lower() or "gpu" in found["device"].lower()
    json.loads(to_json(found))


def test_a_folder_is_made_with_its_parents(tmp_path):
    assert open_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "empty").mkdir()
    assert open_folder(str(tmp_path / "empty")) == tmp_path / "empty"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("run", "already holds a run; resume it or choose another folder"),
        ("full", "is not empty; choose another folder"),
        ("file", "cannot use .*file as a run folder"),
        ("file/inside", "cannot use .*inside as a run folder"),
    ],
)
def test_a_folder_that_cannot_be_used(tmp_path, place, sentence):
    (tmp_path / "file").write_text("text")
    for name in ("run", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "notes.txt").write_text("text")
    write_record(tmp_path / "run", {"status": "running"})
    with pytest.raises(ValueError, match=sentence) as raised:
        open_folder(tmp_path / place)
    assert "\n" not in str(raised.value)


def test_a_record_comes_back(tmp_path):
    write_record(tmp_path, {"status": "running", "value": np.arange(2), "missing": np.nan})
    record = read_record(tmp_path)
    assert record["status"] == "running"
    assert record["value"] == [0, 1]
    assert record["missing"] is None
    assert record["written"].endswith("+00:00")
    write_record(tmp_path, {"status": "complete"})
    assert read_record(tmp_path)["status"] == "complete"
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"[]", "is not the record of a thalweg run"),
        (b'{"format": "thalweg-run-0"}', "is not the record of a thalweg run"),
    ],
    ids=["empty", "half", "binary", "deep", "list", "other format"],
)
def test_a_damaged_record_is_refused(tmp_path, content, sentence):
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        read_record(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no run folder"):
        read_record(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"is not a run folder: it has no run\.json"):
        read_record(tmp_path)

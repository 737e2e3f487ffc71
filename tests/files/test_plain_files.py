"""Files that were made by others, leftovers of killed writes, and disks that are full."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from fuzz.mutations import assert_survives, damaged

import thalweg as tw
from thalweg.files.reading import open_plain
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import remove_leftovers, write_atomically, write_text
from thalweg.runs import RECORD, clean, open_folder, read_record, write_record


def sentence(load, path):
    """The error for a path that cannot be loaded."""
    error = assert_survives(load, path)
    assert isinstance(error, ValueError), error
    return str(error)


# --- paths ---------------------------------------------------------------------------------------


def test_a_record_that_is_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / RECORD)
    assert "that is a pipe or a device" in sentence(read_record, tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RECORD).symlink_to("/dev/zero")
    assert "that is a pipe or a device" in sentence(tw.load, tmp_path / "run")


def test_model_files_that_are_pipes_or_devices(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "pipe or a device" in sentence(tw.load, tmp_path / "model.safetensors")
    assert "pipe or a device" in sentence(tw.load, "/dev/zero")


def test_a_record_that_is_huge_is_not_read(tmp_path):
    with (tmp_path / RECORD).open("wb") as stream:
        stream.truncate(2**40)  # takes no room on disk
    assert "is damaged: it has 1099511627776 bytes" in sentence(tw.load, tmp_path)


def test_a_model_file_that_is_huge_is_not_read(tmp_path):
    path = tmp_path / "m.safetensors"
    head = json.dumps({"a": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}}).encode()
    with path.open("wb") as stream:
        stream.write(len(head).to_bytes(8, "little") + head)
        stream.truncate(8 + len(head) + 2**40)
    said = sentence(read_tensors, path)
    assert "m.safetensors needs 1.1 TB of memory; here are" in said


@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 2500, "a\0b", ""])
def test_names_that_no_file_can_have(name):
    assert len(sentence(tw.load, name)) < 400


@pytest.mark.parametrize("path", [None, 3, b"bytes", ["list"]])
def test_other_objects_than_paths(path):
    assert "a path is a string or a Path" in sentence(tw.load, path)


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert "cannot be read: Too many levels of symbolic links" in sentence(
        tw.load, tmp_path / "loop"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RECORD).symlink_to(RECORD)
    assert str(tmp_path / "run") in sentence(tw.load, tmp_path / "run")


def test_a_record_that_is_a_folder(tmp_path):
    (tmp_path / RECORD).mkdir()
    assert "that is a folder" in sentence(tw.load, tmp_path)


# --- tensors -------------------------------------------------------------------------------------


def file_of(path, head, data=b""):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("kind", ["F8_E4M3", "BF16", "F4", "C64"])
def test_types_that_numpy_lacks_are_named(tmp_path, kind):
    head = {"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 2]}}
    said = sentence(read_tensors, file_of(tmp_path / "m.safetensors", head, b"\0\0"))
    assert f"'a' is of type {kind}, which cannot be read here" in said


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8 * 10**12]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1.0, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1] * 100 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [0, 10**30], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": "08"},
        {"dtype": "F32", "shape": None, "data_offsets": [0, 8]},
        {"dtype": "BOOL", "shape": [8], "data_offsets": [0, 8]},
        {"shape": [2], "data_offsets": [0, 8]},
    ],
)
def test_declared_sizes_are_compared_with_the_file(tmp_path, entry):
    path = file_of(tmp_path / "m.safetensors", {"a": entry}, b"\2" * 8)
    assert "m.safetensors" in sentence(read_tensors, path)


@pytest.mark.parametrize(
    "content",
    [
        (2**62).to_bytes(8, "little") + b"{}",
        (2**31).to_bytes(8, "little") + b"{}",
        (3).to_bytes(8, "little") + b"[1]",
        (2).to_bytes(8, "little") + b"{}extra",
        (20).to_bytes(8, "little") + b'{"__metadata__": {1}',
        (26).to_bytes(8, "little") + b'{"__metadata__": {"a": 1}}',
    ],
)
def test_headers_that_are_none(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    assert "damaged" in sentence(read_tensors, tmp_path / "m.safetensors")


def test_files_are_those_of_the_package_safetensors(tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True]), "c": np.uint8([1, 2, 3])}
    write_tensors(tmp_path / "ours.safetensors", tensors, {"note": "é"})
    save_file(tensors, tmp_path / "theirs.safetensors", {"note": "é"})
    for one, other in (
        (load_file(tmp_path / "ours.safetensors"), tensors),
        (read_tensors(tmp_path / "theirs.safetensors")[0], tensors),
    ):
        assert one.keys() == other.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])
    assert read_tensors(tmp_path / "theirs.safetensors")[1] == {"note": "é"}


def test_every_flipped_byte_is_found(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": np.arange(5.0), "b": np.arange(3, dtype=np.int8)}, {"note": "x"})
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in (1, 32, 128):
            flipped = bytearray(whole)
            flipped[at] ^= bit
            path.write_bytes(flipped)
            with pytest.raises(ValueError, match=r"t\.safetensors"):
                read_tensors(path)


def test_damaged_tensor_files_are_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": np.arange(50.0), "b": np.float32(3)}, {"note": "x"})
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(1000):
        content = damaged(whole, rng)
        path.write_bytes(content)
        found = assert_survives(read_tensors, path)
        assert isinstance(found, ValueError) or content == whole


# --- leftovers -----------------------------------------------------------------------------------


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [
        *(".rows.safetensors.k1ll3d0_", ".run.json.ab12cd34", ".checkpoint.safetensors.xyz1"),
        *(f".model.safetensors.{dead.pid}-ab12cd34", f".run.json.{dead.pid}-ab12cd34"),
    ]
    kept = [
        *(f".run.json.{os.getpid()}-ab12cd34", "run.json", ".notes.txt.ab12cd34", ".gitignore"),
        *("model.safetensors", ".run.json", "rows.ab12cd34"),
    ]
    for name in left + kept:
        (tmp_path / name).write_text("half")
    (tmp_path / ".rows.ab12cd34").mkdir()
    (tmp_path / ".rows.ab12cd34" / "0").write_text("rows")
    (tmp_path / f".rows.{os.getpid()}-ab12cd34").mkdir()
    clean(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*kept, f".rows.{os.getpid()}-ab12cd34"}


def test_a_folder_with_leftovers_alone_is_taken(tmp_path):
    (tmp_path / ".run.json.ab12cd34").write_text("half")
    assert open_folder(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_a_leftover_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("text")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".rows.ab12cd34").symlink_to(tmp_path / "precious")
    remove_leftovers(tmp_path / "run", {"rows"})
    assert (tmp_path / "precious" / "file").read_text() == "text"
    assert list((tmp_path / "run").iterdir()) == []


# --- full disks ----------------------------------------------------------------------------------


@pytest.fixture
def full_disk():
    """No file may grow beyond 512 bytes: what the system says is what it says of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, full_disk):
    write_text(tmp_path / "a.txt", "old")
    write_tensors(tmp_path / "t.safetensors", {"a": np.zeros(3)}, {})
    before = (tmp_path / "t.safetensors").read_bytes()
    for write in (
        lambda: write_text(tmp_path / "a.txt", "new" * 1000),
        lambda: write_tensors(tmp_path / "t.safetensors", {"a": np.zeros(3000)}, {}),
    ):
        with pytest.raises(OSError, match="File too large") as raised:
            write()
        assert raised.value.filename in map(str, tmp_path.iterdir())
    assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "t.safetensors").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_record_that_cannot_be_written_stays_as_it_was(tmp_path, full_disk):
    write_record(tmp_path, {"status": "running"})
    with pytest.raises(OSError, match="File too large"):
        write_record(tmp_path, {"status": "complete", "reasons": ["x" * 1000]})
    assert read_record(tmp_path)["status"] == "running"


def test_a_reader_waits_for_nobody(tmp_path):
    write_atomically(tmp_path / "f", lambda temporary: temporary.write_text("text"))
    with open_plain(tmp_path / "f") as stream:
        assert stream.read() == b"text"

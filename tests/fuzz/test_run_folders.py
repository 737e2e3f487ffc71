"""Run folders and model files that are damaged, or made by strangers: a result or one sentence."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from fuzz.mutations import assert_survives
from fuzz.runs import damaged_run, made

import thalweg as tw
from thalweg.jobs import job_of
from thalweg.runs import read_record, reading

COUNT = int(os.environ.get("THALWEG_FUZZ", "2000"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made(tmp_path_factory.mktemp("runs"))


def opened(folder):
    """Open a run as the command line does, and print it."""
    job, _ = job_of(folder)
    fit = job.read(folder, None, trust_code=False)
    with reading(folder):
        return job.results(fit, folder), job.lines(fit, folder)


def write_page(folder):
    """The page of a run."""
    from thalweg.cli.main import main

    assert main(["report", str(folder)]) in (0, 1)


def fuzz(runs, load, count, seed):
    rng = np.random.default_rng(seed)
    folders = list(runs.values())
    for folder in folders:
        load(folder)  # what is imported and compiled then is not counted below
    survived = {"result": 0, "sentence": 0}
    for number in range(count):
        folder = folders[number % len(folders)]
        with damaged_run(folder, folders, rng) as what:
            try:
                found = assert_survives(load, folder)
            except AssertionError as error:
                raise AssertionError(f"number {number} ({what}): {error}") from error
        survived["sentence" if isinstance(found, ValueError) else "result"] += 1
    return survived


def test_damaged_run_folders_give_a_result_or_a_sentence(runs):
    survived = fuzz(runs, tw.load, 150, seed=1)
    assert min(survived.values()) > 10, survived


def test_what_is_printed_of_a_damaged_run_is_a_result_or_a_sentence(runs):
    survived = fuzz(runs, opened, 90, seed=2)
    assert min(survived.values()) > 5, survived


@pytest.mark.slow
@pytest.mark.parametrize("load", [tw.load, opened])
def test_many_damaged_run_folders(runs, load):
    """THALWEG_FUZZ says how many; 100,000 take about an hour."""
    fuzz(runs, load, COUNT, seed=3)


@pytest.mark.slow
def test_pages_of_damaged_run_folders(runs, capfd):
    rng = np.random.default_rng(4)
    folders = list(runs.values())
    for number in range(max(1, COUNT // 50)):
        folder = folders[number % len(folders)]
        with damaged_run(folder, folders, rng) as what:
            capfd.readouterr()
            write_page(folder)
            said = capfd.readouterr().err
            assert "unforeseen" not in said, f"number {number} ({what}): {said}"
            assert said.count("\n") <= 1, f"number {number} ({what}): {said}"


def test_files_of_two_runs_are_not_mixed(runs, tmp_path):
    for name in ("model.safetensors", "draws.safetensors", "history.json"):
        folder = Path(shutil.copytree(runs["infer"], tmp_path / name))
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        with pytest.raises(ValueError, match="damaged or of another run"):
            tw.load(folder)


# --- what a run was made from, and disks that are full -------------------------------------------


@pytest.fixture
def fresh(runs, tmp_path):
    """Functions that run and resume two jobs that read files, into a folder of the name."""
    from fuzz.runs import without_learning

    files = {"estimate": "rows.csv", "encode": "images.npy"}
    for name in files.values():
        shutil.copy(runs["infer"].parent / name, tmp_path)
    with without_learning() as run:
        yield {job: (tmp_path / name, *run[job]) for job, name in files.items()}


def reordered(path):
    path.write_text("\n".join(",".join(line.split(",")[::-1]) for line in path.read_text().split()))


def replaced(path):
    if path.suffix == ".npy":
        np.save(path, 1 - np.load(path))
    else:
        path.write_text(path.read_text().replace("1", "2"))


@pytest.mark.parametrize(
    ("job", "change"), [("estimate", reordered), ("estimate", replaced), ("encode", replaced)]
)
def test_data_that_have_changed_before_a_run_is_resumed(fresh, tmp_path, job, change):
    path, start, resume = fresh[job]
    start(path, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    before = path.read_bytes()
    change(path)
    with pytest.raises(ValueError, match=f"{path.name} has changed since the run"):
        resume(tmp_path / "run")
    path.write_bytes(before)
    resume(tmp_path / "run")
    assert read_record(tmp_path / "run")["status"] == "complete"


@pytest.mark.parametrize("job", ["estimate", "encode"])
def test_a_disk_that_is_full_at_any_write(fresh, tmp_path, monkeypatch, job):
    from thalweg.files import tensors, writing

    path, start, resume = fresh[job]
    write, count, fails_at = writing.write_atomically, 0, 0

    def limited(file, fill):
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        write(file, fill)

    for module in (writing, tensors):
        monkeypatch.setattr(module, "write_atomically", limited)
    start(path, tmp_path / "whole")
    writes, seen = count, set()
    assert writes >= 5
    for fails_at in range(2, writes + 1):
        count, folder = 0, tmp_path / str(fails_at)
        with pytest.raises(OSError, match="No space left on device") as raised:
            start(path, folder)
        seen.add(Path(raised.value.filename).name)
        assert read_record(folder)["status"] == "interrupted"
        assert not [one for one in folder.iterdir() if one.name.startswith(".")]
        count = 10**6
        resume(folder)
        assert read_record(folder)["status"] == "complete"
        tw.load(folder)
    assert {"run.json", "model.safetensors", "history.json", "rows.safetensors"} <= seen


def test_a_run_with_leftovers_of_killed_writes_is_resumed(fresh, tmp_path):
    path, start, resume = fresh["estimate"]
    start(path, folder := tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "running"}))
    for name in (".rows.safetensors.k1ll3d00", ".run.json.k1ll3d00", ".model.safetensors.k1ll3d00"):
        (folder / name).write_bytes(b"half")
    (folder / ".rows.k1ll3d00").mkdir()
    (folder / ".rows.k1ll3d00" / "0").write_bytes(b"rows")
    resume(folder)
    assert not [one.name for one in folder.iterdir() if one.name.startswith(".")]
    tw.load(folder)


def test_options_of_a_built_in_target_that_make_no_sense(runs, tmp_path):
    folder = Path(shutil.copytree(runs["infer"], tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text())
    for name, options in (
        ("banana", {"dim": 2, "scale": 1e200}),
        ("banana", {"dim": 2, "scale": "x"}),
        ("banana", {"dim": 2, "nonsense": 1}),
        ("forty_modes", {"dim": 10**9}),
        ("many_well", {"dim": 2, "weights": [[1]]}),
        ("os.system", {}),
    ):
        target = {**record["target"], "name": name, "options": options}
        (folder / "run.json").write_text(json.dumps({**record, "target": target}))
        found = assert_survives(tw.load, folder)
        assert isinstance(found, ValueError) or (found.target is None and found.lost)

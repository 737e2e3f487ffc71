"""Run folders and model files that are damaged, or made by strangers: a result or one sentence."""

import os
from pathlib import Path

import numpy as np
import pytest
from fuzz.mutations import assert_survives
from fuzz.runs import damaged_run, made

import thalweg as tw
from thalweg.cli.open_run import is_density, is_latent

COUNT = int(os.environ.get("THALWEG_FUZZ", "2000"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made(tmp_path_factory.mktemp("runs"))


def opened(folder):
    """What the command line opens, and what it prints of it."""
    from thalweg.cli import encode, estimate, infer
    from thalweg.density import job as density_job
    from thalweg.inference import read_run
    from thalweg.latent import job
    from thalweg.runs import read_record

    readers = {"encode": job.read_run, "estimate": density_job.read_run}
    found = readers.get(read_record(folder).get("job"), read_run)(folder)
    if is_density(found):
        return estimate.results(found, folder), estimate.table(found)
    if is_latent(found):
        return encode.results(found, folder)
    return infer.results(found, folder), str(found.summary())


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


def test_x4_damaged_run_folders_give_a_result_or_a_sentence(runs):
    survived = fuzz(runs, tw.load, 150, seed=1)
    assert min(survived.values()) > 10, survived


def test_t_what_is_printed_of_a_damaged_run_is_a_result_or_a_sentence(runs):
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


def test_x4_files_of_two_runs_are_not_mixed(runs, tmp_path):
    import shutil

    for name in ("model.safetensors", "draws.safetensors", "history.json"):
        folder = Path(shutil.copytree(runs["infer"], tmp_path / name))
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(
            content + b" " if name.endswith("json") else content[:-1] + b"?"
        )
        with pytest.raises(ValueError, match="damaged or of another run"):
            tw.load(folder)

"""The table of jobs: every verb, `save` and `load` serve a job that they have never heard of."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.main import main
from thalweg.jobs import JOBS, Drawn, Entry, Job, Scorer, find_job
from thalweg.runs import open_folder, read_record, write_record


class Mean:
    """A toy model: rows around one number."""

    def __init__(self, value):
        self.value = value


class Average(Job):
    name = "average"

    def save(self, path, obj):
        record = {"job": self.name, "status": "complete", "value": obj.value}
        write_record(open_folder(path), record)

    def load(self, path, target, *, trust_code):
        return Mean(read_record(path)["value"])

    def read(self, folder, target, *, trust_code):
        return self.load(folder, target, trust_code=trust_code)

    def resume(self, folder, target, *, trust_code):
        return self.load(folder, target, trust_code=trust_code)

    def results(self, fit, folder):
        return {"job": self.name, "value": fit.value}

    def lines(self, fit, folder):
        return [f"the mean is {fit.value}"]

    def write_page(self, fit, path):
        path.write_text(f"<p>{fit.value}</p>")
        return path

    def draw(self, fit, n, options, folder):
        return Drawn(np.full((n, 1), fit.value), ("x",))

    def scorer(self, fit):
        return Scorer(("x",), lambda rows: 1 - (rows[:, 0] - fit.value) ** 2, True)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A run of a fourth job: one file and one line."""
    module = ModuleType("average_job")
    module.JOB, module.Mean = Average(), Mean
    monkeypatch.setitem(sys.modules, "average_job", module)
    monkeypatch.setitem(JOBS, "average", Entry("average_job", "average_job.Mean"))
    tw.save(tmp_path / "run", Mean(2.5))
    return tmp_path / "run"


def test_a_further_job_is_saved_and_loaded(run):
    assert tw.load(run).value == 2.5
    with pytest.raises(ValueError, match="a target goes with the run of a posterior"):
        tw.load(run, "funnel")


def test_every_verb_serves_a_further_job(run, tmp_path, capsys):
    assert main(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 2.5
    assert main(["resume", str(run)]) == 0
    assert "the mean is 2.5" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").read_text() == "<p>2.5</p>"
    assert main(["sample", str(run), "-n", "3", "-o", str(tmp_path / "draws.csv")]) == 0
    assert main(["score", str(run), str(tmp_path / "draws.csv"), "-o", "scores.csv"]) == 0
    assert (tmp_path / "scores.csv").read_text().splitlines()[1].split(",")[1] == "1.0"


def test_an_unknown_job_is_said(run, monkeypatch, capsys):
    monkeypatch.delitem(JOBS, "average")
    assert main(["report", str(run)]) == 1
    assert "unknown job: 'average'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="known: infer, estimate, encode"):
        find_job("average")


@pytest.mark.parametrize("name", JOBS)
def test_every_job_is_of_its_name(name):
    job = find_job(name)
    assert job.name == name
    module, _, kind = JOBS[name].makes.rpartition(".")
    assert hasattr(sys.modules[module], kind)

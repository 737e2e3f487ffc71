"""Fits of a latent model that end when their time is over, by a clock that the test moves."""

import json
import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.jobs import find_job
from thalweg.latent.job import encode, resume
from thalweg.report.encoding import command_line, write_encoding
from thalweg.training import Silent

TINY = {"latent": 2, "flow": "none", "hidden": (4,), "steps": 400, "batch_size": 8}
IMAGES = (np.random.default_rng(0).random((40, 3, 3)) < 0.3).astype(np.uint8)


@pytest.fixture
def slow(monkeypatch):
    """Progress whose updates, of four steps each, take a thousand seconds each."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    class Slow(Silent):
        def update(self, stage, step, steps, value):
            clock.now += 1000.0

    clock = Clock()
    monkeypatch.setattr("thalweg.training.time_limit.time", clock)
    return Slow()


def test_a_fit_ends_with_what_was_learned(slow, tmp_path):
    model = tw.LatentGaussianModel(**TINY, time_limit=20_000, progress=slow).fit(IMAGES)
    assert model.out_of_time
    assert not model.interrupted
    assert 60 <= model.history.step[-1] <= 80
    assert np.isfinite(model.elbo(IMAGES)[0]).all()
    tw.save(tmp_path / "model", model)
    again = tw.load(tmp_path / "model")
    assert again.out_of_time
    assert again.options.time_limit == 20_000


def test_a_fit_within_its_time(slow):
    model = tw.LatentGaussianModel(**TINY, time_limit=200_000, progress=slow).fit(IMAGES)
    assert not model.out_of_time
    assert model.history.step[-1] == TINY["steps"]


def test_a_run_whose_time_is_over_is_complete(slow, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    out = tmp_path / "run"
    options = {**TINY, "draws": 20, "time_limit": 20_000}
    run = encode(str(tmp_path / "images.npy"), progress=slow, out=out, **options)
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["out_of_time"]) == ("complete", True)
    results = find_job("encode").results(run, out)
    assert results["out_of_time"]
    assert results["steps"] < TINY["steps"]
    assert find_job("encode").lines(run, out)[-1].strip().startswith("the time limit ended the fit")
    assert resume(out).model.out_of_time
    assert "--time-limit 20000" in command_line(record)
    page = write_encoding(run, tmp_path / "page.html").read_text()
    assert "ended by its time limit" in page


@pytest.mark.parametrize("limit", [0, -3, math.nan, math.inf, "60", [1]])
def test_a_time_limit_is_a_positive_number(limit):
    with pytest.raises(ValueError, match="time_limit must be a finite number above 0, got"):
        tw.LatentGaussianModel(time_limit=limit)

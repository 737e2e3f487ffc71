"""E3 on a tiny budget, and its data."""

import numpy as np
import pytest

from thalweg_studies import circles
from thalweg_studies.registry import CIRCLES

TINY = circles.Settings(
    flows=(circles.FlowSettings("tiny", {"layers": 1, "hidden": (4,)}, noise=0.04, members=2),),
    seeds=2,
    steps=20,
    rows=100,
    held_out=500,
)


def test_it_prints_losses_beside_those_of_the_source(tmp_path, monkeypatch):
    monkeypatch.setattr(circles, "QUICK", TINY)
    made = CIRCLES.run(tmp_path, quick=True)
    assert {"circles.png", "table.csv", "table.md", "made.json"} == set(made["files"])
    assert [row["seed"] for row in made["rows"]] == [0, 1]
    for row in made["rows"]:
        # Near the identity on a standard normal base: E|x|²/2 + ln 2π = 1 + ln 2π.
        assert row["loss_0"] == pytest.approx(1 + np.log(2 * np.pi), abs=0.1)
        assert row["held_out_nll"] > row["entropy"]
    for loss in circles.SOURCE:
        assert f"{loss:.3f}" in made["text"]
    monkeypatch.setattr(circles, "train", None)  # all is stored: nothing is fitted again
    assert CIRCLES.run(tmp_path, quick=True)["rows"] == made["rows"]


def test_the_density_of_the_circles_is_normalised():
    line = np.linspace(-1.5, 1.5, 601)
    points = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    mass = np.exp(circles.log_density(points)).sum() * (line[1] - line[0]) ** 2
    assert mass == pytest.approx(1, abs=1e-6)


def test_held_out_points_have_the_same_density():
    data = circles.make_data(circles.Settings(held_out=50_000), 0)
    np.testing.assert_allclose(data.train.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.std(0), 1)
    np.testing.assert_allclose(data.held_out.std(0), 1, atol=0.02)
    assert data.entropy == pytest.approx(1.761, abs=0.015)

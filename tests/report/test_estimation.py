"""The page of a density."""

import shlex

import numpy as np
import pytest

from thalweg.cli.reading_options import split_names
from thalweg.density.job import estimate, read_run
from thalweg.plots.tables import columns_that_differ
from thalweg.report import write_estimation
from thalweg.report.estimation import command_line

OPTIONS = {"flow": "gaussian", "members": 1, "steps": 60, "noise": 0.0, "progress": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(0)
    cut = np.minimum(rng.normal(size=300), 1.0)
    rows = np.stack([cut, rng.poisson(2.0, 300), np.ones(300)], 1)
    folder = tmp_path_factory.mktemp("density")
    np.savetxt(folder / "t.csv", rows, delimiter=",", header="a,n,k", comments="")
    return estimate(folder / "t.csv", out=folder / "run", **OPTIONS), folder


def test_the_page_says_how_good_it_is_and_lists_unusual_columns(run, tmp_path):
    _, folder = run
    page = write_estimation(read_run(folder / "run"), tmp_path / "report.html").read_text()
    for words in (
        "<h1>t</h1>",
        "a, n, k · gaussian",
        "a is 1 in ",
        "kernel density",
        "On a grid, taken as cells [x, x + 1): n.",
        "% of the rows, an atom: it has a probability, the other values have a density.",
        "Constant, and no part of the density: k.",
        "Rows and draws",
        "Calibration",
        "Learning",
    ):
        assert words in page, words
    assert page.count("<svg") == 3
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_its_command_repeats_the_run(run):
    estimated, folder = run
    line = command_line(estimated.record)
    assert line == (
        f"thalweg estimate {(folder / 't.csv').resolve()} --flow gaussian --members 1 --noise 0 "
        "--steps 60 --test-fraction 0.1 --seed 0"
    )
    request = {**estimated.record["request"], "options": {"weight_decay": 0.1}}
    assert command_line({"request": request}) is None
    options = {"marginals": {"a": ("interval", 0, 1)}, "discrete": ["n"]}
    asked = {**estimated.record["request"], "options": options, "missing": "drop"}
    assert "--marginal a=interval,0,1 --discrete n --drop-missing" in command_line(
        {"request": asked}
    )


def test_its_command_has_the_layout_of_the_file():
    request = {
        **{"data": "t.csv", "columns": ["height, cm", "b"], "context": None, "missing": "error"},
        **{"test_fraction": 0.1, "seed": 0, "options": {}},
        "layout": {"header": False, "separator": ";", "decimal": ","},
    }
    words = shlex.split(command_line({"request": request}))
    assert words[3:10] == [
        *("--columns", '"height, cm",b', "--no-header", "--separator", ";", "--decimal", ","),
    ]
    assert split_names(None, None, words[4]) == request["columns"]


def test_a_density_given_a_context_has_a_page_too(run, tmp_path):
    _, folder = run
    given = estimate(folder / "t.csv", columns=["a"], context=["n"], **OPTIONS)
    page = write_estimation(given, tmp_path / "report.html").read_text()
    assert "a · given n · gaussian" in page
    assert "kernel density" not in page


def test_columns_that_differ_most_are_shown():
    rng = np.random.default_rng(0)
    rows, drawn = rng.normal(size=(500, 9)), rng.normal(size=(500, 9))
    drawn[:, [2, 7]] += 1
    chosen = columns_that_differ(rows, drawn, 3)
    assert {2, 7} < set(chosen)
    assert chosen == sorted(chosen)

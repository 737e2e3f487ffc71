"""Tables as people have them, at the command line: names, separators, missing values."""

import json
import os

import numpy as np
import pytest

from thalweg.cli.main import main

TINY = ["--flow", "gaussian", "--members", "1", "--steps", "60", "--noise", "0", "--no-report"]
ROWS = np.random.default_rng(0).normal(size=(80, 2)).round(3)


def written(path, rows=ROWS, header="0,1", separator=",", decimal="."):
    lines = [separator.join(str(x).replace(".", decimal) for x in row) for row in rows.tolist()]
    path.write_text("\n".join([header] * bool(header) + lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def estimated(tmp_path_factory):
    """A run on a table whose columns are called 0 and 1, as pandas calls them."""
    place = tmp_path_factory.mktemp("numbered")
    words = ["estimate", written(place / "t.csv"), *TINY, "--out", str(place / "run"), "--json"]
    assert main(words) == 0
    return place / "run"


def scores(path):
    return np.genfromtxt(path, delimiter=",", skip_header=1)[:, -1]


def test_names_that_are_numbers_are_reported_and_kept(estimated, tmp_path, call):
    record = json.loads((estimated / "run.json").read_text())
    assert record["results"]["columns"] == ["0", "1"]
    assert record["results"]["rows"] == 80
    assert record["reading"]["header"] is True
    assert "0, 1, is read as the names of the columns" in record["reading"]["notes"][0]
    answer = call("score", estimated, written(tmp_path / "t.csv"), "-o", "s.csv", "--json")
    assert json.loads(answer.out)["rows"] == 80
    assert "0, 1, is read as the names" in answer.err
    by_place = call("score", estimated, written(tmp_path / "u.csv", header=""), "-o", "u_s.csv")
    assert "has no header" in by_place.err
    np.testing.assert_array_equal(scores("s.csv"), scores("u_s.csv"))
    twice = call("score", estimated, tmp_path / "t.csv", "-o", "v.csv", "--no-header", "--json")
    assert json.loads(twice.out)["rows"] == 81


def test_estimate_takes_no_header(tmp_path, call):
    path = written(tmp_path / "t.csv")
    answer = call("estimate", path, *TINY, "--no-header", "--out", "run", "--json")
    assert json.loads(answer.out)["columns"] == ["x0", "x1"]
    assert json.loads(answer.out)["rows"] == 81
    assert json.loads((tmp_path / "run" / "run.json").read_text())["request"]["layout"] == {
        "header": False
    }


def test_semicolons_and_decimal_commas_score_as_points_do(estimated, tmp_path, call):
    points = call("score", estimated, written(tmp_path / "t.csv"), "-o", "s.csv")
    commas = written(tmp_path / "c.csv", header="0;1", separator=";", decimal=",")
    answer = call("score", estimated, commas, "-o", "c_s.csv")
    assert points.code == answer.code == 0
    assert "columns are separated by ;" in answer.err
    assert "decimals begin with a comma" in answer.err
    np.testing.assert_array_equal(scores("s.csv"), scores("c_s.csv"))


def test_score_keeps_the_places_of_rows_with_missing_values(estimated, tmp_path, call, refused):
    whole = call("score", estimated, written(tmp_path / "t.csv"), "-o", "s.csv", "--json")
    rows = ROWS.copy()
    rows[3, 1] = rows[70, 0] = np.nan
    path = written(tmp_path / "gaps.csv", rows)
    assert "row 4 has no finite value in column '1': --drop-missing" in refused(
        "score", estimated, path, "-o", "g.csv"
    )
    assert not os.path.exists("g.csv")
    answer = call("score", estimated, path, "-o", "g.csv", "--drop-missing", "--json")
    found = json.loads(answer.out)
    assert (found["rows"], found["missing"]) == (80, 2)
    given, expected = scores("g.csv"), scores("s.csv")
    assert np.flatnonzero(np.isnan(given)).tolist() == [3, 70]
    expected[[3, 70]] = np.nan
    np.testing.assert_array_equal(given, expected)
    assert found["mean"] == pytest.approx(np.nanmean(expected))
    assert {3, 70}.isdisjoint(one["row"] - 1 for one in found["least_likely"])
    assert json.loads(whole.out).keys() == found.keys() - {"missing"}
    nothing = written(tmp_path / "none.csv", np.full((3, 2), np.nan))
    assert "no row without missing values" in refused(
        "score", estimated, nothing, "-o", "n.csv", "--drop-missing"
    )


def test_refusals_of_missing_values_name_the_option(tmp_path, call):
    rows = np.column_stack([ROWS, ROWS[:, 0]])
    rows[5, 0], rows[6, 2] = np.nan, np.nan
    path = written(tmp_path / "t.csv", rows, "a,b,c")
    words = ["estimate", path, *TINY, "--columns", "a,b", "--context", "c"]
    answer = call(*words, "--out", "no")
    assert answer.code == 1
    assert "--drop-missing" in answer.err
    found = call(*words, "--out", "run", "--drop-missing", "--json")
    assert json.loads(found.out)["rows"] == 78  # a gap in the context counts as well


def test_names_with_commas_can_be_chosen(tmp_path, call):
    path = written(tmp_path / "t.csv", header='"height, cm",b')
    answer = call("estimate", path, *TINY, "--columns", '"height, cm"', "--out", "run", "--json")
    assert json.loads(answer.out)["columns"] == ["height, cm"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--separator", "ab"], "separator must be one sign"),
        (["--decimal", "x"], "decimal must be . or ,"),
        (["--columns", "0,0"], "column '0' is asked for twice"),
        (["--columns", "a"], "has no column 'a'; it has x0, x1"),
    ],
)
def test_impossible_reading_options_are_refused_in_one_sentence(tmp_path, refused, words, said):
    path = written(tmp_path / "t.csv")
    assert said in refused("estimate", path, *TINY, "--out", "run", *words)


@pytest.mark.parametrize("verb", ["estimate", "score"])
def test_pipes_and_links_in_circles_as_data(estimated, tmp_path, refused, verb):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "self.csv").symlink_to(tmp_path / "self.csv")
    for name, said in {"pipe.csv": "is a pipe", "self.csv": "leads back to itself"}.items():
        more = [estimated, name, "-o", "s.csv"] if verb == "score" else [name, "--out", "run"]
        assert said in refused(verb, *more)
    assert not (tmp_path / "run").exists()


def test_a_link_to_itself_as_images(tmp_path, refused):
    (tmp_path / "self.npz").symlink_to(tmp_path / "self.npz")
    assert "leads back to itself" in refused("fit-vae", "self.npz", "--out", "run")
    assert not (tmp_path / "run").exists()


def test_a_density_of_more_columns_than_memory_bears(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("thalweg.files.memory.memory", lambda: 10**9)
    np.save(tmp_path / "t.npy", np.zeros((3, 6000)))
    said = refused("estimate", "t.npy", *TINY, "--out", "run")
    assert "a density of 6,000 columns needs 1.15 GB of memory; here are 1 GB" in said


@pytest.mark.slow
def test_a_table_with_a_column_called_log_density_is_scored(tmp_path, call):
    path = written(tmp_path / "t.csv", header="log_density,b")
    assert call("estimate", path, *TINY, "--out", "run").code == 0
    for file in ("s.csv", "s.npz"):
        assert call("score", "run", path, "-o", file).code == 0
    head = (tmp_path / "s.csv").read_text().splitlines()[0]
    assert head == "log_density,b,log_density_2"
    assert set(np.load("s.npz").files) == {"log_density", "b", "log_density_2"}

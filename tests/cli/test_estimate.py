"""`thalweg estimate` and what can be done with its run."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import thalweg
from thalweg.cli.main import main

TINY = ["--flow", "gaussian", "--members", "1", "--steps", "100", "--noise", "0"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    height = rng.normal(170, 8, 400)
    rows = np.stack([height, 0.9 * height - 90 + rng.normal(0, 5, 400), rng.poisson(3, 400)], 1)
    path = tmp_path_factory.mktemp("table") / "people.csv"
    np.savetxt(path, rows, delimiter=",", header="height,weight,cats", comments="")
    return SimpleNamespace(path=path, rows=rows)


@pytest.fixture(scope="module")
def estimated(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimate") / "run"
    words = ["estimate", str(table.path), *TINY, "--out", str(folder)]
    assert main(words) == 0
    return folder


def test_numbers_that_are_not_finite_are_printed_again(estimated, tmp_path, capsys):
    folder = shutil.copytree(estimated, tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    record["results"] |= {"test_nll": None, "test_nll_se": None}
    for one in record["results"]["baselines"]:
        one |= {"worse_by": None, "worse_by_se": None}
    (folder / "run.json").write_text(json.dumps(record))
    assert main(["resume", str(folder)]) == 0
    assert "test rows   nan nats, too few" in capsys.readouterr().out


def answer(capsys):
    return json.loads(capsys.readouterr().out)


def test_it_prints_one_json_object_with_every_key(estimated, capsys):
    assert main(["resume", str(estimated), "--json"]) == 0
    found = answer(capsys)
    assert {"job", "data", "flow", "rows", "columns", "train_nll", "valid_nll"} < set(found)
    assert {"test_nll", "test_nll_se", "seconds", "out"} < set(found)
    assert found["rows"] == 400
    assert found["columns"] == ["height", "weight", "cats"]
    assert found["discrete_columns"] == ["cats"]
    # Entropies of a normal of sd 8, one of sd 5 given it, and a Poisson of mean 3.
    assert found["test_nll"] == pytest.approx(3.50 + 3.03 + 1.93, abs=0.4)
    names = [one["name"] for one in found["baselines"]]
    assert names == ["Gaussian", "Gaussian mixture", "kernel density"]
    assert abs(found["baselines"][0]["worse_by"]) < 0.1


def test_unusual_columns_are_reported(table, tmp_path, capsys):
    words = ["estimate", str(table.path), *TINY, "--columns", "weight", "--context", "height"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    assert "400 rows, 1 columns, given height" in text
    assert (
        main(["score", str(tmp_path / "run"), str(table.path), "-o", str(tmp_path / "s.csv")]) == 0
    )
    assert "least likely" in capsys.readouterr().out


@pytest.fixture(scope="module")
def given(table, tmp_path_factory):
    """A run of weight given height and cats."""
    folder = tmp_path_factory.mktemp("given") / "run"
    words = ["--columns", "weight", "--context", "height,cats", "--no-report"]
    assert main(["estimate", str(table.path), *TINY, *words, "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_draws_of_a_density_given_a_context(given, tmp_path, capsys):
    file = tmp_path / "d.csv"
    words = ["sample", str(given), "-n", "300", "-o", str(file)]
    assert main([*words, "--context", "cats=3", "--context", "height=180"]) == 0
    head, *lines = file.read_text().splitlines()
    assert head == "weight,height,cats"
    drawn = np.array([line.split(",") for line in lines], float)
    assert drawn.shape == (300, 3)
    np.testing.assert_array_equal(drawn[:, 1:], np.broadcast_to([180.0, 3.0], (300, 2)))
    assert drawn[:, 0].mean() == pytest.approx(72, abs=3)
    (tmp_path / "c.csv").write_text("cats,town,height\n1,7,150\n2,8,190\n")
    again = ["--context", str(tmp_path / "c.csv"), "--json", "--force"]
    assert main([*words[:3], "2", *words[4:], *again]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["n"] == 2
    low, high = np.loadtxt(file, delimiter=",", skiprows=1)
    np.testing.assert_array_equal([low[1:], high[1:]], [[150.0, 1.0], [190.0, 2.0]])
    assert low[0] < high[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a density given a context, height, cats: pass --context height=VALUE …, or"),
        (["--context", "height=180"], "--context has no cats"),
        (["--context", "height=180", "--context", "height=170"], "two values of 'height'"),
        (["--context", "height=tall", "--context", "cats=1"], "'tall' is no finite number"),
        (["--context", "height=180", "--context", "dogs=1"], "--context dogs=1 is none of"),
        (["--context", "no.csv"], "there is no file no.csv"),
    ],
)
def test_impossible_contexts_are_refused_in_one_sentence(given, tmp_path, capsys, words, said):
    assert main(["sample", str(given), "-n", "3", "-o", str(tmp_path / "d.csv"), *words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "d.csv").exists()


def test_a_context_for_an_unconditional_density_is_refused(estimated, tmp_path, capsys):
    words = ["sample", str(estimated), "-n", "3", "-o", str(tmp_path / "d.csv")]
    assert main([*words, "--context", "height=180"]) == 1
    assert "is a density without a context: leave --context out" in capsys.readouterr().err


@pytest.mark.slow
def test_outlying_rows_of_a_file_are_reported_by_their_number(table, tmp_path, capsys):
    rows = table.rows.copy()
    rows[17, 0] = 1e9
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="height,weight,cats", comments="")
    out = tmp_path / "run"
    words = ["estimate", str(tmp_path / "t.csv"), *TINY, "--json", "--out", str(out)]
    assert main([*words, "--seed", "1"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["outlying_rows"] == {"height": [18]}
    assert "column 'height' has values that outweigh all others: 1e+09 (row 18)" in said.err
    assert "1e+09 (row 18)" in (out / "report.html").read_text()
    assert found["test_nll"] == pytest.approx(3.50 + 3.03 + 1.93, abs=0.5)


def test_a_run_of_few_rows_is_a_gaussian_and_reports_it(tmp_path, capsys):
    np.savetxt(
        tmp_path / "t.csv",
        np.random.default_rng(0).normal(size=(8, 2)),
        delimiter=",",
        header="a,b",
        comments="",
    )
    assert main(["estimate", str(tmp_path / "t.csv"), "--json", "--out", str(tmp_path / "r")]) == 0
    said = capsys.readouterr()
    assert "7 rows are too few to learn a flow from" in said.err
    found = json.loads(said.out)
    assert found["gaussian_weight"] == 1.0
    assert found["valid_nll"] is None


def test_a_saved_index_is_left_out_or_refused_by_name(tmp_path, capsys):
    lines = [f"{x},{i}" for i, x in enumerate(np.random.default_rng(0).normal(size=50))]
    (tmp_path / "t.csv").write_text("a,Unnamed: 0\n" + "\n".join(lines) + "\n")
    words = ["estimate", str(tmp_path / "t.csv"), *TINY, "--columns", "a,Unnamed: 0"]
    assert main([*words, "--out", str(tmp_path / "r")]) == 1
    assert "column 'Unnamed: 0' of t.csv only counts the rows" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_are_scored_and_the_least_likely_shown(estimated, table, tmp_path, capsys):
    strange = np.concatenate([table.rows[:50], [[170.0, 300.0, 3.0]]])
    np.savetxt(tmp_path / "t.csv", strange, delimiter=",", header="height,weight,cats", comments="")
    words = ["score", str(estimated), str(tmp_path / "t.csv"), "-o", str(tmp_path / "s.csv")]
    assert main([*words, "--json"]) == 0
    found = answer(capsys)
    assert found["least_likely"][0]["row"] == 51
    head, *lines = (tmp_path / "s.csv").read_text().splitlines()
    assert head == "height,weight,cats,log_density"
    assert len(lines) == 51
    estimator = thalweg.load(estimated)
    scores = [float(line.rpartition(",")[2]) for line in lines]
    np.testing.assert_allclose(scores, estimator.score_samples(strange), rtol=1e-9)


def test_draws_come_in_the_columns_of_the_table(estimated, tmp_path):
    assert main(["sample", str(estimated), "-n", "200", "-o", str(tmp_path / "d.csv")]) == 0
    drawn = np.loadtxt(tmp_path / "d.csv", delimiter=",", skiprows=1)
    assert drawn.shape == (200, 3)
    assert drawn[:, 0].mean() == pytest.approx(170, abs=3)
    np.testing.assert_array_equal(drawn[:, 2], np.round(drawn[:, 2]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "age"], "has no column 'age'; it has height, weight, cats"),
        (["--columns", "height", "--context", "height"], "modelled and given at once"),
        (["--test-fraction", "0"], "test_fraction must be a finite number in (0, 1)"),
        (["--marginal", "height"], "must be COLUMN=positive"),
        (["--marginal", "height=interval,0,100"], "outside the support"),
        (["--flow", "nothing"], "unknown flow 'nothing'"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(table, tmp_path, capsys, words, said):
    code = main(["estimate", str(table.path), *TINY, *words, "--out", str(tmp_path / "run")])
    assert code == (2 if "COLUMN" in said else 1)
    assert not (tmp_path / "run").exists()
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("thalweg: ")
    assert said in error


def test_missing_values_are_refused_by_name_or_left_out(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{y:.3f},Ghent" for x, y in rng.normal(size=(60, 2))]
    lines[4] = ",1.0,Lille"
    (tmp_path / "t.csv").write_text("a,b,town\n" + "\n".join(lines) + "\n")
    words = ["estimate", str(tmp_path / "t.csv"), *TINY]
    assert main([*words, "--out", str(tmp_path / "1")]) == 1
    assert "column 'town' of t.csv holds text" in capsys.readouterr().err
    words += ["--columns", "a,b"]
    assert main([*words, "--out", str(tmp_path / "2")]) == 1
    assert "column 'a' of t.csv has 1 values that are not finite" in capsys.readouterr().err
    assert main([*words, "--drop-missing", "--json", "--out", str(tmp_path / "3")]) == 0
    assert answer(capsys)["rows"] == 59

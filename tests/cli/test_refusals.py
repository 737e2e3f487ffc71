"""Bad input: exit 1, one sentence, and nothing half-made left behind."""

import numpy as np
import pytest

TINY = ["--flow", "planar", "--layers", 2, "--steps", 120, "--batch", 16, "--restarts", 2]
# Cheap, should it not be refused after all.
NVP = ["two_modes", "--flow", "real_nvp", "--layers", 1, "--steps", 1, "--restarts", 1]


def files_under(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- infer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("nan", "NaN"),
        ("nowhere", "-inf at every point"),
        ("infinite", "+inf"),
        ("vector", "shape (2,)"),
        ("raises", "something of the user's own"),
        ("raises_key_error", "KeyError"),
        ("stopped", "gradient"),
        ("callback", "callbacks do not support"),
        ("numpy_only", "jax.numpy"),
        ("branches", "jnp.where"),
        ("two_values", "2 values"),
        ("nothing", "returned None"),
        ("wants_more", "shape (2,)"),
        ("bend", "did you mean 'bent'"),
        ("number", "not a function"),
    ],
)
def test_a_density_that_cannot_be_fitted_is_refused(
    refused, densities, tmp_path, function, sentence
):
    target = f"{densities}:{function}"
    found = refused("infer", target, "--dim", 2, *TINY, "--out", tmp_path / "out")
    assert sentence in found
    assert files_under(tmp_path) == ["densities.py"]


def test_a_refused_density_leaves_no_empty_folder(refused, densities, tmp_path):
    refused("infer", f"{densities}:nan", "--dim", 2, "--out", tmp_path / "a" / "b")
    refused("infer", f"{densities}:nan", "--dim", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["densities.py"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "unknown target 'nonsense'"),
        (["two_mode"], "did you mean 'two_modes'"),
        (["two_modes", "--dim", "0"], "dim must be"),
        (["two_modes", "--dim", "two"], "'two' is not a valid integer"),
        (["two_modes", "--flow", "plannar"], "unknown flow 'plannar'"),
        (
            ["two_modes", "--flow", "planar", "--layers", "0"],
            "layers must be a whole number of at least 1",
        ),
        (["two_modes", "--flow", "planar", "--hidden", "8"], "has no option 'hidden'"),
        ([*NVP, "--hidden", "0"], "hidden"),
        (["two_modes", "--steps", "0"], "steps must be a whole number of at least 1"),
        (["two_modes", "--steps", "1.5"], "'1.5' is not a valid integer"),
        ([*NVP, "--lr", "-1"], "learning_rate must be a finite number above 0"),
        ([*NVP, "--lr", "nan"], "learning_rate must be a finite number above 0"),
        (["two_modes", "--time-limit", "0"], "time_limit must be a finite number above 0"),
        (["two_modes", "--time-limit", "nan"], "time_limit must be a finite number above 0"),
        (["two_modes", "--batch", "0"], "batch_size must be a whole number of at least 1"),
        (["two_modes", "--restarts", "0"], "restarts must be a whole number of at least 1"),
        (["two_modes", "--seed", "-1"], "seed must be a whole number"),
        (["two_modes", "--nonsense"], "No such option"),
        ([], "Missing argument 'TARGET'"),
        (["nowhere.py:f", "--dim", "2"], "no such file"),
        (["nowhere.py:", "--dim", "2"], "no such file: nowhere.py"),
    ],
)
def test_bad_arguments_of_infer(refused, tmp_path, arguments, sentence):
    assert sentence.lower() in refused("infer", *arguments, "--out", tmp_path / "out").lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["two_modes", "--steps", "0"], ["nonsense"]])
def test_a_refused_run_leaves_no_default_folder(refused, tmp_path, arguments):
    refused("infer", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_needs_a_dimension(refused, densities):
    assert "needs dim" in refused("infer", f"{densities}:bent")


def test_a_file_that_cannot_be_imported_is_refused(refused, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    found = refused("infer", "broken.py:f", "--dim", 2)
    assert "line 1" in found
    assert "nothing_of_this_name" in found
    (tmp_path / "broken.py").write_text("def f(x:\n")
    assert "line 1" in refused("infer", "broken.py:f", "--dim", 2)
    assert files_under(tmp_path) == ["broken.py"]


@pytest.mark.parametrize("place", ["full", "file", "file/inside", "run"])
@pytest.mark.few(2)
def test_a_run_folder_must_be_new(refused, run, tmp_path, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("ten years of work")
    (tmp_path / "file").write_text("a file")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = refused("infer", "standard_normal", *TINY, "--out", tmp_path / place)
    assert place.partition("/")[0] in found
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_an_unknown_verb(refused):
    assert "infre" in refused("infre", "two_modes")


# --- sample and score ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-n", 0, "-o", "d.csv"], "whole number of at least 1"),
        (["-n", -3, "-o", "d.csv"], "whole number of at least 1"),
        (["-n", "many", "-o", "d.csv"], "'many' is not a valid integer"),
        (["-n", 3, "-o", "d.xlsx"], "must end in"),
        (["-n", 3, "-o", "d"], "must end in"),
        (["-n", 3], "Missing option '-o'"),
        (["-o", "d.csv"], "Missing option '-n'"),
        (["-n", 3, "-o", "no/such/folder/d.csv"], "no/such/folder"),
        (["-n", 3, "-o", "file/d.csv"], "file"),
        (["-n", 3, "-o", "folder.csv"], "folder.csv"),
    ],
)
def test_bad_arguments_of_sample(refused, run, tmp_path, arguments, sentence):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert sentence in refused("sample", run, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", "", "empty"),
        ("header.csv", "x1,x2\n", "rows"),
        ("nan.csv", "x1,x2\n1,2\n1,nan\n", "row 2"),
        ("inf.csv", "1,2\ninf,3\n", "row 2"),
        ("text.csv", "x1,x2\n1,two\n", "column 'x2' of text.csv holds text ('two')"),
        ("blank.csv", "x1,x2\n1,\n", "row 1 has no finite value in column 'x2'"),
        ("short.csv", "x1,x2\n1\n", "2 are needed"),
        ("one.csv", "1\n2\n", "columns"),
        ("three.csv", "1,2,3\n", "columns"),
        ("ragged.csv", "1,2\n1,2,3\n", "ragged.csv"),
        ("other.csv", "x1,y\n1,2\n", "no column 'x2'"),
        ("binary.csv", b"\xff\xfe\x00\x01", "binary.csv"),
        ("nul.csv", "1,2\x00\n", "nul.csv"),
        ("text.npy", "not an array", "text.npy"),
        ("empty.npy", b"", "empty.npy"),
        ("text.npz", "not an archive", "text.npz"),
        ("table.parquet", "", "is damaged"),
        ("table.xlsx", "", "must end in"),
        ("nowhere.csv", None, "there is no file"),
    ],
)
def test_bad_tables_to_score(refused, run, tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    before = files_under(tmp_path)
    assert sentence in refused("score", run, name, "-o", "scores.csv")
    assert files_under(tmp_path) == before


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3)),
        np.zeros((0, 2)),
        np.zeros(2),
        np.zeros((2, 2, 2)),
        np.full((2, 2), np.nan),
        np.array([["a", "b"]]),
        np.array([[1 + 2j, 3]]),
    ],
)
def test_bad_arrays_to_score(refused, run, tmp_path, array):
    np.save(tmp_path / "data.npy", array)
    assert "data.npy" in refused("score", run, "data.npy", "-o", "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


def test_pickles_are_not_opened(refused, run, tmp_path):
    np.save(tmp_path / "data.npy", np.array([{"a": 1}], object), allow_pickle=True)
    assert "data.npy" in refused("score", run, "data.npy", "-o", "scores.csv")


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_a_truncated_table(refused, run, tmp_path, ending):
    file = tmp_path / f"data.{ending}"
    (np.save if ending == "npy" else np.savez)(file, np.ones((100, 2)))
    file.write_bytes(file.read_bytes()[:300])
    assert file.name in refused("score", run, file, "-o", "scores.csv")


def test_score_into_a_bad_file(refused, run, tmp_path):
    (tmp_path / "data.csv").write_text("1,2\n")
    assert "must end in" in refused("score", run, "data.csv", "-o", "scores.txt")
    assert "folder" in refused("score", run, "data.csv", "-o", "no/folder/scores.csv")


# --- reproduce -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--list"),
        (["nonsense"], "nonsense"),
        (["energies", "--seeds", "0"], "seeds"),
    ],
)
def test_bad_arguments_of_reproduce(refused, tmp_path, arguments, sentence):
    assert sentence in refused("reproduce", *arguments)
    assert list(tmp_path.iterdir()) == []

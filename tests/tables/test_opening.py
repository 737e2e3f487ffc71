"""Tables in files, and what is said of those that are none."""

import gzip

import numpy as np
import pytest

from thalweg.tables import open_table

ROWS = np.array([[1.0, 2.5], [3.0, np.nan], [-1e-3, 4.0]])
TEXT = "a,b\n1,2.5\n3,\n-1e-3,4\n"


def everything(path):
    table = open_table(path)
    return table.rows(table.names)


def same(path, names):
    table = open_table(path)
    assert table.names == names
    assert table.named == (names == ("a", "b"))
    np.testing.assert_array_equal(table.rows(names), ROWS)


def test_csv_with_names_gaps_and_without_names(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeff" + TEXT, encoding="utf-8")
    same(tmp_path / "t.csv", ("a", "b"))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    same(tmp_path / "t.csv.gz", ("a", "b"))
    (tmp_path / "bare.csv").write_text(TEXT.partition("\n")[2])
    same(tmp_path / "bare.csv", ("x0", "x1"))


def test_arrays_and_archives(tmp_path):
    np.save(tmp_path / "t.npy", ROWS)
    same(tmp_path / "t.npy", ("x0", "x1"))
    np.savez(tmp_path / "t.npz", a=ROWS[:, 0], b=ROWS[:, 1])
    same(tmp_path / "t.npz", ("a", "b"))
    np.savez(tmp_path / "one.npz", X=ROWS)
    same(tmp_path / "one.npz", ("x0", "x1"))
    np.save(tmp_path / "line.npy", ROWS[:, 0])
    np.testing.assert_array_equal(open_table(tmp_path / "line.npy").rows(["x0"]), ROWS[:, :1])


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table({"a": [1.0, 3.0, -1e-3], "b": [2.5, None, 4.0], "c": ["x", None, "y"]})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = open_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(found.rows(["a", "b"]), ROWS)
    with pytest.raises(ValueError, match=r"column 'c' of t\.parquet holds text"):
        found.rows(["c"])
    whole = (tmp_path / "t.parquet").read_bytes()
    for name, part in {"half": whole[: len(whole) // 2], "nothing": b""}.items():
        (tmp_path / f"{name}.parquet").write_bytes(part)
        with pytest.raises(ValueError, match="is damaged"):
            open_table(tmp_path / f"{name}.parquet")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"a,b\n1\n", "row 1 has 1 cells; 2 are needed"),
        ("t.csv", b"a,a\n1,2\n", "has two columns 'a'"),
        ("t.csv", b"\xff\xfe\x00", "is damaged"),
        ("t.csv.gz", b"no gzip", "is damaged"),
        ("t.npy", b"nothing", "holds no array of numbers"),
        ("t.npz", b"PK\x03\x04 and no more", "is damaged"),
        ("t.xlsx", b"", "must end in .csv"),
    ],
)
def test_files_without_a_table_are_refused_in_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        everything(tmp_path / name)


def test_folders_and_files_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        open_table(tmp_path)
    with pytest.raises(ValueError, match="there is no file"):
        open_table(tmp_path / "t.csv")


def test_names_that_are_not_there_and_text(tmp_path):
    (tmp_path / "t.csv").write_text("a,town\n1,Ghent\n2,Lille\n")
    table = open_table(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="has no column 'b'; it has a, town"):
        table.rows(["b"])
    with pytest.raises(ValueError, match=r"column 'town' of t\.csv holds text"):
        table.rows(["a", "town"])

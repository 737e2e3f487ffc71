"""Written tables are read back: any names, and every number to its last digit."""

import numpy as np
import pytest

from thalweg.tables import WRITTEN, open_table, write_table

NAMES = ("a,b", 'q"x', "new\nline", "größe", "file", "a/b", "#id", "0", "a.b", "a", "x.npy", "x y")


def values():
    rows = np.random.default_rng(0).normal(size=(5, len(NAMES))) * 10.0 ** np.arange(-6, 6)
    rows[0, 0], rows[1, 1], rows[2, 2], rows[3, 3] = np.nan, -np.inf, 5e-324, -0.0
    return rows


@pytest.mark.parametrize("ending", WRITTEN)
def test_any_names_and_numbers_are_written_and_read_again(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path, rows = tmp_path / f"t{ending}", values()
    write_table(path, rows, NAMES)
    table = open_table(path)
    assert table.names == (NAMES if table.named else tuple(f"x{i}" for i in range(len(NAMES))))
    np.testing.assert_array_equal(table.rows(table.names), rows)
    assert np.signbit(table.rows(table.names)[3, 3])


@pytest.mark.parametrize("ending", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a", "a"), "has two columns 'a'"),
        (("a", "\ud800"), "cannot be written"),
        (("a", "\0"), "no"),
    ],
)
def test_names_that_no_file_can_hold_are_refused_before_work(tmp_path, ending, names, said):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=said):
        write_table(tmp_path / f"t{ending}", np.ones((2, 2)), names)
    assert list(tmp_path.iterdir()) == []

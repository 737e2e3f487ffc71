"""Tables of more than a block of rows, read and written a block at a time."""

import gzip

import numpy as np
import pytest

from thalweg.tables import BLOCK, WRITTEN, open_table, write_blocks, write_table

COUNT = BLOCK + 1000
ROWS = np.random.default_rng(0).normal(size=(COUNT, 3))
NAMES = ("a", "b", "c")


@pytest.mark.parametrize("ending", WRITTEN)
def test_tables_written_in_blocks_are_read_in_blocks(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"t{ending}"
    write_blocks(path, iter([ROWS[:300], ROWS[300:]]), NAMES)
    table = open_table(path)
    assert table.names == (NAMES if table.named else ("x0", "x1", "x2"))
    assert table.named == (ending != ".npy")
    blocks = list(table.blocks([table.names[2], table.names[0]]))
    assert len(blocks) == 2
    assert max(map(len, blocks)) <= BLOCK
    np.testing.assert_array_equal(np.concatenate(blocks), ROWS[:, [2, 0]])
    assert table.rows(table.names, most=3 * COUNT - 1) is None
    np.testing.assert_array_equal(table.rows(table.names, most=3 * COUNT), ROWS)


def test_other_layouts_of_arrays(tmp_path):
    np.save(tmp_path / "t.npy", np.asfortranarray(ROWS.astype(np.float32)))
    table = open_table(tmp_path / "t.npy")
    np.testing.assert_array_equal(table.rows(table.names), ROWS.astype(np.float32))
    np.savez_compressed(tmp_path / "t.npz", X=ROWS)
    table = open_table(tmp_path / "t.npz")
    assert len(list(table.blocks(["x1"]))) == 2
    np.testing.assert_array_equal(table.rows(["x1"]), ROWS[:, 1:2])


def test_numpy_opens_what_was_written(tmp_path):
    write_table(tmp_path / "t.npy", ROWS, NAMES)
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), ROWS)
    write_table(tmp_path / "t.npz", ROWS, NAMES)
    assert np.load(tmp_path / "t.npz").files == list(NAMES)


def test_a_file_that_ends_in_the_middle_is_damaged(tmp_path):
    np.save(tmp_path / "t.npy", ROWS)
    whole = (tmp_path / "t.npy").read_bytes()
    (tmp_path / "t.npy").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="is damaged"):
        open_table(tmp_path / "t.npy").rows(["x0"])
    lines = "a,b\n" + "1.5,2.5\n" * 10_000
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(lines.encode())[:-20])
    with pytest.raises(ValueError, match="is damaged"):
        open_table(tmp_path / "t.csv.gz").rows(["a"])


@pytest.mark.parametrize("ending", WRITTEN)
def test_a_failed_write_leaves_no_file(tmp_path, ending):
    def blocks():
        yield ROWS[:10]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_blocks(tmp_path / f"t{ending}", blocks(), NAMES)
    assert list(tmp_path.iterdir()) == []

"""Sizes that tables declare are checked against their files before anything is allocated."""

import gzip
import os
import resource
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz.mutations import assert_survives
from numpy.lib import format as npy

from thalweg.tables import TableFile, open_table, write_table
from thalweg.tables.csv_file import HEAD
from thalweg.tables.csv_text import LEAST_EXPANDED, MOST_EXPANSION, MOST_LINE
from thalweg.tables.table_file import MOST_COLUMNS

ROWS = np.random.default_rng(0).normal(size=(5, 2))


def load(path):
    table = open_table(path)
    return table.rows(table.names, 2**24)


def refusal(path):
    """The sentence that a file is refused with, within the limits of time and memory."""
    answer = assert_survives(load, path)
    assert isinstance(answer, ValueError), answer
    return str(answer)


def declare(path, shape, dtype="<f8", rest=b"", fortran_order=False):
    with path.open("wb") as stream:
        about = {"descr": dtype, "fortran_order": fortran_order, "shape": shape}
        npy.write_array_header_1_0(stream, about)
        stream.write(rest)
    return path


@pytest.mark.parametrize(
    "shape", [(10, 10**12), (10**12, 10), (10**12,), (2**63, 2**63), (3, 4, 5)]
)
@pytest.mark.parametrize("fortran_order", [False, True])
@pytest.mark.few(3)
def test_an_array_that_declares_more_than_its_file_holds(tmp_path, shape, fortran_order):
    path = declare(tmp_path / "t.npy", shape, fortran_order=fortran_order)
    assert path.stat().st_size == 128
    assert "declares an array of shape" in refusal(path)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((0, 10**12), "<f8", "holds no rows"),
        ((10**12, 0), "<f8", "has no columns"),
        ((10, 10**12), "|S0", "holds no array of numbers"),
        ((10**12,), "|V0", "holds no array of numbers"),
        ((-3, 2), "<f8", "is damaged: it declares an array of shape"),
        ((), "<f8", "must hold one array of rows and columns"),
    ],
)
def test_arrays_of_no_bytes_that_declare_many_numbers(tmp_path, shape, dtype, words):
    path = declare(tmp_path / "t.npy", shape, dtype, b"\0" * 8)
    assert words in refusal(path)
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("a.npy", path.read_bytes()[:128])
    assert "t.npz" in refusal(tmp_path / "t.npz")


def test_a_table_of_more_columns_than_make_sense(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros((1, 2_000_000), np.uint8))
    assert "2,000,000 columns; at most 1,000,000 are read" in refusal(tmp_path / "t.npy")


def test_a_csv_file_of_many_columns_takes_as_long_as_it_is_large(tmp_path):
    """Quadratic, as it was, it took minutes: the limit is that of `assert_survives`."""
    count = 100_000
    names = ",".join(f"column_{i}" for i in range(count))
    lines = [",".join(["1.5"] * count), ",".join(["2"] * count), ",".join(["3"] * count)]
    (tmp_path / "t.csv").write_text("\n".join([names, *lines]))
    found = assert_survives(load, tmp_path / "t.csv")
    np.testing.assert_array_equal(found, np.array([[1.5], [2], [3]]) * np.ones(count))
    (tmp_path / "t.csv").write_text("\n".join([names + ",column_7", *lines]))
    assert "has two columns 'column_7'" in refusal(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("\n".join([names, *lines * 7]))
    assert isinstance(assert_survives(lambda path: open_table(path), tmp_path / "t.csv"), TableFile)
    (tmp_path / "t.csv").write_text(",".join(["1"] * 2**23))
    assert "8,388,608 columns; at most 1,000,000 are read" in refusal(tmp_path / "t.csv")


def test_compressed_text_without_an_end(tmp_path, monkeypatch):
    """A line that does not end, and lines that do not, whatever the file says of its length."""
    line, rows = tmp_path / "line.csv.gz", tmp_path / "rows.csv.gz"
    line.write_bytes(gzip.compress(b"a,b\n" + b"1" * (2**26 + 2**24), 1))
    assert "has a line of more than 33,554,432 characters" in refusal(line)
    assert LEAST_EXPANDED == 2**27
    monkeypatch.setattr("thalweg.tables.csv_text.LEAST_EXPANDED", 2**20)
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 2**22, 9)
    rows.write_bytes(packed)
    assert "unpacks to 16.8 MB or more" in refusal(rows)
    # Another member follows, and at the end stands what it alone declares.
    rows.write_bytes(packed + gzip.compress(b"1,2\n"))
    assert "unpacks to 8.39 MB or more" in refusal(rows)


def test_archives_that_unpack_to_more_than_they_can_hold(tmp_path):
    write_table(tmp_path / "t.npz", np.zeros((1000, 1)), ("a",))
    raw = bytearray((tmp_path / "t.npz").read_bytes())
    directory = raw.index(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")  # the size unpacked
    (tmp_path / "t.npz").write_bytes(raw)
    assert "is damaged: it declares 2.15 GB" in refusal(tmp_path / "t.npz")


def test_other_than_regular_files_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is a pipe; a file that ends in .csv" in refusal(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    assert "is a device" in refusal(tmp_path / "link.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.csv")  # a relative name: that of a socket is short
        assert "is a socket" in refusal(tmp_path / "socket.csv")


def test_links_and_names_that_lead_nowhere(tmp_path):
    (tmp_path / "self.csv").symlink_to(tmp_path / "self.csv")
    assert "leads back to itself" in refusal(tmp_path / "self.csv")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
    assert "a link to a file that is not there" in refusal(tmp_path / "gone.csv")
    assert "longer than a path can be" in refusal(tmp_path / ("a" * 5000 + ".csv"))
    assert "no name of a file" in refusal(tmp_path / "a\0.csv")
    (tmp_path / "file").write_text("")
    assert "there is no file" in refusal(tmp_path / "file" / "t.csv")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    table = open_table(path)
    path.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="changed while it was read"):
        table.rows(["a"])


def test_an_array_stored_by_columns_needs_memory_for_all(tmp_path, monkeypatch):
    np.save(tmp_path / "t.npy", np.asfortranarray(np.zeros((1000, 3))))
    monkeypatch.setattr("thalweg.files.memory.memory", lambda: 10_000)
    assert "needs 48 kB of memory; here are 10 kB" in refusal(tmp_path / "t.npy")


def test_the_limit_of_the_process_counts_as_memory():
    from thalweg.files.memory import memory

    limit, most = resource.getrlimit(resource.RLIMIT_AS)
    before = memory()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (2**43, most))
        assert memory() == min(before, 2**43)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


# --- T: tracebacks -------------------------------------------------------------------------------


def test_cells_of_many_characters(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"a,note\n1,{'x' * 200_000}\n2,y\n")
    np.testing.assert_array_equal(open_table(path).rows(["a"]), [[1], [2]])
    assert "column 'note' of t.csv holds text" in refusal(path)
    path.write_text('a,b\n1,"' + "x" * (2**24 + 9) + "\n")
    assert "is a quote not closed?" in refusal(path)


def test_headers_of_arrays_that_are_no_python(tmp_path):
    for text in ("{'descr': '<f8', 'shape': (", "(" * 5000, "'", "\\N{x}", "0777", "9" * 9999, "é"):
        raw = text.encode("latin-1") + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw
        (tmp_path / "t.npy").write_bytes(content)
        assert "holds no array of numbers that can be read" in refusal(tmp_path / "t.npy")


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "t.npy", np.array([{}], object), allow_pickle=True)
    assert "never unpickled" in refusal(tmp_path / "t.npy")
    np.savez(tmp_path / "t.npz", a=np.array([{}], object))
    assert "never unpickled" in refusal(tmp_path / "t.npz")


def test_archives_that_are_encrypted_or_packed_otherwise(tmp_path):
    write_table(tmp_path / "t.npz", ROWS, ("a", "b"))
    whole = (tmp_path / "t.npz").read_bytes()
    for at, value, words in ((8, 1, "array 'a', is encrypted"), (10, 99, "(number 99)")):
        raw = bytearray(whole)
        raw[raw.index(b"PK\x01\x02") + at] = value
        (tmp_path / "t.npz").write_bytes(raw)
        assert words in refusal(tmp_path / "t.npz")
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", b"x" * 1000)
    assert "another method than NumPy's (lzma)" in refusal(tmp_path / "t.npz")


def test_two_columns_of_one_name(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table([[1.0, 2.0], [3.0, 4.0]], names=["a", "a"])
    parquet.write_table(table, tmp_path / "t.parquet")
    assert "has two columns 'a'" in refusal(tmp_path / "t.parquet")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive, pytest.warns(UserWarning):
        np.save(tmp_path / "a.npy", np.ones(2))
        archive.write(tmp_path / "a.npy", "a.npy")
        archive.write(tmp_path / "a.npy", "a.npy")
    assert "has two columns 'a'" in refusal(tmp_path / "t.npz")


def test_w15_the_index_that_pandas_writes_to_parquet_is_left_out_with_a_note(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table({"a": [1.0, 2.0], "__index_level_0__": [7, 3]})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = open_table(tmp_path / "t.parquet")
    assert found.names == ("a",)
    assert "is left out" in found.notes[0]


@pytest.mark.parametrize("name", ["t.npy", "t.npz", "t.parquet"])
def test_files_of_another_kind_are_said_to_be_it(tmp_path, name):
    if name == "t.parquet":
        pytest.importorskip("pyarrow")
    for content, kind in ((b"\x1f\x8b", "gzip"), (b"SQLite format 3\0", "SQLite")):
        (tmp_path / name).write_bytes(content + b"\0" * 100)
        assert kind in refusal(tmp_path / name)


def test_parquet_with_statistics_of_another_length_ends_no_process(tmp_path):
    """pyarrow aborts where it is asked for the metadata of such a column: it is not asked."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    write = parquet.write_table
    write(arrow.table({"a": [1.0, 2.0]}), tmp_path / "t.parquet", compression="none")
    whole = (tmp_path / "t.parquet").read_bytes()
    begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for at in range(begin, len(whole) - 8):
        changed = bytearray(whole)
        changed[at] ^= 0x10
        (tmp_path / "t.parquet").write_bytes(changed)
        assert_survives(load, tmp_path / "t.parquet")


def test_w10_the_page_about_tables_states_the_rule_and_the_bounds(call_help):
    page = " ".join((Path(__file__).parents[2] / "docs" / "tables.md").read_text("utf-8").split())
    for number in (MOST_COLUMNS, MOST_LINE):
        assert f"{number:,}" in page
    assert f"{LEAST_EXPANDED // 2**20} MiB" in page
    assert f"more than {MOST_EXPANSION} times its size" in page
    assert f"first {HEAD} lines" in page
    for verb in ("estimate", "score"):
        said = call_help(verb)
        for option in ("--no-header", "--separator", "--decimal", "--drop-missing"):
            assert option in said
            assert option in page
        assert "count up by one" in said


@pytest.fixture
def call_help():
    """The help of a verb on one line."""
    from click.testing import CliRunner

    from thalweg.cli.group import thalweg

    def call(verb):
        return " ".join(CliRunner().invoke(thalweg, [verb, "--help"]).output.split())

    return call

"""Layouts of csv files: names, separators, decimals, missing values; and notes on them."""

import gzip

import numpy as np
import pytest

from thalweg.tables import Reading, open_table

ROWS = np.random.default_rng(0).normal(size=(30, 3))
BODY = "".join(",".join(map(repr, row)) + "\n" for row in ROWS.tolist())


@pytest.fixture
def opened(tmp_path):
    """Open a file of this text."""

    def write(content, *, name="t.csv", **reading):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_table(path, Reading(**reading))

    return write


def everything(table):
    return table.rows(table.names)


# --- W10: names that are numbers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "0,1,2",
        "1,2,3",
        "-1,0,1",
        "0.05,0.5,0.95",
        "2019,2020,2021",
        "10,250,9000",
        "1e6,2e6,3e6",
        '"0","1","2"',
        "0, 1, 2",
    ],
)
def test_w10_a_header_of_numbers_is_a_header(opened, header):
    table = opened(f"{header}\n{BODY}")
    assert table.names == tuple(cell.strip(' "') for cell in header.split(","))
    np.testing.assert_array_equal(everything(table), ROWS)
    assert "is read as the names" in table.notes[0]
    assert "--no-header" in table.notes[0]
    assert table.reading["header"] is True


def test_w10_a_file_of_rows_alone_keeps_its_first_row(opened):
    table = opened(BODY)
    assert table.names == ("x0", "x1", "x2")
    np.testing.assert_array_equal(everything(table), ROWS)
    assert "--header" in table.notes[0]
    assert table.reading["header"] is False


@pytest.mark.parametrize("first", ["3,3,1", "nan,1,2", ",0.5,2", "7,2,5", "NA,0.1,0.2"])
def test_w10_a_first_row_that_is_like_the_others_is_none(opened, first):
    rows = "".join(f"{a},{b},{c}\n" for a, b, c in np.arange(27).reshape(9, 3) % 8)
    table = opened(f"{first}\n{rows}")
    assert not table.named
    assert len(everything(table)) == 10


def test_w10_one_may_say_what_the_first_line_is(opened):
    assert opened(f"0,1,2\n{BODY}", header=False).names == ("x0", "x1", "x2")
    assert len(everything(opened(f"0,1,2\n{BODY}", header=False))) == 31
    assert opened("5,6.5\n2,3\n", header=True).names == ("5", "6.5")
    assert opened("5,6.5\n2,3\n", header=True).notes == ()


def test_w10_names_that_are_looked_for_tell_what_the_first_line_is(opened):
    assert opened("5,6.5\n2,3\n", wanted=("6.5",)).named
    assert not opened("0,1\n2,3\n", wanted=("x1", "x0")).named


def test_w10_the_index_of_a_frame_is_left_out_with_a_note(opened):
    for first in ("", "Unnamed: 0"):
        table = opened(f"{first},a,b\n0,1.5,2\n1,3,4\n2,5,6\n")
        assert table.names == ("a", "b")
        np.testing.assert_array_equal(everything(table), [[1.5, 2], [3, 4], [5, 6]])
        assert "numbers the rows and is left out" in table.notes[0]
    table = opened(",0,1\n0,.5,.25\n1,1,2\n")
    assert table.names == ("0", "1")
    np.testing.assert_array_equal(everything(table), [[0.5, 0.25], [1, 2]])


def test_w10_a_column_without_a_name_that_does_not_count_is_refused(opened):
    table = opened(",a\n7,1.5\n3,2.5\n")
    with pytest.raises(ValueError, match=r"column 1 of t\.csv has no name"):
        everything(table)
    np.testing.assert_array_equal(table.rows(["a"]), [[1.5], [2.5]])


# --- U: separators, decimals, encodings ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a;b\n1,5;2,5\n3;-4,25\n", ("a", "b"), [[1.5, 2.5], [3, -4.25]]),
        ("1,5;2,5\n0,25;4\n", ("x0", "x1"), [[1.5, 2.5], [0.25, 4]]),
        ("a;b\n1.5;2\n", ("a", "b"), [[1.5, 2]]),
        ("a\tb\n1.5\t2\n", ("a", "b"), [[1.5, 2]]),
        ("a\tb\n1,5\t2\n", ("a", "b"), [[1.5, 2]]),
        ("a|b\n1.5|2\n", ("a", "b"), [[1.5, 2]]),
        (" 1.0e+00  2\n-3.0e+00 4\n", ("x0", "x1"), [[1, 2], [-3, 4]]),
        ("sep=;\na;b\n1;2\n", ("a", "b"), [[1, 2]]),
        ("# a,b\n1.5,2\n3,4\n", ("a", "b"), [[1.5, 2], [3, 4]]),
        ("# by hand, on Monday\na,b\n1.5,2\n", ("a", "b"), [[1.5, 2]]),
        ("a,b,\n1,2,\n3,4,\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b\n1,2,\n3,4,\n", ("a", "b"), [[1, 2], [3, 4]]),
    ],
)
def test_unusual_layouts_are_read_with_a_note(opened, text, names, rows):
    table = opened(text)
    assert table.names == names
    np.testing.assert_array_equal(everything(table), rows)
    assert (table.notes == ()) == text.startswith("sep=")
    np.testing.assert_array_equal(everything(opened(text.replace("\n", "\r\n"))), rows)
    packed = opened(gzip.compress(text.encode()), name="t.csv.gz")
    np.testing.assert_array_equal(everything(packed), rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_texts_of_other_encodings_are_read(opened, encoding):
    table = opened("größe,b\n1.5,2\n".encode(encoding))
    assert table.names == ("größe", "b")
    np.testing.assert_array_equal(everything(table), [[1.5, 2]])
    assert bool(table.notes) == (encoding in ("utf-16", "utf-32", "cp1252"))


def test_blank_lines_quotes_and_marks_of_missing_values(opened):
    table = opened('"a ""x""","b,c"\n\n"1",NA\n   \n ?,2\n,n/a\n<NA>,null\n3,.\n\n')
    assert table.names == ('a "x"', "b,c")
    np.testing.assert_array_equal(
        everything(table), [[1, np.nan], [np.nan, 2], [np.nan] * 2, [np.nan] * 2, [3, np.nan]]
    )
    assert table.notes == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a;b\n1,234;2,500\n", "Say --decimal ,"),
        ('a,b\n"1,234.5",2\n', "thousands marked by commas"),
        ('a,b\n"1,5",2\n', "with a decimal comma, it seems: say --decimal ,"),
        ("a\n1,5\n2,5\n", "row 1 has 2 cells; 1 are needed: if commas begin decimals"),
        ("a,b\n1,2\n3;4\n", "row 2 has 1 cells; 2 are needed: columns seem separated by ';'"),
        ("a,b\nr1,1,2\n", "names of rows"),
        ("a,b\n1,2\n# end\n", "comments before the first row alone"),
        ("a\n1_000\n", "column 'a' of t.csv holds text"),
        ("a,b\n1,2\x00\n", "holds text"),
        ("1,2\x00\n", "zero bytes"),
        ('{"a": 1}\n', "seems to be JSON"),
        ("<!DOCTYPE html>\n", "seems to be HTML"),
        (b"PK\x03\x04....", "seems to be a zip archive"),
        (b"PAR1....", "seems to be a parquet file"),
        (b"\x1f\x8b\x08....", "seems to be compressed by gzip"),
        ("a,b\n\n \n", "holds no rows"),
        ("\n\n", "is empty"),
        ("# one\n# two\n", "holds no rows"),
    ],
)
def test_unreadable_files_get_a_sentence_that_helps(opened, text, said):
    with pytest.raises(ValueError) as refused:
        everything(opened(text))
    assert said in str(refused.value)


def test_true_and_false_are_numbers(opened):
    found = everything(opened("a,b\nTrue,1\nFalse,0\nNA,TRUE\n"))
    np.testing.assert_array_equal(found, [[1, 1], [0, 0], [np.nan, 1]])


def test_long_comments_and_rows_of_several_lines(opened):
    table = opened("# a long preface\n" * 500 + "a;b\n1,5;2,5\n")
    np.testing.assert_array_equal(everything(table), [[1.5, 2.5]])
    rows = '1;"two\nlines\nor three"\n' * 300
    table = opened("a;note\n" + rows)
    assert table.names == ("a", "note")
    np.testing.assert_array_equal(table.rows(["a"]), np.ones((300, 1)))


def test_options_decide_where_a_file_does_not(opened):
    both = opened("a;b\n1,234;2,500\n", decimal=",")
    np.testing.assert_array_equal(everything(both), [[1.234, 2.5]])
    quoted = opened('a,b\n"1,5",2\n', decimal=",")
    np.testing.assert_array_equal(everything(quoted), [[1.5, 2]])
    one = opened("1,5\n2,5\n", decimal=",")
    np.testing.assert_array_equal(everything(one), [[1.5], [2.5]])
    np.testing.assert_array_equal(everything(opened("a:b\n1:2\n", separator=":")), [[1, 2]])
    with pytest.raises(ValueError, match="with a point where decimals have a comma"):
        everything(opened("a;b\n1.234;2,5\n", decimal=","))


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"separator": "ab"}, "separator must be one sign"),
        ({"separator": "1"}, "separator must be one sign"),
        ({"separator": 3}, "separator must be a string"),
        ({"decimal": ";"}, "decimal must be"),
        ({"header": "yes"}, "header must be True or False"),
    ],
)
def test_options_that_are_none_are_refused(reading, said):
    with pytest.raises(ValueError, match=said):
        Reading(**reading)


def test_options_of_text_are_refused_for_other_files(tmp_path):
    np.save(tmp_path / "t.npy", ROWS)
    with pytest.raises(ValueError, match="no csv file: --no-header, --decimal are for these alone"):
        open_table(tmp_path / "t.npy", Reading(header=False, decimal=","))

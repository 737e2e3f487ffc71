"""Columns by name, as far as anyone reads."""

from thalweg.tables.table_file import listed


def test_few_names_are_all_said():
    assert listed(["a", "b"]) == "a, b"
    assert listed([f"c{i}" for i in range(9)]).endswith("c7, c8")  # "and 1 more" would say less


def test_many_names_are_listed_by_the_first_and_a_count():
    assert listed([f"c{i}" for i in range(500)]) == "c0, c1, c2, c3, c4, c5, c6, c7 and 492 more"

"""Cells that are kept as files."""

from dataclasses import dataclass

import pytest

from thalweg.experiments.kept import kept


@dataclass(frozen=True)
class Found:
    value: float
    row: tuple[int, ...] = (1, 2)


def make(value):
    def write(checkpoint):
        checkpoint.write_text("half of it")
        return Found(value)

    return write


def test_what_was_found_is_read_again_and_what_else_is_asked_is_not(tmp_path):
    expected = {"value": 0.1, "row": [1, 2]}
    assert kept(tmp_path, "a", {"steps": (1,)}, make(0.1)) == expected
    assert kept(tmp_path, "a", {"steps": (1,)}, make(0.2)) == expected
    assert kept(tmp_path, "a", {"steps": (2,)}, make(0.2)) == {**expected, "value": 0.2}
    assert len(list(tmp_path.iterdir())) == 2  # no checkpoint is left


def test_a_run_that_was_stopped_keeps_its_checkpoint(tmp_path):
    def stopped(checkpoint):
        checkpoint.write_text("half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, "a", {}, stopped)
    (left,) = tmp_path.iterdir()
    found = kept(tmp_path, "a", {}, lambda path: Found(len(path.read_text())))
    assert found["value"] == 10
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"found": 3}'])
def test_a_damaged_file_gets_one_sentence(tmp_path, text):
    kept(tmp_path, "a", {}, make(0.1))
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\.json is damaged; without it the model is made anew"):
        kept(tmp_path, "a", {}, make(0.1))

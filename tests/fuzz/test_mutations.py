"""The harness finds what it is there to find."""

import time

import numpy as np
import pytest
from fuzz.mutations import Hangs, assert_survives, damaged, damaged_json


def test_results_and_sentences_pass(tmp_path):
    def refuse(path):
        raise ValueError(f"{path} is damaged")

    assert assert_survives(lambda path: 3, tmp_path) == 3
    assert isinstance(assert_survives(refuse, tmp_path), ValueError)


def raising(error):
    def load(path):
        raise error

    return load


def takes_memory(path):
    return np.zeros(2**31, np.uint8)


def takes_time(path):
    begun = time.process_time()
    while time.process_time() - begun < 60:
        pass


@pytest.mark.parametrize(
    ("load", "named"),
    [
        (raising(KeyError("x")), "KeyError"),
        (raising(SystemExit(1)), "SystemExit"),
        (raising(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")), "UnicodeDecodeError"),
        (raising(ValueError("two\nlines")), "not one sentence"),
        (raising(ValueError("")), "not one sentence"),
        (takes_memory, "MemoryError"),
    ],
)
def test_everything_else_fails(tmp_path, load, named):
    with pytest.raises(AssertionError, match=named):
        assert_survives(load, tmp_path)


def test_a_hang_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.mutations.SECONDS", 0.2)
    with pytest.raises(AssertionError, match=Hangs.__name__):
        assert_survives(takes_time, tmp_path)


def test_damage_is_repeatable_and_not_always_the_same():
    whole = b'{"header": 12}' + bytes(range(256))
    found = {damaged(whole, np.random.default_rng(seed)) for seed in range(50)}
    again = {damaged(whole, np.random.default_rng(seed)) for seed in range(50)}
    assert found == again
    assert len(found) > 40


def test_a_json_document_keeps_its_form():
    document = {"a": [1, 2, {"b": None}], "c": "text"}
    kept = {"a": [1, 2, {"b": None}], "c": "text"}
    found = [damaged_json(document, np.random.default_rng(seed)) for seed in range(50)]
    assert document == kept
    assert sum(one != document for one in found) > 40

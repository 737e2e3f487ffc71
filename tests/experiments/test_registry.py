"""The registry, the record of how things were made, and the verb that runs them."""

import json

import pytest
from click.testing import CliRunner

from thalweg.cli.reproduce import command
from thalweg.experiments import record
from thalweg.experiments.registry import EXPERIMENTS, find


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown experiment 'moon'.*energies.*transport"):
        find("moon")


def test_the_verb_lists_the_experiments():
    plain = CliRunner().invoke(command, ["--list"], standalone_mode=False)
    assert plain.return_value == 0
    for name, experiment in EXPERIMENTS.items():
        assert name in plain.output
        assert experiment.shows in plain.output
    listed = json.loads(CliRunner().invoke(command, ["--list", "--json"]).output)
    assert [one["name"] for one in listed] == sorted(EXPERIMENTS)


def test_the_command_can_be_pasted_into_a_shell(tmp_path):
    line = record.command_line("energies", tmp_path / "a b", quick=False, seeds=5)
    assert line == f"thalweg reproduce energies --seeds 5 --out '{tmp_path / 'a b'}'"


def test_a_package_outside_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PACKAGE", tmp_path)
    assert record.source.__wrapped__() == {"commit": None, "changed": None}


def test_csv_keeps_columns_that_only_some_rows_have(tmp_path):
    record.write_csv(tmp_path / "t.csv", [{"a": 1}, {"a": 2, "b": "x"}])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").split() == ["a,b", "1,", "2,x"]

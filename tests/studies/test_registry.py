"""The registry, the record of how things were made, and the verb that runs them."""

import importlib
import json
import subprocess
import sys
from importlib.metadata import EntryPoints

import click
import pytest
from click.testing import CliRunner

from thalweg.cli import reproduce
from thalweg.cli.main import main
from thalweg.cli.reproduce import command, find_study, studies
from thalweg_studies import provenance, registry, report
from thalweg_studies.run_spec import RunSpec

ALL = [each for each in vars(registry).values() if isinstance(each, registry.Study)]


def test_every_study_is_an_entry_point_of_its_name():
    assert {name: find_study(name) for name in studies()} == {each.name: each for each in ALL}


def test_listing_studies_needs_no_jax():
    code = "import sys, thalweg_studies.registry; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("study", ALL, ids=lambda study: study.name)
def test_every_study_has_a_module_that_runs(study):
    assert callable(importlib.import_module(f"thalweg_studies.{study.module}").run)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown study 'moon'.*energies.*transport"):
        find_study("moon")


@pytest.mark.parametrize("words", [["mnist"], ["--list"], ["--list", "--json"]])
def test_without_studies_the_verb_says_what_to_install(monkeypatch, capsys, words):
    monkeypatch.setattr(reproduce, "entry_points", lambda group: EntryPoints())
    with pytest.raises(click.UsageError):
        studies()
    assert main(["reproduce", *words]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "pip install 'thalweg[studies]'" in said.err
    assert said.out == ""


def test_the_verb_lists_the_studies():
    plain = CliRunner().invoke(command, ["--list"], standalone_mode=False)
    assert plain.return_value == 0
    for study in ALL:
        assert study.name in plain.output
        assert study.shows in plain.output
    listed = json.loads(CliRunner().invoke(command, ["--list", "--json"]).output)
    assert [one["name"] for one in listed] == sorted(study.name for study in ALL)


def test_the_command_can_be_pasted_into_a_shell(tmp_path):
    line = RunSpec("energies", tmp_path / "a b", seeds=5).command
    assert line == f"thalweg reproduce energies --seeds 5 --out '{tmp_path / 'a b'}'"
    line = RunSpec("mnist", tmp_path, choices={"layers": (0, 10), "flow": ("planar",)}).command
    assert line == f"thalweg reproduce mnist --out {tmp_path} --layers 0 10 --flow planar"


def test_a_package_outside_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", (provenance.PACKAGES[0], tmp_path))
    assert provenance.source.__wrapped__() == {"commit": None, "changed": None}


def test_csv_keeps_columns_that_only_some_rows_have(tmp_path):
    report.write_csv(tmp_path / "t.csv", [{"a": 1}, {"a": 2, "b": "x"}])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").split() == ["a,b", "1,", "2,x"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (float("nan"), "–"), (-0.0001, "−0.0001"), (1.5, "1.5000")]
)
def test_numbers_of_tables(value, text):
    assert report.number(value, 4) == text

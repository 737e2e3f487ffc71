"""The command and the call that repeat a run, and formatted numbers."""

import importlib
import shlex

import click
import numpy as np
import pytest
from report.posteriors import make

from thalweg import Parameters
from thalweg.report import encoding, estimation, repeat
from thalweg.report.numbers import duration, percent, plus_minus, significant
from thalweg.report.repeat import command_line, python_call
from thalweg.supports import interval


def test_the_command_repeats_the_request():
    record = make(3).record
    words = shlex.split(command_line(record))
    assert words[:5] == ["thalweg", "infer", "standard_normal", "--dim", "3"]
    pairs = dict(zip(words[5::2], words[6::2], strict=True))
    assert pairs == {
        "--flow": "gaussian",
        "--steps": "100",
        "--batch": "64",
        "--lr": "0.01",
        "--restarts": "2",
        "--seed": "7",
        "--layers": "4",
    }
    record["target"] = {"reference": "a b.py:f", "dim": 3, "name": "f", "options": {}}
    assert shlex.split(command_line(record))[2:5] == ["a b.py:f", "--dim", "3"]
    record["environment"]["x64"] = True
    assert command_line(record).endswith(" --x64")
    record["request"]["flow_options"] = {"hidden": [16, 16]}
    assert "--hidden 16" in command_line(record)
    for change in ({"annealing": False}, {"flow": None}, {"flow_options": {"bins": 8}}):
        assert command_line({**record, "request": {**record["request"], **change}}) is None


@pytest.mark.parametrize(
    ("verb", "keywords", "others"),
    [
        ("infer", repeat.KEYWORDS, {"layers", "hidden", "dim", "data", "init"}),
        (
            "estimate",
            estimation.KEYWORDS,
            {"columns", "context", "marginals", "discrete", "header", "separator", "decimal"}
            | {"drop_missing", "test_fraction", "seed"},
        ),
        ("fit_vae", encoding.KEYWORDS, {"binarisation", "draws", "rows", "few", "gaps", "seed"}),
    ],
)
def test_every_option_of_a_verb_is_in_the_command_of_its_page(verb, keywords, others):
    command = importlib.import_module(f"thalweg.cli.{verb}").command
    options = {each.name for each in command.params if isinstance(each, click.Option)}
    of_the_run = {"out", "no_report", "x64", "as_json", "traceback"}
    assert options - of_the_run == {*keywords, *others}


def test_options_that_are_defaults_are_not_repeated():
    record = make(3).record
    record["target"].update(name="funnel", options={"dim": 10, "scale": 3.0})
    assert "infer funnel --dim 10 --flow" in command_line(record)
    assert "'funnel',\n    dim=10," in python_call(record)
    record["target"]["options"]["scale"] = 2.0
    assert command_line(record) is None
    assert "tw.targets.get('funnel', dim=10, scale=2.0)" in python_call(record)


def test_the_call_runs_and_asks_for_the_same(monkeypatch):
    asked = {}
    monkeypatch.setattr("thalweg.infer", lambda *a, **k: asked.update(k, target=a), raising=False)
    record = make(3).record
    record["request"]["flow_options"] = {"hidden": [8, 8]}
    record["request"]["annealing"] = False
    exec(python_call(record), {})
    assert asked["target"] == ("standard_normal",)
    for key in ("steps", "batch_size", "learning_rate", "restarts", "seed", "flow"):
        assert asked[key] == record["request"][key]
    assert asked["dim"] == 3
    assert asked["hidden"] == [8, 8]
    assert asked["annealing"] is False
    record["request"].update(flow=None, annealing="own", gradient="total")
    record["target"] = {"name": "<lambda>", "dim": 3, "reference": None}
    call = python_call(record)
    compile(call, "call", "exec")
    assert "log_density" in call and "gradient='total'" in call


def test_the_call_declares_named_parameters():
    record = make(3).record
    declared = Parameters.declare(
        {"tau": (), "theta": (2,), "share": ()},
        {"tau": "positive", "share": interval(0.0, lambda before: before["tau"])},
    )
    record["target"] = {"name": "model", "reference": None, "parameters": declared.to_record()}
    call = python_call(record)
    compile(call, "call", "exec")
    assert "    model,\n    parameters={'tau': (), 'theta': (2,), 'share': ()},\n" in call
    assert "    supports={'tau': 'positive', 'share': my_support},\n" in call


def test_formatted_numbers():
    assert plus_minus(1.23456, 0.00123) == "1.2346 ±\u00a00.0012"
    assert plus_minus(-0.00001, 0.02) == "0.000 ±\u00a00.020"
    assert plus_minus(np.inf, np.nan) == "∞"
    assert significant(-12.3456) == "−12.35"
    assert significant(1e-9) == "1.000e−09"
    assert duration(7325) == "2 h 2 min"
    assert percent(0.9996) == "100 %" and percent(1e-5) == "< 0.1 %"


def test_models_are_called_as_they_were_made():
    record = make(3).record
    record["target"].update(reference=None, source="a PyMC model", name="model")
    assert "tw.targets.from_pymc(model),\n" in python_call(record)
    record["target"].update(source="a NumPyro model", name="schools")
    assert "tw.targets.from_numpyro(schools, ...),\n" in python_call(record)

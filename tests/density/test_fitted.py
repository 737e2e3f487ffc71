"""Fitted densities as plain values: the attributes of an estimator, also from older folders."""

from dataclasses import fields

from thalweg.density.fitted import FittedDensity

VALUE = FittedDensity(**{one.name: one.name.upper() for one in fields(FittedDensity)})


def test_attributes_are_the_fields_and_back():
    attributes = VALUE.attributes()
    assert attributes["train_nll_"] == "TRAIN_NLL"
    assert FittedDensity.from_attributes({**attributes, "other_": 1}) == VALUE


def test_facts_are_what_json_can_hold():
    left = set(VALUE.attributes()) - set(VALUE.facts())
    assert left == {"flow_", "preparation_", "context_preparation_", "history_"}


def test_older_folders_lack_what_came_later():
    later = {
        "valid_nll_se_": None,
        "outlying_rows_": {},
        "notices_": [],
        "interrupted_": False,
    }
    older = {name: value for name, value in VALUE.attributes().items() if name not in later}
    found = FittedDensity.from_attributes(older).attributes()
    assert {name: found[name] for name in later} == later

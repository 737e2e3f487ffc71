"""The entries of a run's record and the kind of value of each.

A record may come from a stranger, or from a disk that loses bytes. Whatever reads one afterwards
can rely on the kinds of its entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MOST = 2**31  # no whole number of a record is larger: dimensions, steps, rows
TERMS = ("reconstruction", "log_prior", "log_base", "log_det")  # of the bound of a latent model


class Kind(NamedTuple):
    """The values that an entry may have, in words and as a predicate."""

    words: str
    holds: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) <= MOST


def _number(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < 2**63
    return type(value) is float and math.isfinite(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _digests(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, str) and len(one) == 64 for one in value.values()
    )


TEXT = Kind("text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
COUNT = Kind("a whole number that is not negative", lambda value: _whole(value) and value >= 0)
SIZE = Kind("a positive whole number", lambda value: _whole(value) and value >= 1)
SEED = Kind("a whole number", lambda value: type(value) is int and abs(value) < 2**128)
NUMBER = Kind("a number", _number)
POSITIVE = Kind("a positive number", lambda value: _number(value) and value > 0)
TEXTS = Kind("a list of names", _texts)
DIGESTS = Kind("digests by name", _digests)
TABLE = Kind("a dictionary", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))


def _sizes(value: Any, least: int) -> bool:
    whole = isinstance(value, list) and all(_whole(one) and one >= least for one in value)
    return whole and math.prod(value) <= MOST


SHAPE = Kind("a list of sizes", lambda value: _sizes(value, 1))
PARAMETER_SHAPE = Kind("a list of sizes", lambda value: _sizes(value, 0))


def none_or(kind: Kind) -> Kind:
    """The kind, or null."""
    return Kind(f"{kind.words} or null", lambda value: value is None or kind.holds(value))


Schema = Mapping[str, Any]  # a Kind, or another schema, by key; "key?" need not be there

COMMON: Schema = {
    "job": TEXT,
    "status": TEXT,
    "environment?": {"x64?": FLAG, "device?": TEXT, "machine?": TEXT, "versions?": TABLE},
    "written?": TEXT,
    "seconds?": none_or(NUMBER),
    "files?": none_or(DIGESTS),
    "contents?": none_or(DIGESTS),
    "notes?": none_or(TABLE),
}
TARGET: Schema = {
    "name": TEXT,
    "dim": SIZE,
    "reference": none_or(TEXT),
    "options": TABLE,
    "parameter_names": TEXTS,
    "parameters?": none_or(TABLE),
    "log_z?": none_or(NUMBER),
    "source?": TEXT,
    "files?": DIGESTS,
    "values?": Kind(
        "a list of numbers",
        lambda value: isinstance(value, list) and all(one is None or _number(one) for one in value),
    ),
    "points?": TEXT,
}
RUNNING: Mapping[str, Schema] = {
    "infer": {
        "target": TARGET,
        "request?": {
            "flow?": none_or(TEXT),
            "flow_options?": TABLE,
            "steps?": SIZE,
            "batch_size?": SIZE,
            "restarts?": SIZE,
            "learning_rate?": POSITIVE,
            "seed?": SEED,
            "refine?": none_or(TEXT),
            "gradient?": TEXT,
            "time_limit?": none_or(POSITIVE),
            "effort?": TEXT,
        },
    },
    "estimate": {
        "request?": {
            "data": TEXT,
            "columns": none_or(TEXTS),
            "context": none_or(TEXTS),
            "test_fraction": POSITIVE,
            "missing": TEXT,
            "seed": SEED,
            "options": TABLE,
        },
    },
    "encode": {
        "request?": {
            "dataset": TEXT,
            "draws": SIZE,
            "rows?": none_or(SIZE),
            "few?": none_or(SIZE),
            "gaps?": none_or(SIZE),
            "seed": SEED,
            "options": TABLE,
        },
    },
}
COMPLETE: Mapping[str, Schema] = {
    "infer": {
        "parameter_names": TEXTS,
        "diagnostics": {
            **dict.fromkeys(
                ("elbo", "elbo_se", "log_evidence", "log_evidence_se"), none_or(NUMBER)
            ),
            **dict.fromkeys(("khat", "ess_fraction", "kl"), none_or(NUMBER)),
            "parameters?": COUNT,
            "kept?": TEXT,
            "gaussian?": none_or(TABLE),
            "restarts?": {
                "objective?": none_or(LIST),
                "skipped_steps?": none_or(LIST),
                "best?": COUNT,
            },
            "coverage?": none_or(TABLE),
            "census?": none_or(TABLE),
            "not_finite?": TABLE,
            "start?": {"chosen?": TEXT, "elbo?": none_or(NUMBER), "modes?": COUNT},
        },
        "verdict": TEXT,
        "reasons": TEXTS,
        "interrupted": FLAG,
        "refined?": none_or(TABLE),
        "steps_taken?": COUNT,
        "compile_seconds?": none_or(NUMBER),
        "compile_seconds_total?": none_or(NUMBER),
    },
    "estimate": {
        "options": TABLE,
        "names": none_or(TEXTS),
        "facts": {
            "noise_": none_or(NUMBER),
            "gaussian_weight_": none_or(NUMBER),
            "weights_?": TABLE,
            "out_of_time_?": FLAG,
            "n_steps_": COUNT,
            "seed_": COUNT,
            "train_nll_": none_or(NUMBER),
            "valid_nll_": none_or(NUMBER),
            "constant_columns_": TEXTS,
            "discrete_columns_": TEXTS,
            "repeated_values_": TABLE,
            "duplicate_rows_": none_or(COUNT),
            "n_features_in_": SIZE,
            "rows_per_second_": none_or(NUMBER),
            "flow_options_": TABLE,
            "members_": SIZE,
        },
        "results?": {
            **dict.fromkeys(("train_nll", "valid_nll", "test_nll"), none_or(NUMBER)),
            "test_nll_se": none_or(NUMBER),
            "test_rows": SIZE,
            "parameters": COUNT,
            "rows_per_second": none_or(NUMBER),
            "baselines": LIST,
            "rows": SIZE,
            "columns": TEXTS,
        },
    },
    "encode": {
        "options": TABLE,
        "shape": SHAPE,
        "results?": {
            **dict.fromkeys(("elbo", "elbo_se", "nll", "nll_se", "kl"), none_or(NUMBER)),
            "draws_se": none_or(NUMBER),
            "effective_draws": none_or(NUMBER),
            "rows_of_few": COUNT,
            "active_units": COUNT,
            "parameters": COUNT,
            "draws": SIZE,
            "rows": SIZE,
            "terms": dict.fromkeys(TERMS, none_or(NUMBER)),
            "gaps?": TABLE,
            "all_rows?": SIZE,
        },
        "binarisation?": none_or(TEXT),
        "evaluation_seconds?": POSITIVE,
        "out_of_time?": FLAG,
    },
}


def check_record(record: Mapping[str, Any]) -> None:
    """Raise `ValueError` that names the first entry of a record that is absent or of another kind.

    Of an unfinished run what was asked is checked, of a complete one what came out, too.
    """
    _check(record, COMMON, "")
    job = record["job"]
    _check(record, RUNNING.get(job, {}), "")
    if record["status"] == "complete":
        _check(record, COMPLETE.get(job, {}), "")
    if job == "infer":
        target = record["target"]
        if len(target["parameter_names"]) != target["dim"]:
            count = len(target["parameter_names"])
            raise ValueError(
                f"its entry target.parameter_names has {count} names for {target['dim']} parameters"
            )
        _check_parameters(target.get("parameters"))
    for one in (record.get("results") or {}).get("baselines", ()):
        _check_baseline(one)


def _check(node: Any, schema: Schema, path: str) -> None:
    for key, kind in schema.items():
        name = key.removesuffix("?")
        place = f"{path}{name}"
        if name not in node:
            if key.endswith("?"):
                continue
            raise ValueError(f"it lacks the entry {place}")
        value = node[name]
        if isinstance(kind, Kind):
            if not kind.holds(value):
                raise ValueError(f"its entry {place} must be {kind.words}, and is {_quoted(value)}")
            continue
        if not isinstance(value, dict):
            raise ValueError(f"its entry {place} must be a dictionary, and is {_quoted(value)}")
        _check(value, kind, f"{place}.")


def _check_parameters(parameters: Mapping[str, Any] | None) -> None:
    if parameters is None:
        return
    kinds = {"shapes": PARAMETER_SHAPE, "supports": TEXT, "paths?": TEXTS}
    _check(parameters, dict.fromkeys(kinds, TABLE), "target.parameters.")
    for key, kind in kinds.items():
        entry = key.removesuffix("?")
        for name, value in parameters.get(entry, {}).items():
            # Not by `_check`: names may end in a question mark, and in anything else.
            if not kind.holds(value):
                raise ValueError(
                    f"its entry target.parameters.{entry}.{name} must be {kind.words}, and is "
                    f"{_quoted(value)}"
                )
    if list(parameters["supports"]) != list(parameters["shapes"]):
        raise ValueError("its entries target.parameters.shapes and supports are of other names")


def _check_baseline(baseline: Any) -> None:
    numbers = dict.fromkeys(("test_nll", "worse_by", "worse_by_se"), none_or(NUMBER))
    if not isinstance(baseline, dict):
        raise ValueError(
            f"its entry results.baselines must hold dictionaries, not {baseline!r:.40}"
        )
    _check(baseline, {"name": TEXT, "chosen": none_or(TEXT), **numbers}, "results.baselines.")


def _quoted(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}…"

"""The density of a run that was read from a folder: found by name, given, or not at hand.

A folder may come from anyone. What it names is never imported or compiled because it says so: code
comes from the caller, or is run where the caller says that it may be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg import targets
from thalweg.files.digests import check_unchanged
from thalweg.inference.arguments import as_target
from thalweg.parameters import Parameters
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.frameworks.stan import REFERENCE as STAN_REFERENCE
from thalweg.targets.target import Target

Given = Target | Callable[[Any], Any] | str  # the density of a run as a user hands it over

BUILT_IN = "built-in"
_COMPARED = 8  # points at which a density is compared with the one that a run was made with
_RELATIVE, _ABSOLUTE = 1e-4, 1e-2
_MOST_OF_OPTIONS = 2**24


def target_record(target: Target) -> dict[str, Any]:
    """Return the entry of a run folder for its target, enough to find it where that is possible."""
    return {
        "name": target.name,
        "dim": target.dim,
        "reference": target.reference,
        "options": dict(target.options),
        "log_z": target.log_z,
        "source": target.source,
        "parameter_names": list(target.parameter_names),
        "parameters": None if target.parameters is None else target.parameters.to_record(),
        "files": dict(target.files),
    }


def find_target(
    record: Mapping[str, Any],
    run: str = "RUN",
    given: Given | None = None,
    *,
    trust_code: bool = False,
) -> Target:
    """Return the target that a record speaks of.

    `given` is the density as the caller has it: a `Target`, a function, "file.py:function", the
    path of a Stan program that needs no data, or the name of a built-in density. Without it,
    built-in densities are found by name, and code that the record names is run with `trust_code`
    alone. Raises `ValueError` in one sentence where the density is not at hand (it says how to
    give it), where a file has changed since the run, and where what was given is another density.
    """
    if given is not None:
        return _given(record, run, given)
    reference = record.get("reference")
    if reference == BUILT_IN:
        found = _built_in(record)
        _check_same(found, record, run)
        return found
    if not isinstance(reference, str):
        raise ValueError(
            f"the target {record.get('name')!r:.80} was made in a Python session, so its density "
            "cannot be found again: give it with target=…"
        )
    if not trust_code:
        raise ValueError(asks(record, run))
    if reference.startswith(STAN_REFERENCE):
        found = targets.from_stan_record(reference, record["options"])
    else:
        check_unchanged(record.get("files", {}))
        dim = record["dim"] if record.get("parameters") is None else None
        found = targets.from_file(reference, dim)
    _check_same(found, record, run)
    return found


def asks(record: Mapping[str, Any], run: str) -> str:
    """Say where the density of a run is, and how to hand it over."""
    reference = record["reference"]
    stan = reference.startswith(STAN_REFERENCE)
    shown = reference.removeprefix(STAN_REFERENCE)
    more = " --data FILE" if stan and record["options"].get("data") else ""
    if not stan and record.get("parameters") is None:
        more = f" --dim {record['dim']}"
    return (
        f"this needs the density of {run}, which is code in a file ({shown:.300}), and code is not "
        f"run because a folder names it: add --target {shown:.300}{more} (in Python target=…), or "
        "--trust-code (trust_code=True) where the folder is your own"
    )


def _given(record: Mapping[str, Any], run: str, given: Given) -> Target:
    declared = record.get("parameters")
    if isinstance(given, (Target, str)):
        # A file that declares its parameters needs no dim, and a Target has one.
        dim = record["dim"] if isinstance(given, str) and declared is None else None
        if given == record["name"] and record.get("reference") == BUILT_IN:
            target = _built_in(record)
        else:
            target = as_target(given, dim)
    elif declared is not None:
        parameters = Parameters.from_record(declared)
        if parameters is None:
            raise ValueError(
                "the supports of this run's parameters are functions: give a Target, made by "
                "thalweg.targets.from_function"
            )
        target = as_target(given, None, parameters)
    else:
        target = as_target(given, record["dim"])
    _check_same(target, record, run)
    _check_files(target, record, run)
    return target


def _built_in(record: Mapping[str, Any]) -> Target:
    _check_options(record["options"])
    try:
        return targets.get(record["name"], **record["options"])
    except (ArithmeticError, TypeError, MemoryError) as error:
        options = f"{dict(record['options'])!r:.100}"
        raise ValueError(
            f"the options of its target, {options}, make no sense ({type(error).__name__})"
        ) from None


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that would ask for more than any run had."""
    numbers = [v for k, v in options.items() if type(v) is int and k != "seed"]
    if math.prod(max(abs(number), 1) for number in numbers) > _MOST_OF_OPTIONS:
        raise ValueError(f"the options of its target make no sense: {dict(options)!r:.100}")


def _check_same(target: Target, record: Mapping[str, Any], run: str) -> None:
    names = list(target.parameter_names)
    if target.dim != record["dim"]:
        raise ValueError(
            f"the target {target.name!r:.80} has {target.dim} parameters, and that of {run} has "
            f"{record['dim']}"
        )
    if names != record["parameter_names"]:
        both = zip(names, record["parameter_names"], strict=True)
        mine, its = next((a, b) for a, b in both if a != b)
        raise ValueError(
            f"the target {target.name!r:.80} has a parameter {mine!r:.60} where that of {run} has "
            f"{its!r:.60}"
        )


def _check_files(target: Target, record: Mapping[str, Any], run: str) -> None:
    """Compare what a target was made from with what that of the run was, wherever they lie."""
    if not target.files:
        return
    mine = {Path(name).name: digest for name, digest in target.files.items()}
    for name, digest in record.get("files", {}).items():
        base = Path(name).name
        if base in mine and mine[base] != digest:
            raise ValueError(
                f"{base} has changed since {run} was made from it: give the target as it was, or "
                "start a new run"
            )


def points_mark(points: Float[np.ndarray, "n d"]) -> str:
    """Return a digest of the points at which a density is compared."""
    return hashlib.sha256(np.ascontiguousarray(points[:_COMPARED]).tobytes()).hexdigest()


def values_at(target: Target, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " compared"]:
    """Return ln p̃ at the first few of some points, in nats."""
    return Evaluator(target).values(points[:_COMPARED])


def check_values(
    target: Target, points: Float[np.ndarray, "n d"], values: Float[np.ndarray, " m"], run: str
) -> None:
    """Raise `ValueError` where a density has other values at points than it had in a run."""
    before = np.asarray(values[:_COMPARED], np.float64)
    now = values_at(target, points)[: len(before)]
    both = np.isfinite(now) & np.isfinite(before)
    close = np.abs(now - before) <= _ABSOLUTE + _RELATIVE * np.abs(before)
    wrong = np.flatnonzero(np.where(both, ~close, now != before) & ~np.isnan(before))
    if len(wrong):
        i = wrong[0]
        raise ValueError(
            f"the density of {target.name!r:.80} has changed since {run} was made with it: its "
            f"logarithm is {now[i]:.6g} where it was {before[i]:.6g}"
        )

"""Targets from Stan programs: parameters by name, Stan's transforms, its exact gradients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.files.digests import check_unchanged, digests
from thalweg.files.regular import shorten
from thalweg.targets.frameworks.stan.agreement import check_agreement
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel
from thalweg.targets.frameworks.stan.data import as_json, read_data
from thalweg.targets.frameworks.stan.density import as_log_density
from thalweg.targets.frameworks.stan.program import (
    Program,
    compile_library,
    read_program,
    stan_folder,
)
from thalweg.targets.frameworks.stan.recognise import parameters_of
from thalweg.targets.target import Target

STAN = "a Stan program"
REFERENCE = "stan:"
_TRIED = 8  # points of Stan's own range for starts, at which the program must not fail


def from_stan(file: str | Path, data: Mapping[str, Any] | str | Path | None = None) -> Target:
    """A target from a Stan program and its data.

    ln p̃(u) is Stan's log density of the unconstrained parameters u, with all constants and the
    determinant of the transforms, in nats: its normaliser is the evidence of the model. The block
    `parameters` gives names and shapes. Values and gradients are Stan's own in float64; the Hessian
    is made of central differences of the gradient. Where the program rejects a point (a `reject`,
    an argument outside its domain), ln p̃ is −inf. That names, maps and determinants are Stan's is
    checked at random points.

    The program is compiled once for each version of jaxlib, which takes a minute or more and is
    kept in the user's cache folder; this needs the package httpstan (`thalweg[stan]`; Linux on
    x86-64, and macOS) and a C++ compiler. A second fit with other data compiles nothing. The data
    stay in memory as long as the target, or what was made of it, can evaluate the density.

    Carpenter et al. (2017), Stan: a probabilistic programming language.

    Args:
        file: The path of the program, which ends in .stan.
        data: A dictionary, the path of a JSON file, or None for a program without data.

    Returns:
        The target, of Stan's unconstrained coordinates.

    Raises:
        ValueError: httpstan or a compiler is absent; a file is missing; the program is not valid
            (with its line), has no parameters, has one that is a tuple or complex, or fails at
            points it is tried at; the data lack a variable or do not fit (with its name).

    Example:
        >>> tw.targets.from_stan("schools.stan", "schools.json").dim  # doctest: +SKIP
        10
    """
    path = _program_path(file)
    values = read_data(data)
    folder = stan_folder()
    program = read_program(path, folder)
    _check_parameters(program)
    text = as_json(values, program.inputs, path.name)
    library = compile_library(program, folder)
    try:
        model = CompiledModel(library, text)
    except ValueError as error:
        raise ValueError(f"the data do not fit {path.name}: {error}") from None
    if model.dim == 0:
        raise ValueError(f"{path.name} has no parameters: with these data none has a size")
    failure = model.failure(np.random.default_rng(0).uniform(-2, 2, (_TRIED, model.dim)))
    if failure is not None:
        raise ValueError(f"{path.name} fails when it runs: {failure}")
    kept = _record(path, program, data)
    parameters = parameters_of(model)
    check_agreement(model, parameters, path.name)
    return Target(
        path.stem,
        model.dim,
        as_log_density(model),
        source=STAN,
        parameters=parameters,
        options=kept,
        reference=f"{REFERENCE}{path}" if kept else None,
        files=kept.get("files", {}),
        explain=model.reason,
    )


def from_stan_record(reference: str, options: Mapping[str, Any]) -> Target:
    """The target of a run folder, if its files are what they were.

    Args:
        reference: "stan:" and the path of the program.
        options: The path of the `data`, and the SHA-256 of all `files` by path.

    Returns:
        The target, as `from_stan` makes it.

    Raises:
        ValueError: A file, which is named, has changed or is gone.

    Example:
        >>> options = {"data": None, "files": {}}
        >>> tw.targets.from_stan_record("stan:eight.stan", options).name  # doctest: +SKIP
        'eight'
    """
    check_unchanged(options["files"])
    return from_stan(reference.removeprefix(REFERENCE), options["data"])


def _program_path(file: str | Path) -> Path:
    if not isinstance(file, (str, Path)):
        raise ValueError(f"a Stan program is the path of its file, got {type(file).__name__}")
    path = Path(os.path.expanduser(file))
    if path.suffix != ".stan":
        raise ValueError(f"the file of a Stan program ends in .stan, got {str(file)!r:.60}")
    if not os.path.isfile(path):
        raise ValueError(f"no such file: {shorten(str(file))}")
    return path.resolve()


def _check_parameters(program: Program) -> None:
    name = program.path.name
    if not program.parameters:
        raise ValueError(f"{name} has no parameters: a flow needs a block of them")
    for label, declared in program.parameters.items():
        if declared["type"] != "real":
            kind = declared["type"] if isinstance(declared["type"], str) else "a tuple"
            raise ValueError(
                f"parameter {label!r} of {name} is {kind}; a flow needs numbers, vectors, matrices "
                "or arrays of them"
            )


def _record(path: Path, program: Program, data: Any) -> dict[str, Any]:
    """Options that find the target again; none where its data were in memory."""
    if isinstance(data, Mapping):
        return {}
    own = None if data is None else Path(data).expanduser().resolve()
    files = [path, *(one.resolve() for one in program.included), *([] if own is None else [own])]
    return {"data": None if own is None else str(own), "files": digests(files)}

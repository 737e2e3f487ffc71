"""Outcomes as run folders, there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg.chains import Refined
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.convergence import ChainDiagnostics
from thalweg.diagnostics.draws import Draws
from thalweg.files.reading import read_json
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import write_text
from thalweg.inference.density_of_run import Given, check_values, find_target
from thalweg.inference.outcome import Outcome
from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.runs import (
    complete,
    environment_of,
    read_complete,
    reading,
    to_json,
)
from thalweg.serialization import load, save
from thalweg.training.history import History

JOB = "infer"
MODEL = "model.safetensors"
GAUSSIAN = "gaussian.safetensors"
DRAWS = "draws.safetensors"
CHAINS = "chains.safetensors"
HISTORY = "history.json"
RENAMED = {"correct": "reweight"}  # verdicts of run folders before 0.1
REQUIRED = {"elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kl"}


def write_run(folder: Path, outcome: Outcome) -> None:
    """Fill a run folder; `run.json` comes last, so "complete" means that all is there."""
    save(folder / MODEL, outcome.flow)
    save(folder / GAUSSIAN, outcome.gaussian)
    draws = outcome.draws
    arrays = {"x": draws.x, "log_q": draws.log_q, "log_p": draws.log_p}
    write_tensors(folder / DRAWS, arrays, {})
    write_text(folder / HISTORY, to_json(outcome.history.to_json()))
    write_refined(folder, outcome)


def write_refined(folder: Path, outcome: Outcome) -> None:
    """The chains of a fit, if it has some, and the record, which comes last."""
    chains = outcome.refined
    if chains is not None:
        write_tensors(folder / CHAINS, {"x": chains.draws}, {})
    entry = (
        None
        if chains is None
        else {
            "diagnostics": chains.diagnostics,
            "verdict": chains.verdict,
            "reasons": chains.reasons,
        }
    )
    record = {
        "job": JOB,
        **outcome.record,
        "parameter_names": list(outcome.parameter_names),
        "diagnostics": outcome.diagnostics,
        "verdict": outcome.verdict,
        "reasons": outcome.reasons,
        "interrupted": outcome.interrupted,
        "refined": entry,
    }
    complete(folder, record, MODEL, GAUSSIAN, DRAWS, CHAINS, HISTORY)


def read_outcome(
    folder: str | Path, target: Given | None = None, *, trust_code: bool = False
) -> Outcome:
    """Load the outcome that a run folder holds; see `read_run`."""
    folder = Path(folder)
    record = read_complete(folder, JOB)
    with computing_in("float64" if environment_of(record).get("x64") else "float32"):
        return _outcome(folder, record, target, trust_code=trust_code)


def _outcome(
    folder: Path, record: dict[str, Any], target: Given | None, *, trust_code: bool
) -> Outcome:
    """The outcome in a folder, in the precision of the run."""
    flow, gaussian = load(folder / MODEL), load(folder / GAUSSIAN)
    arrays, _ = read_tensors(folder / DRAWS)
    with reading(folder):
        dim = record["target"]["dim"]
        shapes = [getattr(model, "shape", None) for model in (flow, gaussian)]
        draws = Draws(arrays["x"], arrays["log_q"], arrays["log_p"])
        if shapes != [(dim,), (dim,)] or draws.x.shape[1:] != (dim,):
            raise ValueError(f"{folder} is damaged: its model is not one of {dim} parameters")
        if not draws.log_q.shape == draws.log_p.shape == draws.x.shape[:1]:
            raise ValueError(f"{folder} is damaged: its draws and their densities differ in number")
        if not set(record["diagnostics"]) >= REQUIRED:
            raise ValueError(f"{folder} is damaged: its diagnostics are not complete")
        history = History.from_json(read_json(folder / HISTORY))
        parameters = Parameters.from_record(record["target"]["parameters"])
    found, lost = None, ""
    try:
        found = find_target(record["target"], str(folder), target, trust_code=trust_code)
    except ValueError as error:
        if target is not None or trust_code:
            raise
        lost = str(error)
    if found is not None:
        if target is not None or trust_code:
            check_values(found, draws.x, draws.log_p, str(folder))
        parameters = found.parameters
    with reading(folder):
        names = tuple(record["target"]["parameter_names"])
        refined = None
        if record.get("refined") is not None:
            refined = _read_refined(folder, record["refined"], names, parameters)
        return Outcome(
            flow=flow,
            gaussian=gaussian,
            target=found,
            diagnostics=Diagnostics.from_record(record["diagnostics"]),
            verdict=RENAMED.get(record["verdict"], record["verdict"]),
            reasons=record["reasons"],
            history=history,
            draws=draws,
            coordinate_names=names,
            parameters=parameters,
            record=record,
            interrupted=record["interrupted"],
            refined=refined,
            lost=lost,
        )


def _read_refined(
    folder: Path, entry: dict[str, Any], names: tuple[str, ...], parameters: Parameters | None
) -> Refined:
    draws = read_tensors(folder / CHAINS)[0]["x"]
    if draws.ndim != 3 or draws.shape[2] != len(names):
        raise ValueError(f"{folder} is damaged: its chains are not of {len(names)} parameters")
    numbers = ChainDiagnostics.from_record(entry["diagnostics"])
    return Refined(draws, numbers, entry["verdict"], entry["reasons"], names, parameters)

"""Posteriors as run folders, there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from thalweg import targets
from thalweg.chains import Refined
from thalweg.inference.draws import Draws
from thalweg.inference.posterior import Posterior
from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.runs import (
    CHECKPOINT,
    RECORD,
    environment,
    environment_of,
    read_record,
    reading,
    to_json,
    write_record,
)
from thalweg.serialization import load, read_tensors, save, write_tensors, write_text
from thalweg.targets.stan import REFERENCE as STAN_REFERENCE
from thalweg.targets.target import Target
from thalweg.training.history import History

MODEL = "model.safetensors"
GAUSSIAN = "gaussian.safetensors"
DRAWS = "draws.safetensors"
CHAINS = "chains.safetensors"
HISTORY = "history.json"
REQUIRED = {"elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kl"}


def target_record(target: Target) -> dict[str, Any]:
    """What a run folder says of its target, enough to find it again where that is possible."""
    return {
        "name": target.name,
        "dim": target.dim,
        "reference": target.reference,
        "options": dict(target.options),
        "log_z": target.log_z,
        "source": target.source,
        "parameter_names": list(target.parameter_names),
        "parameters": None if target.parameters is None else target.parameters.to_record(),
    }


def find_target(record: dict[str, Any]) -> Target:
    """The target a record speaks of; `ValueError` in one sentence where it is not to be had."""
    reference = record.get("reference")
    if reference == "built-in":
        return targets.get(record["name"], **record["options"])
    if isinstance(reference, str) and reference.startswith(STAN_REFERENCE):
        return targets.from_stan_record(reference, record["options"])
    if isinstance(reference, str):
        return targets.from_file(reference, record["dim"])
    raise ValueError(
        f"the target {record.get('name')!r} was made in a Python session, "
        "so its density cannot be found again"
    )


def write_run(folder: Path, posterior: Posterior) -> None:
    """Fill a run folder; `run.json` comes last, so "complete" means that all is there."""
    save(folder / MODEL, posterior.flow)
    save(folder / GAUSSIAN, posterior.gaussian)
    draws = posterior.draws
    arrays = {"x": draws.x, "log_q": draws.log_q, "log_p": draws.log_p}
    write_tensors(folder / DRAWS, arrays, {})
    write_text(folder / HISTORY, to_json(posterior.history.to_json()))
    write_refined(folder, posterior)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    # What a write that was killed in the middle has left.
    for name in (MODEL, GAUSSIAN, DRAWS, CHAINS, HISTORY, RECORD, CHECKPOINT):
        for leftover in folder.glob(f".{name}.*"):
            leftover.unlink(missing_ok=True)


def write_refined(folder: Path, posterior: Posterior) -> None:
    """The chains of a posterior, if it has some, and the record, which comes last."""
    chains = posterior.refined
    if chains is not None:
        write_tensors(folder / CHAINS, {"x": chains.draws}, {})
    told = (
        None
        if chains is None
        else {
            "diagnostics": chains.diagnostics,
            "verdict": chains.verdict,
            "reasons": chains.reasons,
        }
    )
    record = {
        "job": "infer",
        "environment": environment(),
        **posterior.record,
        "status": "complete",
        "parameter_names": list(posterior.parameter_names),
        "diagnostics": posterior.diagnostics,
        "verdict": posterior.verdict,
        "reasons": posterior.reasons,
        "interrupted": posterior.interrupted,
        "refined": told,
    }
    write_record(folder, record)


def read_run(folder: str | Path) -> Posterior:
    """Load the posterior of a run folder.

    Raises `ValueError` in one sentence for a folder that is missing, unfinished or damaged.
    """
    folder = Path(folder)
    record = read_record(folder)
    if record.get("job") != "infer":
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    if record.get("status") != "complete":
        raise ValueError(f"{folder} is not finished; go on with: thalweg resume {folder}")
    precision = "float64" if environment_of(record).get("x64") else "float32"
    with computing_in(precision):
        flow, gaussian = load(folder / MODEL), load(folder / GAUSSIAN)
    arrays, _ = read_tensors(folder / DRAWS)
    with reading(folder), computing_in(precision):
        target, lost = None, ""
        try:
            target = find_target(record["target"])
        except ValueError as error:
            lost = str(error)
        dim = record["target"]["dim"]
        shapes = [getattr(model, "shape", None) for model in (flow, gaussian)]
        if shapes != [(dim,), (dim,)] or arrays["x"].shape[1:] != (dim,):
            raise ValueError(f"{folder} is damaged: its model is not one of {dim} parameters")
        if not set(record["diagnostics"]) >= REQUIRED:
            raise ValueError(f"{folder} is damaged: its diagnostics are not complete")
        history = History.from_json(json.loads((folder / HISTORY).read_text(encoding="utf-8")))
        names = tuple(record["target"]["parameter_names"])
        parameters = (
            Parameters.from_record(record["target"]["parameters"])
            if target is None
            else target.parameters
        )
        refined = None
        if record.get("refined") is not None:
            refined = _read_refined(folder, record["refined"], names, parameters)
        return Posterior(
            flow=flow,
            gaussian=gaussian,
            target=target,
            diagnostics=_numbers(record["diagnostics"]),
            verdict=record["verdict"],
            reasons=record["reasons"],
            history=history,
            draws=Draws(arrays["x"], arrays["log_q"], arrays["log_p"]),
            coordinate_names=names,
            parameters=parameters,
            record=record,
            interrupted=record["interrupted"],
            refined=refined,
            lost=lost,
        )


def _read_refined(
    folder: Path, told: dict[str, Any], names: tuple[str, ...], parameters: Parameters | None
) -> Refined:
    draws = read_tensors(folder / CHAINS)[0]["x"]
    if draws.ndim != 3 or draws.shape[2] != len(names):
        raise ValueError(f"{folder} is damaged: its chains are not of {len(names)} parameters")
    numbers = {
        key: np.array(value, float) if isinstance(value, list) else value
        for key, value in told["diagnostics"].items()
    }
    return Refined(draws, numbers, told["verdict"], told["reasons"], names, parameters)


def _numbers(node: Any) -> Any:
    """None was how JSON said "not finite"; as a number it is NaN."""
    if isinstance(node, dict):
        keep = {"kl", "compile_seconds"}
        return {k: v if v is None and k in keep else _numbers(v) for k, v in node.items()}
    if isinstance(node, list):
        return [_numbers(value) for value in node]
    return np.nan if node is None else node

"""Posteriors as run folders, there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thalweg.chains import Refined
from thalweg.files.reading import read_json
from thalweg.inference.density_of_run import Given, check_values, find_target
from thalweg.inference.draws import Draws
from thalweg.inference.posterior import Posterior
from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.runs import (
    CHECKPOINT,
    check_contents,
    clean,
    contents,
    environment,
    environment_of,
    read_record,
    reading,
    to_json,
    write_record,
)
from thalweg.serialization import load, read_tensors, save, write_tensors, write_text
from thalweg.training.history import History

MODEL = "model.safetensors"
GAUSSIAN = "gaussian.safetensors"
DRAWS = "draws.safetensors"
CHAINS = "chains.safetensors"
HISTORY = "history.json"
REQUIRED = {"elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kl"}


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
    clean(folder)


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
        "contents": contents(folder, MODEL, GAUSSIAN, DRAWS, CHAINS, HISTORY),
    }
    write_record(folder, record)


def read_run(
    folder: str | Path, target: Given | None = None, *, trust_code: bool = False
) -> Posterior:
    """Load the posterior of a run folder; nothing that the folder names is imported or run.

    What needs the density itself gets it from `target`, as `infer` takes one, or, with
    `trust_code`, from the file that the run names, which is then imported. Built-in densities are
    found by name. Raises `ValueError` in one sentence for a folder that is missing, unfinished or
    damaged, and where the density given is not the one of the run.
    """
    folder = Path(folder)
    record = read_record(folder)
    if record.get("job") != "infer":
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    if record.get("status") != "complete":
        raise ValueError(f"{folder} is not finished; go on with: thalweg resume {folder}")
    check_contents(folder, record)
    with computing_in("float64" if environment_of(record).get("x64") else "float32"):
        return _posterior(folder, record, target, trust_code=trust_code)


def _posterior(
    folder: Path, record: dict[str, Any], target: Given | None, *, trust_code: bool
) -> Posterior:
    """The posterior in a folder, in the precision of the run."""
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
        return Posterior(
            flow=flow,
            gaussian=gaussian,
            target=found,
            diagnostics=_numbers(record["diagnostics"]),
            verdict=record["verdict"],
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

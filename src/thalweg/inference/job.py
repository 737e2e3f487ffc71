"""Job 1: an unnormalised log density in, a posterior with a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PRNGKeyArray

from thalweg.backend import check_backend
from thalweg.distributions import Flow
from thalweg.files.reading import as_path
from thalweg.inference.arguments import (
    as_flow,
    as_target,
    check_annealing,
    check_precision,
    positive_number,
    positive_whole,
)
from thalweg.inference.choose_precision import Float64NeededError
from thalweg.inference.defaults import chosen_flow, default_budget
from thalweg.inference.density_of_run import Given, find_target
from thalweg.inference.fit import MakeFlow
from thalweg.inference.given_start import as_points
from thalweg.inference.posterior import Posterior
from thalweg.inference.refine import check_method, refined_as_asked
from thalweg.inference.run_folder import read_run
from thalweg.inference.stages import Inference
from thalweg.objectives import GRADIENTS, Annealing
from thalweg.parameters import Parameters
from thalweg.precision import computing_in, current_precision
from thalweg.runs import CHECKPOINT, clean, environment_of, read_record, reading
from thalweg.supports import Support
from thalweg.targets import Target
from thalweg.targets.options import LARGEST_SEED, whole
from thalweg.training import Progress, as_progress, check_budget

OBJECTIVES = ("reverse_kl",)


def infer(
    target: Callable[[Any], Any] | Target | str,
    dim: int | None = None,
    *,
    parameters: Mapping[str, Any] | Parameters | None = None,
    supports: Mapping[str, str | Support] | None = None,
    init: Any = None,
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow] = "auto",
    objective: str = "reverse_kl",
    gradient: str = "path",
    annealing: Annealing | bool = True,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    refine: str | None = None,
    precision: str = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress | None = True,
    notes: Mapping[str, Any] | None = None,
    **flow_options: Any,
) -> Posterior:
    """Fit a flow to an unnormalised log density and judge the fit.

    `target` is a function of one point x of shape (dim,) written in JAX that returns ln p̃(x), a
    `Target`, the name of a built-in one, or the path of a Stan program that needs no data (with
    data: `thalweg.targets.from_stan`). With `parameters`, a dictionary of names and shapes
    such as {"mu": (), "theta": (8,)}, the function gets a dictionary of arrays instead, each within
    its support: `supports` has names such as {"tau": "positive"} (`thalweg.supports`). The density
    is one of the parameters as they are; the determinants of the maps are taken care of, and draws
    come back as dictionaries. `init` is a start for the searches, beside those dispersed around the
    origin: a vector (dim,) of unconstrained coordinates or, where parameters have names, a
    dictionary of their values; several where an axis stands in front. `flow` is a recipe name, a
    `Flow`, or a function (key, dim) -> Flow; further keywords are the recipe's options
    (`layers=…`). "auto" is `real_nvp`, or `planar` where dim is 1, and where several modes are
    found their base is a mixture with components at each.

    What happens: the density is checked; starts are found and compared by ELBO; a full-rank
    Gaussian is fitted; the flow is fitted in the Gaussian's coordinates by the reverse KL
    divergence (`gradient` "path" or "total"), all `restarts` in one program, half of them
    annealed from a flattened target (`annealing=False`: none; an `Annealing`: all by that
    schedule); the best by its objective is kept, or the Gaussian where that is better. ELBO, ln Z,
    k̂, effective sample size and a check for missed mass give the verdict. Unless `steps` are given,
    a fit with little left to learn ends early (`NearlyExact`).

    `refine="auto"` does what a verdict other than "trust" asks for: chains through the flow,
    whose draws, exact where they have converged, are then in `refined` (`Posterior.refine`); one of
    its methods by name runs whatever the verdict.

    `precision` is "float32", "float64", or "auto": that of the process (`jax_enable_x64`), and
    float64 where in float32 rounding of the density would matter, which is measured. It holds for
    this fit and its posterior alone; draws of float64 come to a process in float32 as NumPy arrays.

    With `out` the run goes to a folder (checkpoints while it lasts), with `notes`, a JSON object,
    in its record for whoever resumes it. Ctrl-C stops the fit and keeps what was learned.
    Raises `ValueError` in one sentence for whatever cannot be fitted.

    Rezende & Mohamed (2015); path gradients: Roeder et al. (2017).
    """
    check_backend()
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
    asked = check_precision(precision)
    # Before a module of the user's own is run, which may change the working directory.
    folder = None if out is None else as_path(out).absolute()
    with computing_in(asked or current_precision()):
        problem = as_target(target, dim, parameters, supports)
        start = None if init is None else as_points(init, problem).tolist()
    at_modes = flow == "auto"
    flow, flow_options = chosen_flow(flow, flow_options, problem.dim)
    budget = default_budget(flow if isinstance(flow, str) else None, problem.dim)
    whole_numbers = {
        "steps": positive_whole("steps", budget.steps if steps is None else steps),
        "batch_size": positive_whole(
            "batch_size", budget.batch_size if batch_size is None else batch_size
        ),
        "restarts": positive_whole("restarts", budget.restarts if restarts is None else restarts),
    }
    learning_rate = positive_number(
        "learning_rate", budget.learning_rate if learning_rate is None else learning_rate
    )
    check_budget(whole_numbers["steps"], learning_rate)
    sizes = whole_numbers["restarts"], whole_numbers["batch_size"]
    name, make = as_flow(flow, problem.dim, flow_options, *sizes)
    request: dict[str, Any] = {
        "flow": name,
        "flow_options": dict(flow_options),
        "objective": objective,
        "gradient": gradient,
        "annealing": annealing if isinstance(annealing, bool) else "own",
        **whole_numbers,
        "learning_rate": learning_rate,
        "end_early": steps is None,
        "base_at_modes": at_modes,
        "refine": refine,
        "precision": precision,
        "init": start,
        "seed": whole("seed", seed, 0, LARGEST_SEED),
    }
    if refine is not None:
        check_method(refine)
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r:.80}")
    check_annealing(annealing, request["restarts"])
    told = as_progress(progress)
    posterior = _inferred(problem, make, request, annealing, folder, told, asked, notes=notes)
    return refined_as_asked(posterior, refine, folder, told)


def _inferred(
    problem: Target,
    make: MakeFlow,
    request: dict[str, Any],
    annealing: Annealing | bool,
    folder: Path | None,
    told: Progress,
    precision: str | None,
    *,
    notes: Mapping[str, Any] | None = None,
    fresh: bool = True,
    before: dict[str, Any] | None = None,
    because: str = "",
) -> Posterior:
    """A fit in this precision; where none is asked for, in float64 if rounding matters.

    `before` is the record of a run that was stopped, with which this one goes on.
    """
    wider = precision is None and current_precision() == "float32"
    with computing_in(precision or current_precision()):
        run = Inference(
            *(problem, make, request, annealing, folder, told, notes),
            wider=wider,
            because=because,
        )
        if before is not None:
            run.goes_on_with(before)
    try:
        with computing_in(precision or current_precision()):
            return run.go(fresh=fresh)
    except Float64NeededError as error:
        because = str(error)
    told.message(f"fitting in float64: in float32 {because}")
    if folder is not None:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return _inferred(
        problem,
        make,
        request,
        annealing,
        folder,
        told,
        "float64",
        notes=notes,
        fresh=fresh and run.folder_is_new,
        because=because,
    )


def resume(
    folder: str | Path,
    progress: bool | Progress | None = True,
    *,
    target: Given | None = None,
    trust_code: bool = False,
) -> Posterior:
    """Go on with the run of a folder; a complete run is loaded as it is.

    The density of an unfinished run comes from `target` (whatever `infer` takes), or, with
    `trust_code`, from the file that the run names, which is then imported; built-in ones are found
    by name. Raises `ValueError` where the folder is none, is damaged or is of another job, where
    its density is not at hand, and where a file that the run was made from has changed.
    """
    folder = Path(folder)
    record = read_record(folder)
    if record.get("job") != "infer":
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    if record.get("status") == "complete":
        return read_run(folder, target, trust_code=trust_code)
    clean(folder)
    with reading(folder):
        request = record["request"]
        precision = "float64" if environment_of(record)["x64"] else "float32"
        if request["flow"] is None or request["annealing"] == "own":
            raise ValueError(
                f"{folder} used a flow or schedule made in a Python session, which a run folder "
                "does not hold"
            )
    with computing_in(precision):
        problem = find_target(record["target"], str(folder), target, trust_code=trust_code)
    with reading(folder):
        _, make = as_flow(request["flow"], problem.dim, request["flow_options"])
        because = str((record.get("precision") or {}).get("because", ""))
    told = as_progress(progress)
    # What was begun in float32 may still have to go on in float64, as it would have by itself.
    free = precision == "float32" and request.get("precision") == "auto"
    with computing_in(precision):
        posterior = _inferred(
            problem,
            make,
            request,
            request["annealing"],
            folder,
            told,
            None if free else precision,
            notes=record.get("notes"),
            fresh=False,
            before=record,
            because=because,
        )
    return refined_as_asked(posterior, request.get("refine"), folder, told)

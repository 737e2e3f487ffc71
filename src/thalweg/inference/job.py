"""Job 1: an unnormalised log density in, a posterior with a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PRNGKeyArray

from thalweg.distributions import Flow
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
from thalweg.inference.fit import MakeFlow
from thalweg.inference.given_start import as_points
from thalweg.inference.posterior import Posterior
from thalweg.inference.refine import check_method, refined_as_asked
from thalweg.inference.run_folder import find_target, read_run
from thalweg.inference.stages import Inference
from thalweg.objectives import GRADIENTS, Annealing
from thalweg.parameters import Parameters
from thalweg.precision import computing_in, current_precision
from thalweg.runs import CHECKPOINT, environment_of, read_record, reading
from thalweg.supports import Support
from thalweg.targets import Target
from thalweg.targets.options import whole
from thalweg.training import Progress, teller

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
    progress: bool | Progress = True,
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
    whose draws, exact where they have arrived, are then in `refined` (`Posterior.refine`); one of
    its methods by name runs whatever the verdict.

    `precision` is "float32", "float64", or "auto": that of the process (`jax_enable_x64`), and
    float64 where in float32 rounding of the density would matter, which is measured. It holds for
    this fit and its posterior alone; draws of float64 come to a process in float32 as NumPy arrays.

    With `out` the run goes to a folder (checkpoints while it lasts). Ctrl-C stops the fit and
    keeps what was learned. Raises `ValueError` in one sentence for whatever cannot be fitted.

    Rezende & Mohamed (2015); path gradients: Roeder et al. (2017).
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
    asked = check_precision(precision)
    with computing_in(asked or current_precision()):
        problem = as_target(target, dim, parameters, supports)
        start = None if init is None else as_points(init, problem).tolist()
    at_modes = flow == "auto"
    flow, flow_options = chosen_flow(flow, flow_options, problem.dim)
    name, make = as_flow(flow, problem.dim, flow_options)
    budget = default_budget(name, problem.dim)
    request: dict[str, Any] = {
        "flow": name,
        "flow_options": dict(flow_options),
        "objective": objective,
        "gradient": gradient,
        "annealing": annealing if isinstance(annealing, bool) else "own",
        "steps": positive_whole("steps", budget.steps if steps is None else steps),
        "batch_size": positive_whole(
            "batch_size", budget.batch_size if batch_size is None else batch_size
        ),
        "learning_rate": positive_number(
            "learning_rate", budget.learning_rate if learning_rate is None else learning_rate
        ),
        "restarts": positive_whole("restarts", budget.restarts if restarts is None else restarts),
        "end_early": steps is None,
        "base_at_modes": at_modes,
        "refine": refine,
        "precision": precision,
        "init": start,
        "seed": whole("seed", seed, 0),
    }
    if refine is not None:
        check_method(refine)
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r}")
    check_annealing(annealing, request["restarts"])
    folder = None if out is None else Path(out)
    told = teller(progress)
    posterior = _inferred(problem, make, request, annealing, folder, told, asked)
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
    fresh: bool = True,
    because: str = "",
) -> Posterior:
    """A fit in this precision; where none is asked for, in float64 if rounding matters."""
    wider = precision is None and current_precision() == "float32"
    with computing_in(precision or current_precision()):
        run = Inference(
            problem, make, request, annealing, folder, told, wider=wider, because=because
        )
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
        fresh=fresh and run.folder_is_new,
        because=because,
    )


def resume(folder: str | Path, progress: bool | Progress = True) -> Posterior:
    """Go on with the run of a folder; a complete run is loaded as it is.

    Raises `ValueError` where the folder is none, is damaged, or its target cannot be found again.
    """
    record = read_record(folder)
    if record.get("status") == "complete":
        return read_run(folder)
    with reading(folder):
        request = record["request"]
        precision = "float64" if environment_of(record)["x64"] else "float32"
        with computing_in(precision):
            problem = find_target(record["target"])
        if request["flow"] is None or request["annealing"] == "own":
            raise ValueError(
                f"{folder} used a flow or schedule made in a Python session, which a run folder "
                "does not hold"
            )
        _, make = as_flow(request["flow"], problem.dim, request["flow_options"])
        because = str((record.get("precision") or {}).get("because", ""))
    told = teller(progress)
    # What was begun in float32 may still have to go on in float64, as it would have by itself.
    free = precision == "float32" and request.get("precision") == "auto"
    with computing_in(precision):
        posterior = _inferred(
            problem,
            make,
            request,
            request["annealing"],
            Path(folder),
            told,
            None if free else precision,
            fresh=False,
            because=because,
        )
    return refined_as_asked(posterior, request.get("refine"), Path(folder), told)

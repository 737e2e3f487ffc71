"""Job 1: an unnormalised log density in, a posterior with a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PRNGKeyArray

from thalweg.backend import check_backend
from thalweg.distributions import Flow
from thalweg.files.reading import as_path
from thalweg.inference.arguments import as_target, check_precision
from thalweg.inference.density_of_run import Given, find_target
from thalweg.inference.plan import OWN, Plan, plan_fit
from thalweg.inference.posterior import Posterior
from thalweg.inference.refine import refine_as_asked
from thalweg.inference.run import carry_out, go_on
from thalweg.inference.run_folder import JOB, read_outcome
from thalweg.inference.search.points import as_points
from thalweg.objectives import Annealing
from thalweg.parameters import Parameters
from thalweg.precision import computing_in, current_precision
from thalweg.runs import environment_of, read_unfinished, reading
from thalweg.supports import Support
from thalweg.targets import Target
from thalweg.training import Progress, as_progress


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
    asked = check_precision(precision)
    # Before a module of the user's own is run, which may change the working directory.
    folder = None if out is None else as_path(out).absolute()
    with computing_in(asked or current_precision()):
        problem = as_target(target, dim, parameters, supports)
        start = None if init is None else as_points(init, problem).tolist()
    plan = plan_fit(
        problem,
        init=start,
        flow=flow,
        objective=objective,
        gradient=gradient,
        annealing=annealing,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        restarts=restarts,
        refine=refine,
        precision=precision,
        seed=seed,
        flow_options=flow_options,
    )
    told = as_progress(progress)
    outcome = carry_out(problem, plan, told, folder, notes=notes)
    return Posterior.of(refine_as_asked(outcome, plan.refine, plan.seed, folder, told))


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
    record = read_unfinished(folder, JOB)
    if record is None:
        return read_run(folder, target, trust_code=trust_code)
    with reading(folder):
        request = record["request"]
        precision = "float64" if environment_of(record)["x64"] else "float32"
        if request["flow"] is None or request["annealing"] == OWN:
            raise ValueError(
                f"{folder} used a flow or schedule made in a Python session, which a run folder "
                "does not hold"
            )
    told = as_progress(progress)
    with computing_in(precision):
        problem = find_target(record["target"], str(folder), target, trust_code=trust_code)
        with reading(folder):
            plan = Plan.from_record(request, problem.dim)
        outcome = go_on(problem, plan, told, folder, record)
    return Posterior.of(refine_as_asked(outcome, plan.refine, plan.seed, folder, told))


def read_run(
    folder: str | Path, target: Given | None = None, *, trust_code: bool = False
) -> Posterior:
    """Load the posterior of a run folder; nothing that the folder names is imported or run.

    What needs the density itself gets it from `target`, as `infer` takes one, or, with
    `trust_code`, from the file that the run names, which is then imported. Built-in densities are
    found by name. Raises `ValueError` in one sentence for a folder that is missing, unfinished or
    damaged, and where the density given is not the one of the run.
    """
    return Posterior.of(read_outcome(folder, target, trust_code=trust_code))

"""Job 1: an unnormalised log density in, a posterior with a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PRNGKeyArray

from thalweg.backend import check_backend
from thalweg.compilation_cache import use_compilation_cache
from thalweg.distributions import Flow
from thalweg.files.reading import as_path
from thalweg.inference.arguments import as_target, check_precision
from thalweg.inference.defaults import FLOW, GRADIENT, OBJECTIVE, PRECISION
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
from thalweg.progress import Progress, showing
from thalweg.runs import environment_of, read_unfinished, reading
from thalweg.supports import Support
from thalweg.targets import Target
from thalweg.training import TimeLimit
from thalweg.training.effort import STANDARD


def infer(
    target: Callable[[Any], Any] | Target | str,
    dim: int | None = None,
    *,
    parameters: Mapping[str, Any] | Parameters | None = None,
    supports: Mapping[str, str | Support] | None = None,
    init: Any = None,
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow] = FLOW,
    objective: str = OBJECTIVE,
    gradient: str = GRADIENT,
    annealing: Annealing | bool = True,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    accuracy: float | None = None,
    refine: str | None = None,
    precision: str = PRECISION,
    seed: int = 0,
    time_limit: float | None = None,
    effort: str = STANDARD,
    out: str | Path | None = None,
    progress: bool | Progress | None = True,
    notes: Mapping[str, Any] | None = None,
    **flow_options: Any,
) -> Posterior:
    """Fit a flow to an unnormalised log density and evaluate the fit.

    The density is checked; starts are found and compared by ELBO; a full-rank Gaussian is fitted.
    Where that is trusted and its KL at most `accuracy`, it is the posterior. Else a flow is fitted
    in its coordinates by the reverse KL divergence, all restarts in one program; the best by its
    objective is kept, or the Gaussian where that is better. ELBO, ln Z, k̂, effective sample size
    and a check for missed mass give the verdict. Rezende & Mohamed (2015); path gradients: Roeder
    et al. (2017). Ctrl-C ends the fit and keeps what was learned.

    Args:
        target: A function of one point x (dim,), written in JAX, that returns ln p̃(x); a `Target`;
            the name of a built-in one; or the path of a Stan program that needs no data (with data:
            `thalweg.targets.from_stan`).
        dim: The number of parameters, where the target does not state it.
        parameters: Names and shapes such as {"mu": (), "theta": (8,)}: the function then gets a
            dictionary of arrays, each within its support. The density is one of the parameters as
            they are; determinants of maps are taken care of. Draws come back as dictionaries.
        supports: Names such as {"tau": "positive"} (`thalweg.supports`), or a `Support` each.
        init: A start for the searches beside those dispersed around the origin: unconstrained
            coordinates (dim,) or a dictionary of values; several where an axis stands in front.
        flow: A recipe name, a `Flow`, or a function (key, dim) -> Flow. "auto" is `real_nvp`, or
            `planar` where dim is 1, on a base with components at each mode where there are several.
        objective: "reverse_kl".
        gradient: "path" or "total".
        annealing: True to anneal all restarts but the first of every four from a flattened target,
            False for none, or an `Annealing` for all.
        steps: By default up to `thalweg.inference.defaults.default_budget` times a factor by
            `effort`, and fewer where little is left to learn; steps that are given are taken.
        batch_size: Draws of each step and restart.
        learning_rate: The highest.
        restarts: Flows that are fitted side by side.
        accuracy: Nats of KL(q ‖ p), by estimate, at which a fit is good enough: a Gaussian then
            stands for the posterior where nothing about the flow was asked for. By default it
            goes by `effort`.
        refine: "auto" runs chains through the flow after a verdict other than "trust"; a method of
            `Posterior.refine` runs in any case. Their draws are then in `refined`.
        precision: "float32", "float64", or "auto": that of the process, and float64 where rounding
            of the density in float32 would matter. It holds for this fit and its posterior alone.
        seed: A whole number.
        time_limit: Seconds after which the fit ends with the best so far, wherever it is; its
            diagnosis, which takes a few seconds, and chains come on top. The result then depends on
            the speed of the machine. A run that is resumed has the time anew.
        effort: "quick", "standard" or "best": a quarter of the steps and an accuracy of 0.05 nats,
            or 0.01 nats, or four times the steps and 0.001 nats.
        out: A new run folder, with checkpoints while the fit lasts.
        progress: True for a line on the terminal, or a `Progress`.
        notes: A JSON object kept in the run's record.
        flow_options: Options of the recipe (`layers=…`).

    Returns:
        The posterior, with its verdict, reasons and diagnostics.

    Raises:
        ValueError: An argument or a density that cannot be fitted, in one sentence.

    Example:
        >>> import thalweg as tw
        >>> normal = lambda x: -0.5 * (x**2).sum()
        >>> posterior = tw.infer(normal, 2, flow="mean_field", steps=10, restarts=1, progress=False)
        >>> posterior.verdict
        'trust'
    """
    limit = TimeLimit(time_limit)
    check_backend()
    use_compilation_cache()
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
        accuracy=accuracy,
        refine=refine,
        precision=precision,
        seed=seed,
        time_limit=limit.seconds,
        effort=effort,
        flow_options=flow_options,
    )
    with showing(progress) as reporter:
        outcome = carry_out(problem, plan, reporter, folder, notes=notes, time_limit=limit)
        return Posterior.of(refine_as_asked(outcome, plan.refine, plan.seed, folder, reporter))


def resume(
    folder: str | Path,
    progress: bool | Progress | None = True,
    *,
    target: Given | None = None,
    trust_code: bool = False,
) -> Posterior:
    """Go on with the run of a folder; a complete run is loaded as it is.

    Args:
        folder: A run folder of `infer`.
        progress: True for a line on the terminal, or a `Progress`.
        target: The density of the run, as `infer` takes one; built-in ones are found by name.
        trust_code: Whether to import the file that the run names, where no target is given.

    Returns:
        The posterior.

    Raises:
        ValueError: The folder is none, is damaged or of another job, its density is not at hand, or
            a file that the run was made from has changed.

    Example:
        >>> import tempfile, thalweg as tw
        >>> from thalweg.inference import resume
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tw.Posterior.example().save(folder + "/run")
        ...     resume(folder + "/run").verdict
        'trust'
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
    with showing(progress) as reporter:
        with computing_in(precision):
            problem = find_target(record["target"], str(folder), target, trust_code=trust_code)
            with reading(folder):
                plan = Plan.from_record(request, problem.dim)
            outcome = go_on(problem, plan, reporter, folder, record)
        return Posterior.of(refine_as_asked(outcome, plan.refine, plan.seed, folder, reporter))


def read_run(
    folder: str | Path, target: Given | None = None, *, trust_code: bool = False
) -> Posterior:
    """Load the posterior of a run folder; nothing that the folder names is imported or run.

    Args:
        folder: A complete run folder of `infer`.
        target: The density of the run, as `infer` takes one; built-in ones are found by name.
        trust_code: Whether to import the file that the run names, where no target is given.

    Returns:
        The posterior; without its density where that is not at hand.

    Raises:
        ValueError: The folder is missing, unfinished or damaged, or the target is another one.

    Example:
        >>> import tempfile, thalweg as tw
        >>> from thalweg.inference import read_run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tw.Posterior.example().save(folder + "/run")
        ...     read_run(folder + "/run").dim
        2
    """
    return Posterior.of(read_outcome(folder, target, trust_code=trust_code))

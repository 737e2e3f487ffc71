"""Job 1: an unnormalised log density in, a posterior with a verdict out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg import flows, targets
from thalweg.distributions import Flow
from thalweg.inference.coverage import MODES, WIDENED, Coverage, mixture_evidence
from thalweg.inference.defaults import auto_flow, default_budget
from thalweg.inference.draws import Draws, draw
from thalweg.inference.fit import (
    ANNEALED_PART,
    Frame,
    GaussianFit,
    MakeFlow,
    fit_gaussian,
    restart_plan,
    whitened_flows,
)
from thalweg.inference.posterior import Posterior
from thalweg.inference.run_folder import target_record, write_run
from thalweg.inference.start import Start, dispersed_points, find_start
from thalweg.inference.verdict import decide, summarise
from thalweg.objectives import Annealing, ReverseKL
from thalweg.runs import CHECKPOINT, environment, open_folder, read_record, write_record
from thalweg.targets import Target, check_target
from thalweg.training import Progress, Reporter, Silent, Trained, compile_seconds, train
from thalweg.tree import count_parameters, select

DRAWS = 32_768  # behind the diagnostics
STORED_DRAWS = 8192  # kept in the posterior, for tables and pictures
OBJECTIVES = ("reverse_kl",)


class FlowRecipe(NamedTuple):
    """A recipe with its options, hashable: equal ones share compiled programs."""

    name: str
    dim: int
    options: tuple[tuple[str, Any], ...]

    def __call__(self, key: PRNGKeyArray) -> Flow:
        return flows.build(self.name, key, self.dim, **dict(self.options))


def infer(
    target: Callable[[Array], Array] | Target | str,
    dim: int | None = None,
    *,
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow] = "auto",
    objective: str = "reverse_kl",
    gradient: str = "path",
    annealing: Annealing | bool = True,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress = True,
    **flow_options: Any,
) -> Posterior:
    """Fit a flow to an unnormalised log density and judge the fit.

    `target` is a function of one point x of shape (dim,) written in JAX that returns ln p̃(x), a
    `Target`, or the name of a built-in one. `flow` is a recipe name ("auto": `real_nvp`, or
    `planar` where dim is 1), a `Flow`, or a function (key, dim) -> Flow; further keywords are the
    recipe's options (`layers=…`).

    What happens: the density is checked; starts are found and compared by ELBO; a full-rank
    Gaussian is fitted; the flow is fitted in the Gaussian's coordinates by the reverse KL
    divergence (`gradient` "path" or "total"), all `restarts` in one program, half of them
    annealed from a flattened target (`annealing=False`: none; an `Annealing`: all by that
    schedule); the best by its objective is kept, or the Gaussian where that is better. ELBO, ln Z,
    k̂, effective sample size and a check for missed mass give the verdict.

    With `out` the run goes to a folder (checkpoints while it lasts). Ctrl-C stops the fit and
    keeps what was learned. Raises `ValueError` in one sentence for whatever cannot be fitted.

    Rezende & Mohamed (2015); path gradients: Roeder et al. (2017).
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
    problem = as_target(target, dim)
    name, make = as_flow(flow, problem.dim, flow_options)
    budget = default_budget(name, problem.dim)
    request = {
        "flow": name,
        "flow_options": dict(flow_options),
        "objective": objective,
        "gradient": gradient,
        "annealing": annealing if isinstance(annealing, bool) else "own",
        "steps": _whole("steps", budget.steps if steps is None else steps),
        "batch_size": _whole("batch_size", budget.batch_size if batch_size is None else batch_size),
        "learning_rate": budget.learning_rate if learning_rate is None else learning_rate,
        "restarts": _whole("restarts", budget.restarts if restarts is None else restarts),
        "seed": seed,
    }
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}")
    folder = None if out is None else open_folder(out)
    teller = _teller(progress)
    run = _Run(problem, make, request, annealing, folder, teller)
    return run.go()


def resume(folder: str | Path, progress: bool | Progress = True) -> Posterior:
    """Go on with the run of a folder; a complete run is loaded as it is.

    Raises `ValueError` where the folder is none, is damaged, or its target cannot be found again.
    """
    from thalweg.inference.run_folder import find_target, read_run

    record = read_record(folder)
    if record.get("status") == "complete":
        return read_run(folder)
    try:
        request = record["request"]
        problem = find_target(record["target"])
        if request["flow"] is None or request["annealing"] == "own":
            raise ValueError(
                f"{folder} used a flow or schedule made in a Python session, which a run folder "
                "does not hold"
            )
        _, make = as_flow(request["flow"], problem.dim, request["flow_options"])
        if record["environment"]["x64"] != bool(jax.config.jax_enable_x64):
            raise ValueError(f"{folder} was run with JAX_ENABLE_X64={record['environment']['x64']:d}")
        run = _Run(
            problem, make, request, request["annealing"], Path(folder), _teller(progress)
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder} is damaged: {type(error).__name__} {error}") from None
    return run.go()


def as_target(target: Callable[[Array], Array] | Target | str, dim: int | None) -> Target:
    """A `Target` from what a user has; `ValueError` where the dimension is missing or wrong."""
    if isinstance(target, str):
        if ":" in target:
            return targets.from_file(target, dim)
        options = {} if dim is None else {"dim": dim}
        return targets.get(target, **options)
    if isinstance(target, Target):
        if dim is not None and dim != target.dim:
            raise ValueError(f"dim={dim} was given for a target of dimension {target.dim}")
        return target
    if not callable(target):
        raise ValueError(
            f"the target must be a function, a Target or a name, got {type(target).__name__}"
        )
    if dim is None:
        raise ValueError("a function needs dim=…, the number of its parameters")
    return targets.from_function(target, dim)


def as_flow(
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow], dim: int, options: dict[str, Any]
) -> tuple[str | None, MakeFlow]:
    """The recipe's name (None for a flow of one's own) and what makes a fresh flow from a key."""
    if isinstance(flow, str):
        name = auto_flow(dim) if flow == "auto" else flow
        frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        recipe = FlowRecipe(name, dim, tuple(sorted(frozen.items())))
        eqx.filter_eval_shape(recipe, jax.random.key(0))  # unknown names and options speak now
        return name, recipe
    if options:
        raise ValueError(f"options such as {sorted(options)[0]!r} go with a recipe's name")
    make = (lambda key: flow) if isinstance(flow, Flow) else (lambda key: flow(key, dim))
    try:
        made = make(jax.random.key(0))
    except Exception as error:
        raise ValueError(f"the function that makes the flow raised {error!r}") from error
    if not isinstance(made, Flow) or made.shape != (dim,) or made.context_shape is not None:
        raise ValueError(f"the flow must be a Flow on ({dim},) without a context, got {made!r:.80}")
    return None, make


def _teller(progress: bool | Progress) -> Progress:
    if isinstance(progress, bool):
        return Reporter() if progress else Silent()
    return progress


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


class _Run:
    """One inference, stage by stage."""

    def __init__(
        self,
        target: Target,
        make: MakeFlow,
        request: dict[str, Any],
        annealing: Annealing | bool,
        folder: Path | None,
        progress: Progress,
    ):
        self.target, self.make, self.request = target, make, request
        self.annealing, self.folder, self.progress = annealing, folder, progress
        self.keys = jax.random.split(jax.random.key(request["seed"]), 7)
        self.record: dict[str, Any] = {
            "job": "infer",
            "request": request,
            "target": target_record(target),
            "environment": environment(),
        }

    def go(self) -> Posterior:
        begun, compiled = time.monotonic(), compile_seconds()
        points = dispersed_points(self.keys[0], self.target.dim)
        usable = check_target(self.target, points)
        if self.folder is not None:
            write_record(self.folder, {**self.record, "status": "running"})
        try:
            self.progress.message(f"looking for a start: {self.target.name}, d = {self.target.dim}")
            start = find_start(
                self.target.log_density, self.target.dim, self.keys[1], _usable(points, usable)
            )
            gaussian = fit_gaussian(self.target.log_density, start, self.keys[2], self.progress)
            fitted = self.fit_flow(gaussian)
            posterior = self.judge(fitted, gaussian, start)
        except KeyboardInterrupt:
            self._interrupted()
            raise
        seconds = time.monotonic() - begun
        posterior.record["seconds"] = seconds
        posterior.record["compile_seconds"] = compile_seconds() - compiled
        if self.folder is not None:
            if posterior.interrupted:
                self._interrupted()
            else:
                write_run(self.folder, posterior)
        return posterior

    def _interrupted(self) -> None:
        if self.folder is not None:
            write_record(self.folder, {**self.record, "status": "interrupted"})

    def fit_flow(self, gaussian: GaussianFit) -> Trained:
        request = self.request
        frames, betas = restart_plan(gaussian, request["restarts"])
        if self.annealing is False:
            betas = np.ones_like(betas)
        if isinstance(self.annealing, Annealing):
            shape = (request["restarts"],)
            schedule = Annealing(
                jnp.broadcast_to(self.annealing.start, shape),
                jnp.broadcast_to(self.annealing.steps, shape),
            )
        else:
            schedule = Annealing(betas, ANNEALED_PART * request["steps"] / (1 - betas.min() + 1e-9))
        models = whitened_flows(self.make, self.keys[3], frames)
        objective = ReverseKL(
            self.target.log_density, request["batch_size"], request["gradient"], schedule
        )
        fitted = train(
            models,
            objective,
            self.keys[4],
            steps=request["steps"],
            learning_rate=request["learning_rate"],
            stage=str(request["flow"] or "flow"),
            progress=self.progress,
            checkpoint=None if self.folder is None else self.folder / CHECKPOINT,
        )
        if fitted.interrupted:
            self.progress.message(f"stopped at step {fitted.steps}: keeping what was learned")
        if fitted.not_finite:
            worst = max(fitted.not_finite, key=lambda n: fitted.not_finite[n])
            self.progress.message(
                f"{fitted.not_finite[worst]} steps had a gradient that was not finite, "
                f"first of all in {worst}; they were skipped"
            )
        return fitted

    def judge(self, fitted: Trained, gaussian: GaussianFit, start: Start) -> Posterior:
        log_density = self.target.log_density
        best = int(np.nanargmin(fitted.values))
        flow = select(best, fitted.models)
        draws = draw(flow, log_density, self.keys[5], DRAWS)
        numbers = summarise(draws)
        gaussian_draws = draw(gaussian.flow, log_density, self.keys[5], DRAWS)
        beside = summarise(gaussian_draws)
        kept = "flow"
        noise = 2 * np.hypot(numbers["elbo_se"], beside["elbo_se"])
        if not numbers["elbo"] >= beside["elbo"] - noise:
            kept, flow, draws, numbers = "gaussian", gaussian.flow, gaussian_draws, beside
        coverage = self.look_elsewhere(fitted.models, gaussian.frame, start)
        known = self.target.log_z
        diagnostics: dict[str, Any] = {
            **numbers,
            "kl": None if known is None else known - numbers["elbo"],
            "draws": DRAWS,
            "kept": kept,
            "gaussian": beside,
            "restarts": {
                "objective": fitted.values,
                "skipped_steps": fitted.skipped,
                "best": best,
            },
            "coverage": coverage._asdict(),
            "not_finite": fitted.not_finite,
            "start": {"chosen": start.best.name, "elbo": start.best.elbo, "modes": len(start.modes)},
            "parameters": count_parameters(flow),
        }
        verdict = decide(diagnostics, coverage)
        reasons = list(verdict.reasons)
        if kept == "gaussian":
            reasons.append("the Gaussian fitted beside the flow had the higher ELBO and was kept.")
        return Posterior(
            flow=flow,
            gaussian=gaussian.flow,
            target=self.target,
            diagnostics=diagnostics,
            verdict=verdict.word,
            reasons=reasons,
            history=fitted.history,
            draws=Draws(*(a[:STORED_DRAWS] for a in draws)),
            parameter_names=self.target.parameter_names,
            record=self.record,
            interrupted=fitted.interrupted,
        )

    def look_elsewhere(self, models: PyTree, frame: Frame, start: Start) -> Coverage:
        """The evidence with draws from everywhere the target was seen to have mass."""
        locs = [frame.loc, *(loc for loc, _ in start.gaussians)][: MODES + 1]
        factors = [WIDENED * frame.factor, *(f for _, f in start.gaussians)][: MODES + 1]
        return mixture_evidence(
            models, self.target.log_density, np.array(locs), np.array(factors), self.keys[6]
        )


def _usable(points: Array, usable: np.ndarray) -> Array:
    """The points with finite densities, repeated to the number there was."""
    rows = np.flatnonzero(usable)
    return points[rows[np.arange(len(points)) % len(rows)]]

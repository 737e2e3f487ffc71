"""One inference, stage by stage: check, start, Gaussian, flow, verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from thalweg.inference.choose_precision import Float64NeededError, measured, normal_draws, tell
from thalweg.inference.curvature import curvature_of
from thalweg.inference.density_of_run import check_values, points_mark, target_record, values_at
from thalweg.inference.first_points import first_points
from thalweg.inference.fit import (
    Frame,
    GaussianFit,
    MakeFlow,
    NearlyExact,
    annealing_of,
    first_betas,
    fit_gaussian,
    whitened_flows,
)
from thalweg.inference.judgement import judge
from thalweg.inference.mode_mixture import ModeMixture, based_on, mixture_of_modes
from thalweg.inference.posterior import Posterior
from thalweg.inference.rounding import widened
from thalweg.inference.run_folder import write_run
from thalweg.inference.start import Start, find_start
from thalweg.objectives import Annealing, ReverseKL
from thalweg.precision import current_precision
from thalweg.runs import CHECKPOINT, environment, open_folder, stopped, write_record
from thalweg.targets import Target
from thalweg.targets.tracebacks import failure
from thalweg.training import Progress, Trained, compile_seconds, train


class Inference:
    """One inference, stage by stage, in the precision that JAX computes in.

    With `wider` it raises `Float64NeededError` where that should be float64; `because` says why it
    already is.
    """

    def __init__(
        self,
        target: Target,
        make: MakeFlow,
        request: dict[str, Any],
        annealing: Annealing | bool,
        folder: Path | None,
        progress: Progress,
        notes: Mapping[str, Any] | None = None,
        *,
        wider: bool = False,
        because: str = "",
    ):
        self.target, self.make, self.request = target, make, request
        self.wider, self.because = wider, because
        self.folder_is_new = True  # until it is opened
        self.annealing, self.folder, self.progress = annealing, folder, progress
        words = np.random.SeedSequence(request["seed"]).generate_state(7)
        self.keys = [jax.random.key(int(word)) for word in words]
        self.record: dict[str, Any] = {
            "job": "infer",
            "request": request,
            "target": target_record(target),
            "environment": environment(),
            "notes": notes,
            "precision": {"used": current_precision(), "because": because},
        }

    def goes_on_with(self, record: dict[str, Any]) -> None:
        """Take over what the record of a stopped run says of its target, to compare with."""
        self.record["target"] = record["target"]

    def _check_density(self, points: Array) -> None:
        """Keep, or compare with those kept, values of a density that no file tells apart.

        Of one in a file there are digests; of one in memory, a few values are as good.
        """
        target, at = self.record["target"], np.asarray(points)
        if "values" in target:
            # Another precision, or a wider search, has other points: nothing to compare with.
            if target.get("points") == points_mark(at):
                before = np.array([np.nan if v is None else v for v in target["values"]], float)
                check_values(self.target, at, before, str(self.folder))
        elif self.folder is not None and self.target.reference is None:
            target["values"] = values_at(self.target, at).tolist()
            target["points"] = points_mark(at)

    def go(self, *, fresh: bool = True) -> Posterior:
        """Run all stages; `fresh` opens the folder, otherwise it is that of a stopped run."""
        begun, compiled = time.monotonic(), compile_seconds()
        self.curvature = curvature_of(self.target.log_density, self.target.dim)
        points, usable, self.curvature = first_points(
            self.target, self.keys[0], self.given(), self.curvature, wider=self.wider
        )
        self.target = widened(self.target)
        self._check_density(points)
        if self.folder is not None:
            self.folder = open_folder(self.folder) if fresh else self.folder
            self.folder_is_new = False
        self._say("running")
        try:
            self.progress.message(f"looking for a start: {self.target.name}, d = {self.target.dim}")
            start = find_start(
                self.target.log_density,
                self.target.dim,
                self.keys[1],
                _usable(points, usable),
                self.curvature,
                given=self.given(),
            )
            gaussian = fit_gaussian(
                self.target.log_density, start, self.keys[2], self.progress, self.curvature
            )
            measured(self.target, *normal_draws(gaussian.frame), gaussian.frame, wider=self.wider)
            fitted = self.fit_flow(gaussian, start, self.modes(start))
            posterior = self.judge(fitted, gaussian, start)
            draws = posterior.draws.x, posterior.draws.log_q
            rounding = measured(self.target, *draws, gaussian.frame, wider=self.wider)
            tell(posterior, rounding, self.because)
            posterior.record["seconds"] = fitted.history.earlier + time.monotonic() - begun
            posterior.record["compile_seconds"] = fitted.compile_seconds
            posterior.record["compile_seconds_total"] = compile_seconds() - compiled
            if self.folder is not None:
                if posterior.interrupted:
                    self._say("interrupted")
                else:
                    write_run(self.folder, posterior)
        except Float64NeededError:
            raise  # nothing has failed: the fit begins anew in float64
        except BaseException as error:
            stopped(self.folder, self.record, error)
            said = failure(error) if isinstance(error, RuntimeError) else None
            if said is None:
                raise
            raise ValueError(
                f"the log density {self.target.name!r} failed when it ran: {said}; let it return "
                "-jnp.inf where a solver gives up (diffrax: throw=False)"
            ) from error
        return posterior

    def given(self) -> np.ndarray:
        """The starts that were asked for, (n, d)."""
        return np.asarray(self.request.get("init") or [], float).reshape(-1, self.target.dim)

    def modes(self, start: Start) -> ModeMixture | None:
        """What the base of the flow is made of where there seem to be several modes.

        Recipes asked for by name keep the base that they have.
        """
        if not (self.request.get("base_at_modes", False) and start.found.several):
            return None
        key = jax.random.fold_in(self.keys[1], 1)
        mixture = mixture_of_modes(self.target.log_density, start, key)
        if mixture is not None:
            self.progress.message("several modes: the base of the flow has components at each")
        return mixture

    def _say(self, status: str) -> None:
        if self.folder is not None:
            write_record(self.folder, {**self.record, "status": status})

    def fit_flow(self, gaussian: GaussianFit, start: Start, modes: ModeMixture | None) -> Trained:
        request = self.request
        betas = first_betas(request["restarts"])
        schedule = annealing_of(self.annealing, betas, request["steps"])
        self.annealed_steps = schedule.length()
        at_target = gaussian.frame if modes is None else Frame(*modes.frame())
        frames = [at_target if beta == 1.0 else gaussian.flattened for beta in betas]
        models = whitened_flows(self.make, self.keys[3], frames)
        if modes is not None:
            models = based_on(modes, models, (betas == 1.0).tolist())
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
            should_stop=self.enough(betas, one_place=modes is not None or not start.found.several),
        )
        self.record["steps_taken"] = fitted.steps
        if fitted.interrupted:
            self.progress.message(f"stopped at step {fitted.steps}: keeping what was learned")
        if fitted.not_finite:
            worst = next(iter(fitted.not_finite))
            self.progress.message(
                f"{fitted.not_finite[worst]} steps had a gradient that was not finite, "
                f"first of all in {worst}; they were skipped"
            )
        return fitted

    def enough(self, betas: np.ndarray, *, one_place: bool) -> NearlyExact | None:
        """What may hasten the end: a restart nearly exact, and not on one mode of many alone.

        It is not where there seems to be one mode, or the base has components at each. Steps that
        were asked for are taken.
        """
        own_schedule = isinstance(self.annealing, Annealing)
        if not (self.request.get("end_early", False) and one_place) or own_schedule:
            return None
        at_target = np.flatnonzero(betas == 1.0) if self.annealing else np.arange(len(betas))
        return NearlyExact(self.request["batch_size"], tuple(at_target.tolist()))

    def judge(self, fitted: Trained, gaussian: GaussianFit, start: Start) -> Posterior:
        keys = self.keys[5], self.keys[6]
        return judge(self.target, fitted, gaussian, start, keys, self.annealed_steps, self.record)


def _usable(points: Array, usable: np.ndarray) -> Array:
    """The points with finite densities, repeated to the number there was."""
    rows = np.flatnonzero(usable)
    return points[rows[np.arange(len(points)) % len(rows)]]

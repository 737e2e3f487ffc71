"""One fit, stage by stage: check, start, Gaussian, flow, verdict. It reads and writes no folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from thalweg.diagnostics.rounding import Rounding
from thalweg.gaussians import Gaussian
from thalweg.inference.choose_precision import measure_rounding, normal_draws
from thalweg.inference.defaults import NEARLY_EXACT, SHORT
from thalweg.inference.evaluate import evaluate, prepare_evaluation
from thalweg.inference.fitting.annealing import NearlyExact, annealing_of, first_betas
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.inference.fitting.gaussian import GaussianFit, fit_gaussian
from thalweg.inference.fitting.mode_mixture import ModeMixture, based_on, mixture_of_modes
from thalweg.inference.outcome import Outcome
from thalweg.inference.plan import Plan
from thalweg.inference.rungs import Rungs
from thalweg.inference.search.curvature import curvature_of
from thalweg.inference.search.modes import find_modes, laplace
from thalweg.inference.search.points import first_points
from thalweg.inference.search.start import Start, find_start
from thalweg.objectives import Annealing, ReverseKL
from thalweg.progress import Progress, begin_stage
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.training import TimeLimit, Trained, compile_seconds, train
from thalweg.training.train import prepare

STAGES = 5


class Pipeline:
    """A target and a plan on their way to an `Outcome`, in the precision that JAX computes in.

    `check` comes first, then `run`. With `wider` both raise `Float64NeededError` where the fit
    should be in float64.
    """

    def __init__(
        self,
        target: Target,
        plan: Plan,
        progress: Progress,
        time_limit: TimeLimit | None = None,
        *,
        wider: bool = False,
    ):
        self.target, self.plan, self.progress, self.wider = target, plan, progress, wider
        self.time_limit = TimeLimit() if time_limit is None else time_limit
        words = np.random.SeedSequence(plan.seed).generate_state(4)
        self.rng = np.random.default_rng(words)
        self.keys = [jax.random.key(int(word)) for word in words]
        self.begun, self.compiled = time.monotonic(), compile_seconds()

    def check(self) -> Float[np.ndarray, "n d"]:
        """Check the density where searches begin; returns these points (n, d).

        Raises `ValueError` in one sentence for one that cannot be fitted.
        """
        begin_stage(self.progress, "checking the density", 1, STAGES)
        curvature = curvature_of(self.target)
        self.given = self.plan.starts(self.target.dim)
        points, usable, self.curvature = first_points(
            self.target, self.plan.seed, self.given, curvature, wider=self.wider
        )
        self.density = Evaluator(self.target)
        self.points = _usable(points, usable)
        return points

    def run(self, checkpoint: Path | None = None) -> Outcome:
        """Run all stages after the check; a training that has a `checkpoint` goes on from there.

        They end at the Gaussian where the plan allows that and it is exact enough.
        """
        dim = self.target.dim
        begin_stage(self.progress, "searching modes", 2, STAGES)
        self.progress.message(f"looking for a start: {self.target.name}, d = {dim}")
        if checkpoint is None or not checkpoint.is_file():
            self._prepare_flow()
        if self.wider and self.density.work(dim).dear:
            self._rounding_at_a_mode()
        start = find_start(
            self.density,
            dim,
            self.rng,
            self.points,
            self.curvature,
            given=self.given,
            time_limit=self.time_limit,
        )
        begin_stage(self.progress, "fitting the Gaussian", 3, STAGES, objective="−ELBO")
        gaussian = fit_gaussian(
            self.density, start, self.rng, self.progress, self.curvature, self.time_limit
        )
        rounding = self._rounding(gaussian.frame)
        found = None
        if checkpoint is None or not checkpoint.is_file():
            found = self._below_flow(gaussian, start, rounding)
        if found is None:
            found = self._flow_too(gaussian, start, checkpoint)
        found.record |= {
            "seconds": found.history.earlier + time.monotonic() - self.begun,
            "compile_seconds_total": compile_seconds() - self.compiled,
            "evaluations": {
                "values": self.density.value_count,
                "gradients": self.density.gradient_count,
            },
        }
        return found

    def _rounding(self, frame: Gaussian) -> Rounding:
        return measure_rounding(self.density, *normal_draws(frame), frame, wider=self.wider)

    def _rounding_at_a_mode(self) -> None:
        """Measure it where one path leads, before all of a search is spent in float32."""
        first = laplace(find_modes(self.density, self.points[:1], self.curvature, self.time_limit))
        for gaussian in first.gaussians:
            self._rounding(gaussian)

    def _below_flow(
        self, gaussian: GaussianFit, start: Start, rounding: Rounding
    ) -> Outcome | None:
        """Return the fit without a flow where none is needed, or there is no time for one."""
        late = self._too_late_for_a_flow()
        if not late and (not self.plan.may_end_at_gaussian or start.found.several):
            return None
        rungs = Rungs(self.target, self.density, self.plan.accuracy, gaussian, start, self.keys[3])
        found = rungs.gaussian(rounding, self.progress, late=late)
        if found is None:
            found = rungs.triangular_map(self.rng, self.progress, self.time_limit, wider=self.wider)
        if found is None and self._too_late_for_a_flow():
            found = rungs.gaussian(rounding, self.progress, late=True)
        if found is not None:
            found.record |= {"steps_taken": 0, "compile_seconds": 0.0}
        return found

    def _too_late_for_a_flow(self) -> bool:
        # Its program takes as long to compile as all programs before it, at least.
        return self.time_limit.left() <= compile_seconds() - self.compiled

    def _flow_too(self, gaussian: GaussianFit, start: Start, checkpoint: Path | None) -> Outcome:
        begin_stage(self.progress, "fitting the flow", 4, STAGES)
        fitted = self._fit_flow(gaussian, start, self._modes(start), checkpoint)
        begin_stage(self.progress, "diagnosing", 5, STAGES)
        keys = self.keys[2], self.keys[3]
        annealed = self.annealed_steps
        outcome = evaluate(
            self.target, self.density, fitted, gaussian, start, keys, annealed, wider=self.wider
        )
        draws = fitted.steps * self.plan.batch_size * len(fitted.values)
        self.density.gradient_count += draws
        outcome.record |= {
            "steps_taken": fitted.steps,
            "compile_seconds": fitted.compile_seconds,
        }
        return outcome

    def _modes(self, start: Start) -> ModeMixture | None:
        """Return a base for the flow where there seem to be several modes.

        Recipes asked for by name keep the base that they have.
        """
        if not (self.plan.base_at_modes and start.found.several):
            return None
        mixture = mixture_of_modes(self.density, start, self.rng)
        if mixture is not None:
            self.progress.message("several modes: the base of the flow has components at each")
        return mixture

    def _prepare_flow(self) -> None:
        """Compile the program of the training meanwhile, where it is known that it is needed."""
        plan = self.plan
        if plan.may_end_at_gaussian or plan.base_at_modes:
            return
        standard = Gaussian(np.zeros(self.target.dim), np.eye(self.target.dim))
        models = whitened_flows(plan.make, self.keys[0], [standard] * plan.restarts)
        schedule = annealing_of(plan.annealing, first_betas(plan.restarts), plan.steps)
        prepare(models, self._objective(schedule), self.keys[1], **self._training)

    @property
    def _training(self) -> dict[str, Any]:
        """The arguments of `train` that its program depends on, and those of its schedule."""
        plan = self.plan
        return {
            "steps": plan.steps,
            "learning_rate": plan.learning_rate,
            "low_optimisation": plan.steps <= SHORT,
        }

    def _objective(self, schedule: Annealing) -> ReverseKL:
        plan = self.plan
        return ReverseKL(self.density.log_density, plan.batch_size, plan.gradient, schedule)

    def _fit_flow(
        self,
        gaussian: GaussianFit,
        start: Start,
        modes: ModeMixture | None,
        checkpoint: Path | None,
    ) -> Trained:
        plan = self.plan
        betas = first_betas(self._restarts(start))
        schedule = annealing_of(plan.annealing, betas, plan.steps)
        self.annealed_steps = schedule.length()
        at_target = gaussian.frame if modes is None else modes.frame()
        frames = [at_target if beta == 1.0 else gaussian.flattened for beta in betas]
        models = whitened_flows(plan.make, self.keys[0], frames)
        if modes is not None:
            models = based_on(modes, models, (betas == 1.0).tolist())
        prepare_evaluation(models, self.density, self.keys[2])
        fitted = train(
            models,
            self._objective(schedule),
            self.keys[1],
            **self._training,
            stage=str(plan.flow or "flow"),
            progress=self.progress,
            checkpoint=checkpoint,
            time_limit=self.time_limit,
            should_stop=self._should_stop(
                betas, one_place=modes is not None or not start.found.several
            ),
        )
        if fitted.interrupted:
            self.progress.message(f"stopped at step {fitted.steps}: keeping what was learned")
        if fitted.not_finite:
            worst = next(iter(fitted.not_finite))
            self.progress.message(
                f"{fitted.not_finite[worst]} steps had a gradient that was not finite, "
                f"first of all in {worst}; they were skipped"
            )
        return fitted

    def _restarts(self, start: Start) -> int:
        """Return how many restarts there are; one alone where no mode seems to be hidden."""
        return 1 if self.plan.may_end_at_gaussian and start.found.alone else self.plan.restarts

    def _should_stop(self, betas: np.ndarray, *, one_place: bool) -> NearlyExact | None:
        """Return the rule that ends a fit early, or None.

        It asks for a restart that is nearly exact where there seems to be one mode, or the base has
        components at each: not for one that has found one mode of many. Steps that were asked for
        are taken.
        """
        own_schedule = isinstance(self.plan.annealing, Annealing)
        if not (self.plan.end_early and one_place) or own_schedule:
            return None
        at_target = np.flatnonzero(betas == 1.0) if self.plan.annealing else np.arange(len(betas))
        return NearlyExact(
            self.plan.batch_size, tuple(at_target.tolist()), NEARLY_EXACT * self.plan.accuracy
        )


def _usable(points: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the points with finite densities, repeated to the number of all."""
    rows = np.flatnonzero(usable)
    return points[rows[np.arange(len(points)) % len(rows)]]

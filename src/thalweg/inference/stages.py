"""One inference, stage by stage: check, start, Gaussian, flow, verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

from thalweg.inference.census import take_census
from thalweg.inference.choose_precision import Float64NeededError, measured, normal_draws, tell
from thalweg.inference.coverage import (
    FREEDOM,
    MODES,
    WIDENED,
    Coverage,
    Own,
    mixture_evidence,
)
from thalweg.inference.curvature import curvature_of
from thalweg.inference.density_of_run import check_values, points_mark, target_record, values_at
from thalweg.inference.draws import Draws, draw
from thalweg.inference.faults import faults
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
from thalweg.inference.missed_mass import missed_mass_of
from thalweg.inference.mode_mixture import ModeMixture, based_on, mixture_of_modes
from thalweg.inference.places import Place
from thalweg.inference.posterior import Posterior
from thalweg.inference.rounding import widened
from thalweg.inference.run_folder import write_run
from thalweg.inference.start import Start, find_start, gaussian_log_weights
from thalweg.inference.verdict import (
    corrected_mean,
    decide,
    mean_shift,
    objections,
    summarise,
)
from thalweg.objectives import Annealing, ReverseKL
from thalweg.precision import current_precision
from thalweg.runs import CHECKPOINT, environment, open_folder, stopped, write_record
from thalweg.targets import Target
from thalweg.targets.tracebacks import failure
from thalweg.training import Progress, Trained, compile_seconds, train
from thalweg.tree import count_parameters, pick

DRAWS = 32_768  # behind the diagnostics
DIVERGED = 1.0  # nats below the Gaussian it began as: a flow there has learned nothing
STORED_DRAWS = 8192  # kept in the posterior, for tables and pictures


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
            enough=self.enough(betas, one_place=modes is not None or not start.found.several),
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
        log_density = self.target.log_density
        best = int(np.nanargmin(fitted.values))
        flow = pick(best, fitted.models)
        draws = draw(flow, log_density, self.keys[5], DRAWS)
        numbers = summarise(draws.log_weights, draws.rounding)
        frame = gaussian.frame
        terms = gaussian_log_weights(log_density, [(frame.loc, frame.factor)], self.keys[5])
        beside = summarise(np.where(np.isnan(terms), -np.inf, terms).ravel(), draws.rounding)
        kept, learned = "flow", numbers["elbo"]
        noise = 2 * np.hypot(numbers["elbo_se"], beside["elbo_se"])
        if not numbers["elbo"] >= beside["elbo"] - noise:
            kept, flow = "gaussian", gaussian.flow
            draws = draw(flow, log_density, self.keys[5], DRAWS)
            numbers = summarise(draws.log_weights, draws.rounding)
        x = draws.x.astype(np.float64)
        own = Own(
            numbers["log_evidence"],
            numbers["log_evidence_se"],
            x.mean(0),
            corrected_mean(x, draws.log_weights),
        )
        known = self.target.log_z
        poor = bool(objections({**numbers, "draws": DRAWS}, known))
        law = len(fitted.values) if kept == "gaussian" else best
        coverage = self.look_elsewhere(fitted.models, gaussian, start, own, law, poor=poor)
        census = take_census(flow, log_density, start, numbers["log_evidence"], self.keys[6])
        diagnostics: dict[str, Any] = {
            **numbers,
            "kl": None if known is None else known - numbers["elbo"],
            "draws": DRAWS,
            "mean_shift": mean_shift(x, draws.log_weights),
            "kept": kept,
            "gaussian": beside,
            "restarts": {
                "objective": fitted.values,
                "skipped_steps": fitted.skipped,
                "annealed_steps": self.annealed_steps,
                "best": best,
            },
            "coverage": coverage._asdict(),
            "census": None if census is None else census._asdict(),
            "not_finite": fitted.not_finite,
            "start": {
                "chosen": start.best.name,
                "elbo": start.best.elbo,
                "modes": len(start.found.gaussians),
            },
            "parameters": count_parameters(flow),
        }
        missed = missed_mass_of(diagnostics)
        diagnostics |= {
            "missed_mass": missed.mass,
            "missed_mass_se": missed.se,
            "missed_mass_status": missed.status,
        }
        verdict = decide(diagnostics, coverage, census, known)
        if verdict.word == "reject":
            # Faults of the target come first: no better fit would mend them.
            some = Draws(*(part[:STORED_DRAWS] for part in draws))
            findings = faults(self.target, some)
            verdict = decide(diagnostics, coverage, census, known, findings)
        word, reasons = verdict.word, list(verdict.reasons)
        if kept == "gaussian" and not learned >= beside["elbo"] - DIVERGED:
            # Its restarts, which look for mass elsewhere, have not looked anywhere either.
            word = "correct" if word == "trust" else word
            reasons.append(
                f"the flow failed to learn: its ELBO is {learned:.4g}, that of the Gaussian beside "
                f"it, which was kept, {beside['elbo']:.4g}; the learning rate was "
                f"{self.request['learning_rate']:.4g}, try a lower one."
            )
        elif kept == "gaussian":
            reasons.append("the Gaussian fitted beside the flow had the higher ELBO and was kept.")
        return Posterior(
            flow=flow,
            gaussian=gaussian.flow,
            target=self.target,
            diagnostics=diagnostics,
            verdict=word,
            reasons=reasons,
            history=fitted.history,
            draws=Draws(*(a[:STORED_DRAWS] for a in draws)),
            coordinate_names=self.target.parameter_names,
            parameters=self.target.parameters,
            record=self.record,
            interrupted=fitted.interrupted,
        )

    def look_elsewhere(
        self, models: PyTree, gaussian: GaussianFit, start: Start, own: Own, law: int, *, poor: bool
    ) -> Coverage:
        """The evidence with draws from everywhere the target was seen to have mass."""
        # The Gaussian that is perhaps kept comes first: `law` counts on it.
        places = [Place(*gaussian.frame)]
        wide = [gaussian.frame]
        if gaussian.flattened is not gaussian.frame:
            wide.append(gaussian.flattened)
        places += [Place(frame.loc, WIDENED * frame.factor, FREEDOM) for frame in wide]
        places += [Place(*found) for found in start.found.gaussians[:MODES]]
        key, density = self.keys[6], self.target.log_density
        return mixture_evidence(models, density, places, key, own, law, poor=poor)


def _usable(points: Array, usable: np.ndarray) -> Array:
    """The points with finite densities, repeated to the number there was."""
    rows = np.flatnonzero(usable)
    return points[rows[np.arange(len(points)) % len(rows)]]

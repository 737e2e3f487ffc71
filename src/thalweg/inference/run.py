"""One run: a plan carried out, in float32 or, where rounding matters, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.inference.arguments import check_precision
from thalweg.inference.choose_precision import Float64NeededError
from thalweg.inference.density_of_run import check_values, points_mark, target_record, values_at
from thalweg.inference.outcome import Outcome
from thalweg.inference.pipeline import Pipeline
from thalweg.inference.plan import Plan
from thalweg.inference.run_folder import JOB, write_run
from thalweg.precision import computing_in, current_precision
from thalweg.progress import Progress, showing
from thalweg.runs import Run
from thalweg.targets import Target
from thalweg.targets.tracebacks import failure
from thalweg.training import TimeLimit


def carry_out(
    target: Target,
    plan: Plan,
    progress: Progress,
    folder: Path | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
    time_limit: TimeLimit | None = None,
) -> Outcome:
    """Fit as planned; where the plan leaves the precision open, in float64 if rounding matters.

    `time_limit` is that of the plan, begun earlier; by default it begins now.
    """
    run = Run(JOB, plan.to_record(), folder, notes, target=target_record(target))
    with showing(progress):
        planned = _PlannedRun(run, target, plan, progress, time_limit)
        return planned.fit(check_precision(plan.precision))


def go_on(
    target: Target, plan: Plan, progress: Progress, folder: Path, before: Mapping[str, Any]
) -> Outcome:
    """Go on with a stopped run in its folder; `before` is its record."""
    facts = {key: before.get(key) for key in ("request", "notes", "target")}
    run = Run(JOB, folder=folder, fresh=False, **facts)
    because = str((before.get("precision") or {}).get("because", ""))
    # What was begun in float32 may still have to go on in float64, as it would have by itself.
    free = current_precision() == "float32" and plan.precision == "auto"
    with showing(progress):
        return _PlannedRun(run, target, plan, progress).fit(
            None if free else current_precision(), because
        )


class _PlannedRun:
    def __init__(
        self,
        run: Run,
        target: Target,
        plan: Plan,
        progress: Progress,
        time_limit: TimeLimit | None = None,
    ):
        self.run, self.target, self.plan, self.progress = run, target, plan, progress
        self.time_limit = TimeLimit(plan.time_limit) if time_limit is None else time_limit

    def fit(self, precision: str | None, because: str = "") -> Outcome:
        """Fit in this precision; where it is None, in float64 if rounding in float32 matters.

        `because` says why the fit is in float64, where that was not asked for.
        """
        chosen = precision or current_precision()
        wider = precision is None and chosen == "float32"
        try:
            with computing_in(chosen):
                return self._fit(wider, because)
        except Float64NeededError as error:
            because = str(error)
        self.progress.message(f"fitting in float64: in float32 {because}")
        if self.run.checkpoint is not None:
            self.run.checkpoint.unlink(missing_ok=True)
        return self.fit("float64", because)

    def _fit(self, wider: bool, because: str) -> Outcome:
        run = self.run
        run.record["precision"] = {"used": current_precision(), "because": because}
        pipeline = Pipeline(self.target, self.plan, self.progress, self.time_limit, wider=wider)
        self._check_values(pipeline.check())
        try:
            with run.going(Float64NeededError):
                outcome = pipeline.run(run.checkpoint)
                outcome.record = {**run.record, **outcome.record}
                if because:
                    outcome.reasons.append(f"fitted in float64: in float32 {because}")
                if outcome.interrupted:
                    run.write("interrupted", **outcome.record)
                elif run.folder is not None:
                    write_run(run.folder, outcome)
        except RuntimeError as error:
            said = failure(error)
            if said is None:
                raise
            raise ValueError(
                f"the log density {self.target.name!r} failed when it ran: {said}; let it return "
                "-jnp.inf where a solver gives up (diffrax: throw=False)"
            ) from error
        return outcome

    def _check_values(self, points: Float[np.ndarray, "n d"]) -> None:
        """Keep, or compare with those kept, values of a density that no file tells apart.

        Of one in a file there are digests; of one in memory, a few values are as good.
        """
        target, at = self.run.record["target"], np.asarray(points)
        if "values" in target:
            # Another precision, or a wider search, has other points: nothing to compare with.
            if target.get("points") == points_mark(at):
                before = np.array([np.nan if v is None else v for v in target["values"]], float)
                check_values(self.target, at, before, str(self.run.folder))
        elif self.run.folder is not None and self.target.reference is None:
            target["values"] = values_at(self.target, at).tolist()
            target["points"] = points_mark(at)

"""One run: a plan carried out, with its folder, in float32 or, where rounding matters, float64."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array

from thalweg.inference.arguments import check_precision
from thalweg.inference.choose_precision import Float64NeededError
from thalweg.inference.density_of_run import check_values, points_mark, target_record, values_at
from thalweg.inference.outcome import Outcome
from thalweg.inference.pipeline import Pipeline
from thalweg.inference.plan import Plan
from thalweg.inference.run_folder import write_run
from thalweg.precision import computing_in, current_precision
from thalweg.runs import CHECKPOINT, environment, open_folder, stopped, write_record
from thalweg.targets import Target
from thalweg.targets.tracebacks import failure
from thalweg.training import Progress


def carry_out(
    target: Target,
    plan: Plan,
    progress: Progress,
    folder: Path | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
) -> Outcome:
    """Fit as planned; where the plan leaves the precision open, in float64 if rounding matters."""
    return Run(target, plan, progress, folder, notes).go(check_precision(plan.precision))


class Run:
    """A plan, and the folder in which it is carried out.

    `before` is the record of a run that was stopped, with which this one goes on.
    """

    def __init__(
        self,
        target: Target,
        plan: Plan,
        progress: Progress,
        folder: Path | None = None,
        notes: Mapping[str, Any] | None = None,
        before: dict[str, Any] | None = None,
    ):
        self.target, self.plan, self.progress, self.folder = target, plan, progress, folder
        self.fresh = before is None  # the folder is still to be opened
        self.record: dict[str, Any] = {
            "job": "infer",
            "request": plan.to_record(),
            "target": target_record(target),
            "notes": notes,
        }
        if before is not None:
            self.record |= {key: before.get(key) for key in ("request", "target", "notes")}

    def go(self, precision: str | None, because: str = "") -> Outcome:
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
        if self.folder is not None:
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        return self.go("float64", because)

    def _fit(self, wider: bool, because: str) -> Outcome:
        used = {"used": current_precision(), "because": because}
        self.record |= {"environment": environment(), "precision": used}
        pipeline = Pipeline(self.target, self.plan, self.progress, wider=wider)
        self._check_values(pipeline.check())
        if self.folder is not None:
            self.folder = open_folder(self.folder) if self.fresh else self.folder
            self.fresh = False
            write_record(self.folder, {**self.record, "status": "running"})
        try:
            outcome = pipeline.run(None if self.folder is None else self.folder / CHECKPOINT)
            outcome.record = {**self.record, **outcome.record}
            if because:
                outcome.reasons.append(f"fitted in float64: in float32 {because}")
            if self.folder is not None and outcome.interrupted:
                write_record(self.folder, {**outcome.record, "status": "interrupted"})
            elif self.folder is not None:
                write_run(self.folder, outcome)
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
        return outcome

    def _check_values(self, points: Array) -> None:
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

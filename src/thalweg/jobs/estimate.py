"""Job 2: densities of tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.density import DensityEstimator
from thalweg.density.job import read_run, resume
from thalweg.jobs.context import contexts_given
from thalweg.jobs.job import Drawn, DrawOptions, Job, Scorer, default_layers, numbers_in
from thalweg.runs import reading
from thalweg.tables.table_file import listed

OUTLYING = ("test_outlying", "test_nll_of_others")


class Estimate(Job):
    """Runs of `thalweg estimate`; a fit is an `Estimated`."""

    name = "estimate"

    def save(self, path: str | Path, obj: Any) -> None:
        obj.save(path)

    def load(self, path: Path, target: Any, *, trust_code: bool) -> Any:
        return DensityEstimator.load(path)

    def read(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return read_run(folder)

    def resume(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return resume(folder)

    def results(self, fit: Any, folder: Path) -> dict[str, Any]:
        estimator, record = fit.estimator, fit.record
        with reading(folder):
            numbers, request = record["results"], record["request"]
            layers = estimator.flow_options_.get("layers", default_layers(estimator.flow))
            return {
                "job": self.name,
                "data": request["data"],
                "flow": estimator.flow,
                "layers": layers,
                "members": estimator.members_,
                "rows": numbers["rows"],
                "columns": numbers["columns"],
                "context": request["context"],
                **{key: numbers[key] for key in ("train_nll", "valid_nll", "test_nll")},
                **{key: numbers.get(key) for key in ("valid_nll_se", *OUTLYING)},
                **{key: numbers[key] for key in ("test_nll_se", "test_rows", "parameters")},
                "rows_per_second": numbers["rows_per_second"],
                "baselines": numbers["baselines"],
                "noise": estimator.noise_,
                "gaussian_weight": estimator.gaussian_weight_,
                "weights": estimator.weights_,
                "out_of_time": estimator.out_of_time_,
                "steps": estimator.n_steps_,
                "discrete_columns": estimator.discrete_columns_,
                "repeated_values": estimator.repeated_values_,
                "outlying_rows": estimator.outlying_rows_,
                "constant_columns": estimator.constant_columns_,
                "duplicate_rows": estimator.duplicate_rows_,
                "seconds": record["seconds"],
                "seed": request["seed"],
            }

    def lines(self, fit: Any, folder: Path) -> list[str]:
        """Lines on the density of test rows, simpler densities, and warnings."""
        from thalweg.report.estimation import noticed

        estimator, numbers = fit.estimator, numbers_in(fit.record["results"])
        given = fit.record["request"]["context"]
        line = f"{numbers['rows']} rows, {len(numbers['columns'])} columns"
        lines = [
            line + (f", given {listed(given)}" if given else ""),
            f"  −ln p of {numbers['test_rows']} test rows   {numbers['test_nll']:.4f} "
            f"{_error(numbers)}   (training {numbers['train_nll']:.4f})",
        ]
        if fit.record["results"].get("test_outlying"):
            lines.append(
                f"  {numbers['test_outlying']} of them have values that outweigh all others: of "
                f"the rest −ln p is {numbers['test_nll_of_others']:.4f}"
            )
        baselines = [numbers_in(one) for one in numbers["baselines"]]
        for one, asked in zip(baselines, numbers["baselines"], strict=True):
            chosen = f" ({asked['chosen']})" if asked["chosen"] else ""
            lines.append(
                f"  {one['name'] + chosen:36s}{one['test_nll']:.4f}   the flow is better by "
                f"{one['worse_by']:.4f} ± {one['worse_by_se']:.4f}"
            )
        if any(one["worse_by"] < 0 for one in baselines):
            lines.append(
                "  the flow is not worth it here: a simpler density describes the rows better"
            )
        return lines + [f"  {sentence}" for sentence in noticed(estimator)]

    def write_page(self, fit: Any, path: Path) -> Path:
        from thalweg.report import write_estimation

        return write_estimation(fit, path)

    def draw(self, fit: Any, n: int, options: DrawOptions, folder: Path) -> Drawn:
        """Draws with the contexts that they were given."""
        if options.corrected or options.refined:
            raise ValueError("draws of a density are its own: there is nothing to correct")
        given = contexts_given(options.context, fit.around, folder)
        rows = fit.estimator.sample(n, context=given, random_state=options.seed)
        if given is not None:
            around = np.broadcast_to(given, (len(rows), len(fit.around)))
            rows = np.column_stack([rows, around])
        names = (*fit.estimator.column_names, *fit.around)
        return Drawn(rows, names)

    def scorer(self, fit: Any) -> Scorer:
        estimator, around = fit.estimator, fit.around
        split = len(estimator.column_names)

        def log_density(rows: np.ndarray) -> Any:
            return estimator.log_density(rows[:, :split], rows[:, split:] if around else None)

        return Scorer((*estimator.column_names, *around), log_density, True)


def _error(numbers: dict[str, Any]) -> str:
    """Return the standard error of the test score in words."""
    error = numbers["test_nll_se"]
    if not math.isfinite(error):
        return "nats, too few rows to tell how far off"
    return f"± {error:.4f} nats"


JOB = Estimate()

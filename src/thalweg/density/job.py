"""Job 2 from a file to a run folder: learn a density, score it on test rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.argument_checks import check_real_number, check_seed
from thalweg.density.baselines import Baseline, baselines
from thalweg.density.columns.outliers import limits_of
from thalweg.density.defaults import TEST_FRACTION
from thalweg.density.estimator import DensityEstimator
from thalweg.density.rows.row_stream import Rows, split_context
from thalweg.density.rows.source import DataSource, check_asked, open_source
from thalweg.density.run_folder import JOB, ROWS, write_estimator
from thalweg.files.digests import digests
from thalweg.files.reading import as_path
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.progress import Progress, begin_stage, showing
from thalweg.runs import (
    Run,
    read_record,
    read_unfinished,
    request_to_resume,
)
from thalweg.tables.table_file import listed
from thalweg.tree import count_parameters

# Entries of a request.
REQUEST = ("data", "columns", "context", "test_fraction", "missing", "seed", "options")

STAGES = 4
SHOWN = 4000  # test rows that a run folder keeps


@dataclass
class Estimated:
    """A fitted estimator, the record of its run, and test rows with the contexts that they had and
    their log densities, to show.
    """

    estimator: DensityEstimator
    record: dict[str, Any]
    shown: dict[str, np.ndarray]

    @property
    def around(self) -> list[str]:
        """The names of the columns that the density is given; of older runs the record has them."""
        ready = self.estimator.context_preparation_
        if ready is None:
            return []
        names = self.estimator.context_names_in_ or (self.record.get("request") or {}).get(
            "context"
        )
        return list(names or (f"context_{i}" for i in range(len(ready.marginals))))


def estimate(
    data: str | Path,
    *,
    columns: Sequence[str] | None = None,
    context: Sequence[str] | None = None,
    test_fraction: float = TEST_FRACTION,
    missing: str = "error",
    header: bool | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress | None = True,
    notes: Mapping[str, Any] | None = None,
    **options: Any,
) -> Estimated:
    """Fit a `DensityEstimator` to columns of a file, and score it beside simpler densities.

    `columns` are the names of those whose density is wanted (None: all that are no context),
    `context` of those it is conditional on. A part of the rows, `test_fraction`, is neither learned
    from nor held out: on these the flow, a Gaussian, a mixture of Gaussians and a kernel density
    are compared, all in nats a row and in the units of the file. `header`, `separator` and
    `decimal` say how a csv file is to be read, where its first lines do not show it. Further
    keywords are those of `DensityEstimator`. With `out` the run goes to a folder, with checkpoints
    while it lasts; Ctrl-C stops it so that it can be resumed. `notes` are kept in its record for
    whoever resumes it. Raises `ValueError` in one sentence for whatever cannot be done.
    """
    test_fraction = check_real_number("test_fraction", test_fraction, above=0, below=1)
    layout = {"header": header, "separator": separator, "decimal": decimal}
    request: dict[str, Any] = {
        "data": os.path.abspath(data),  # a run that is resumed finds it again
        "columns": None if columns is None else list(columns),
        "context": None if not context else list(context),
        "test_fraction": test_fraction,
        "missing": missing,
        "layout": {name: value for name, value in layout.items() if value is not None},
        "seed": check_seed(seed, 2**32 - 1),
        "options": options,
    }
    check_asked(request)  # what is refused here leaves no folder behind
    run = Run(JOB, request, None if out is None else as_path(out), notes)
    with showing(progress) as shown:
        return _carry_out(run, shown)


def resume(folder: str | Path, progress: bool | Progress | None = True) -> Estimated:
    """Go on with the run of a folder; a complete run is loaded as it is."""
    folder = Path(folder)
    record = read_unfinished(folder, JOB)
    if record is None:
        return read_run(folder)
    request = request_to_resume(folder, record, REQUEST)
    request["layout"] = record["request"].get("layout", {})  # older runs have none
    run = Run(JOB, request, folder, record.get("notes"), fresh=False)
    with showing(progress) as shown:
        return _carry_out(run, shown)


def read_run(folder: str | Path) -> Estimated:
    """A complete run."""
    folder = Path(folder)
    estimator, record = DensityEstimator.load(folder), read_record(folder)
    shown = read_tensors(folder / ROWS)[0] if (folder / ROWS).is_file() else {}
    _check_shown(folder / ROWS, shown, estimator)
    return Estimated(estimator, record, shown)


def _check_shown(path: Path, shown: dict[str, np.ndarray], estimator: DensityEstimator) -> None:
    """Raise `ValueError` where the rows to show are not rows of this density."""
    if not shown:
        return
    x, scores, width = shown.get("x"), shown.get("log_density"), estimator.n_features_in_
    if x is None or scores is None or scores.ndim != 1 or x.shape != (len(scores), width):
        raise ValueError(f"{path} is damaged: its rows are not of {width} columns")
    context, prepared = shown.get("context"), estimator.context_preparation_
    given = None if context is None else context.shape[1:]
    if given != (None if prepared is None else (len(prepared.marginals),)):
        raise ValueError(f"{path} is damaged: its contexts are not those of this density")


def _carry_out(run: Run, progress: Progress) -> Estimated:
    record, request = run.record, run.record["request"]
    estimator = DensityEstimator(**{"random_state": request["seed"], **request["options"]})
    begin_stage(progress, "reading the rows", 1, STAGES)
    record["files"] = digests([request["data"]])
    with (
        run.going(),
        open_source(request, estimator.valid_fraction, run.folder, progress) as given,
    ):
        record["reading"] = given.reading
        progress.message(f"{given.total} rows of {listed(given.names)}")
        begin_stage(progress, "fitting the density", 2, STAGES)
        estimator.learn(
            *given.learned,
            progress,
            checkpoint=run.checkpoint,
            names=given.names,
            context_names=given.around or None,
            numbers=given.numbers,
            stream=given.stream,
        )
        for sentence in estimator.notices_:
            progress.message(sentence)
        test = given.test
        begin_stage(progress, f"scoring {len(test.x)} test rows", 3, STAGES)
        found = estimator.log_density(*test)
        outlying = _outlying(estimator, given)
        if outlying.any():
            progress.message(
                f"{outlying.sum()} of them have values that outweigh all others: of the rest "
                f"−ln p is {-found[~outlying].mean():.4f}"
            )
        begin_stage(progress, "comparing with simpler densities", 4, STAGES)
        simpler = [] if test.context is not None else _beside(estimator, given, request["seed"])
        shown = {"x": test.x[:SHOWN], "log_density": found[:SHOWN]}
        shown |= {} if test.context is None else {"context": test.context[:SHOWN]}
        record["results"] = _results(estimator, found, simpler)
        record["results"]["test_outlying"] = int(outlying.sum())
        record["results"]["test_nll_of_others"] = -float(found[~outlying].mean())
        record["results"] |= {"rows": given.total, "columns": list(given.names)}
        record["seconds"] = estimator.history_.earlier + run.seconds
        if run.folder is not None:
            write_tensors(run.folder / ROWS, shown, {})
            write_estimator(run.folder, estimator.to_saved(), record)
    return Estimated(estimator, record, shown)


def _results(
    estimator: DensityEstimator, found: np.ndarray, simpler: Sequence[Baseline]
) -> dict[str, Any]:
    """Nats a row of all parts, and of simpler densities on the test rows."""
    return {
        "train_nll": estimator.train_nll_,
        "valid_nll": estimator.valid_nll_,
        "valid_nll_se": estimator.valid_nll_se_,
        "test_nll": -float(found.mean()),
        "test_nll_se": _error(found),
        "test_rows": len(found),
        "rows_per_second": estimator.rows_per_second_,
        "parameters": count_parameters(estimator.flow_),
        "baselines": [
            {
                "name": one.name,
                "chosen": one.chosen,
                "test_nll": -float(one.log_density.mean()),
                "worse_by": float(np.mean(found - one.log_density)),
                "worse_by_se": _error(found - one.log_density),
            }
            for one in simpler
        ],
    }


def _outlying(estimator: DensityEstimator, given: DataSource) -> np.ndarray:
    """Which test rows have values that outweigh all that were learned; never all of them."""
    limits = limits_of(given.learned.x, given.names, estimator.marginals)
    found = np.asarray(limits.outside(given.test.x).any(axis=1))
    if given.test.context is not None and given.learned.context is not None:
        around = limits_of(given.learned.context, given.around)
        found = found | np.asarray(around.outside(given.test.context).any(axis=1))
    return np.zeros(len(found), bool) if found.all() else found


def _beside(estimator: DensityEstimator, given: DataSource, seed: int) -> list[Baseline]:
    """Simpler densities of the same rows, with noise in discrete columns."""
    if given.stream is None:
        inside = given.learned.take(estimator.learned_rows_)
        outside = given.learned.take(estimator.held_out_rows_)
    else:
        inside, outside = given.learned, split_context(given.stream.held_out, len(given.names))
    chosen_by = outside if len(outside.x) else inside
    random, ready = np.random.default_rng(seed), estimator.preparation_

    def filled(part: Rows) -> np.ndarray:
        u = random.uniform(size=(len(part.x), ready.within.shape[1]))
        return ready.dequantised(part.x, u)

    cells = ready.log_cells(given.test.x)
    return [
        one._replace(log_density=one.log_density + cells)
        for one in baselines(filled(inside), filled(chosen_by), filled(given.test), ready, seed)
    ]


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")

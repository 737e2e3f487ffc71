"""Job 2 from a file to a run folder: learn a density, judge it on rows that nobody has seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.density.baselines import Baseline, baselines
from thalweg.density.estimator import DensityEstimator
from thalweg.density.files import Table, read
from thalweg.density.run_folder import JOB, read_estimator, write_estimator
from thalweg.density.table import as_rows
from thalweg.runs import (
    CHECKPOINT,
    environment,
    open_folder,
    read_record,
    request_to_resume,
    write_record,
)
from thalweg.serialization import read_tensors, write_tensors
from thalweg.targets.options import whole
from thalweg.training import Progress, teller
from thalweg.tree import count_parameters

# What a run is asked.
REQUEST = ("data", "columns", "context", "test_fraction", "missing", "seed", "options")


SHOWN = 4000  # test rows that a run folder keeps
ROWS = "rows.safetensors"


@dataclass
class Estimated:
    """A fitted estimator, the record of its run, and test rows with the contexts that they had and
    their log densities, to show.
    """

    estimator: DensityEstimator
    record: dict[str, Any]
    shown: dict[str, np.ndarray]


def estimate(
    data: str | Path,
    *,
    columns: Sequence[str] | None = None,
    context: Sequence[str] | None = None,
    test_fraction: float = 0.1,
    missing: str = "error",
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress = True,
    **options: Any,
) -> Estimated:
    """Fit a `DensityEstimator` to columns of a file, and judge it beside simpler densities.

    `columns` are the names of those whose density is wanted (None: all that are no context),
    `context` of those it is conditional on. A part of the rows, `test_fraction`, is neither learned
    from nor held out: on these the flow, a Gaussian, a mixture of Gaussians and a kernel density
    are compared, all in nats a row and in the units of the file. Further keywords are those of
    `DensityEstimator`. With `out` the run goes to a folder, with checkpoints while it lasts; Ctrl-C
    stops it so that it can be resumed. Raises `ValueError` in one sentence for whatever cannot be
    done.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")
    request: dict[str, Any] = {
        "data": str(Path(data).resolve()),  # a run that is resumed finds it again
        "columns": None if columns is None else list(columns),
        "context": None if not context else list(context),
        "test_fraction": test_fraction,
        "missing": missing,
        "seed": whole("seed", seed, 0),
        "options": options,
    }
    return _run(request, None if out is None else Path(out), teller(progress), fresh=True)


def resume(folder: str | Path, progress: bool | Progress = True) -> Estimated:
    """Go on with the run of a folder; a complete run is loaded as it is."""
    folder = Path(folder)
    record = read_record(folder)
    if record.get("job") != JOB:
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    if record.get("status") == "complete":
        return read_run(folder)
    request = request_to_resume(folder, record, REQUEST)
    return _run(request, folder, teller(progress), fresh=False)


def read_run(folder: str | Path) -> Estimated:
    """A complete run."""
    folder = Path(folder)
    estimator, record = read_estimator(folder), read_record(folder)
    shown = read_tensors(folder / ROWS)[0] if (folder / ROWS).is_file() else {}
    if shown and not {"x", "log_density"} <= set(shown):
        raise ValueError(f"{folder / ROWS} is damaged")
    return Estimated(estimator, record, shown)


def _run(
    request: dict[str, Any], folder: Path | None, progress: Progress, *, fresh: bool
) -> Estimated:
    begun = time.monotonic()
    table = read(request["data"])
    rows, given, names = _chosen(table, request)
    learned, test = _parted(len(rows), request["test_fraction"], request["seed"])
    options = {"random_state": request["seed"], **request["options"]}
    estimator = DensityEstimator(**options)
    record: dict[str, Any] = {"job": JOB, "request": request, "environment": environment()}
    if folder is not None:
        folder = open_folder(folder) if fresh else folder

    def say(status: str) -> None:
        if folder is not None:
            write_record(folder, {**record, "status": status})

    say("running")
    try:
        progress.message(f"{len(rows)} rows of {', '.join(names)}")
        estimator.learn(
            rows[learned],
            None if given is None else given[learned],
            progress,
            checkpoint=None if folder is None else folder / CHECKPOINT,
            names=names,
        )
        progress.message(f"judging {len(test)} rows")
        around = None if given is None else given[test]
        found = estimator.log_density(rows[test], around)
        shown = {"x": rows[test][:SHOWN], "log_density": found[:SHOWN]}
        shown |= {} if around is None else {"context": around[:SHOWN]}
        simpler = (
            baselines(
                *_same_split(estimator, rows, learned, test, request["seed"]),
                estimator.preparation_,
                request["seed"],
            )
            if given is None
            else []
        )
        record["results"] = _results(estimator, found, simpler)
        record["results"] |= {"rows": len(rows), "columns": list(names)}
        record["seconds"] = time.monotonic() - begun
    except KeyboardInterrupt:
        say("interrupted")
        raise
    except Exception:
        say("failed")
        raise
    if folder is not None:
        write_tensors(folder / ROWS, shown, {})
        write_estimator(folder, estimator, record)
    return Estimated(estimator, record, shown)


def _chosen(
    table: Table, request: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """The rows that are wanted, their contexts, and the names of their columns."""
    around = request["context"] or []
    names = request["columns"]
    if names is None:
        names = [name for name in table.names if name not in around]
    both = sorted(set(names) & set(around))
    if both:
        raise ValueError(f"column {both[0]!r} cannot be modelled and given at once")
    if not names:
        raise ValueError("no columns are left to model")
    what = Path(request["data"]).name
    every = [*names, *around]
    rows, _ = as_rows(table.rows(every, what), what, request["missing"], names=every)
    split = len(names)
    return rows[:, :split], rows[:, split:] if around else None, tuple(names)


def _parted(count: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(count)
    held = max(1, round(fraction * count))
    if count - held < 2:
        raise ValueError(f"{count} rows are too few to learn from some and be judged by others")
    return order[held:], order[:held]


def _results(
    estimator: DensityEstimator, found: np.ndarray, simpler: Sequence[Baseline]
) -> dict[str, Any]:
    """Nats a row of all parts, and of simpler densities on the test rows."""
    return {
        "train_nll": estimator.train_nll_,
        "valid_nll": estimator.valid_nll_,
        "test_nll": -float(found.mean()),
        "test_nll_se": _error(found),
        "test_rows": len(found),
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


def _same_split(
    estimator: DensityEstimator, rows: np.ndarray, learned: np.ndarray, test: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the flow learned from, was held out and is judged by, with noise in discrete columns."""
    ready = estimator.preparation_
    u = np.random.default_rng(seed).uniform(size=(len(rows), int(ready.discrete.sum())))
    filled = ready.dequantised(rows, u)
    inside, outside = learned[estimator.learned_rows_], learned[estimator.held_out_rows_]
    judged = outside if len(outside) else inside
    return filled[inside], filled[judged], filled[test]


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")

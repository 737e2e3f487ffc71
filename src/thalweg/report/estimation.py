"""The page of a density of a table."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.density.ensemble.held_out import FLOWS
from thalweg.plots.pairs import square_axes
from thalweg.plots.style import figure_of, new_figure
from thalweg.plots.tables import columns_that_differ, draw_calibration, draw_rows
from thalweg.report.numbers import count, duration, fixed, plus_minus, with_error
from thalweg.report.pictures import PANEL, Picture, learning_curve
from thalweg.report.render import render_page, write_page
from thalweg.report.repeat import as_flags, facts
from thalweg.report.svg import PAGE, page_settings, to_svg
from thalweg.report.tables import Table, Tile
from thalweg.tables.table_file import listed

if TYPE_CHECKING:
    from thalweg.density.job import Estimated

TEMPLATE = "fitted.html.j2"
DRAWS = 4000
LEAST_WEIGHT = 0.005  # below which a part is not reported


def write_estimation(estimated: Estimated, path: str | Path) -> Path:
    """Write a page about a density: its test scores beside others, and rows beside its draws.

    Args:
        estimated: a finished run, `thalweg.density.job.Estimated`.
        path: the file, which needs no network.

    Returns:
        The path of the file.

    Raises:
        ValueError: where the file cannot be written.
    """
    return write_page(Path(path), render_page(TEMPLATE, _context(estimated)))


def _context(estimated: Estimated) -> dict[str, Any]:
    record, estimator = estimated.record, estimated.estimator
    results, request = record.get("results", {}), record.get("request", {})
    given = request.get("context")
    time = [("Time", duration(record["seconds"]))] if "seconds" in record else []
    parts = [listed(estimator.column_names), *([f"given {listed(given)}"] if given else [])]
    parts.append(_flow(estimated))
    return {
        "eyebrow": "Density of the rows of a table",
        "title": Path(str(request.get("data", "density"))).stem,
        "subtitle": " · ".join(parts),
        "tiles": _tiles(results),
        "tables": _comparison(results),
        "noticed": noticed(estimator),
        "pictures": pictures(estimated),
        "command": command_line(record),
        "call": None,
        "facts": [*time, *facts(record)],
    }


def _flow(estimated: Estimated) -> str:
    members = estimated.estimator.members_
    return estimated.estimator.flow + (f", mean of {members}" if members > 1 else "")


def _tiles(results: dict[str, Any]) -> list[Tile]:
    if not results:
        return []
    test, error = with_error(results["test_nll"], results["test_nll_se"])
    rows = count(results["test_rows"])
    tiles = [
        Tile("−ln p, test", test, error, f"nats a row, of {rows} test rows"),
        Tile("−ln p, training", fixed(results["train_nll"], 3), "", "nats a row"),
    ]
    if results["valid_nll"] is not None:
        held = "nats a row, of validation rows"
        valid, error = fixed(results["valid_nll"], 3), ""
        if results.get("valid_nll_se") is not None:
            valid, error = with_error(results["valid_nll"], results["valid_nll_se"])
        tiles.append(Tile("−ln p, validation", valid, error, held))
    tiles.append(Tile("Parameters", count(results["parameters"]), "", "trained numbers"))
    return tiles


def _comparison(results: dict[str, Any]) -> list[Table]:
    beside = results.get("baselines", [])
    if not beside:
        return []
    rows = [["the flow", "", fixed(results["test_nll"], 3), ""]]
    for one in beside:
        better = plus_minus(one["worse_by"], one["worse_by_se"])
        rows.append([one["name"], one["chosen"], fixed(one["test_nll"], 3), better])
    note = "All on the same test rows; choices were made on validation rows."
    if any(one["worse_by"] < 0 for one in beside):
        note += " A simpler density describes these rows better: the flow is not worth it here."
    head = ["density", "chosen", "−ln p, test", "the flow is better by"]
    return [Table(head, rows, note, title="Beside simpler densities")]


def noticed(estimator: Any) -> list[str]:
    """Return sentences about unusual columns and rows."""
    sentences = []
    cells: dict[str, list[str]] = {}
    levels: list[str] = []
    ready, names = estimator.preparation_, estimator.column_names
    for i, grid in ready.grids.items():
        if grid.levels is None:
            cells.setdefault(f"{grid.step:.6g}", []).append(names[i])
        else:
            levels.append(names[i])
    for step, on_it in cells.items():
        sentences.append(f"On a grid, taken as cells [x, x + {step}): {listed(on_it)}.")
    if levels:
        sentences.append(f"Levels, each with a probability: {listed(levels)}.")
    atoms = {names[i] for i in ready.atoms}
    for name, (value, part) in estimator.repeated_values_.items():
        kind = (
            "an atom: it has a probability, the other values have a density."
            if name in atoms
            else "which no density can represent: there it is only high."
        )
        sentences.append(f"{name} is {value:g} in {100 * part:.0f}% of the rows, {kind}")
    sentences += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in estimator.notices_]
    # Runs of earlier versions know only the weight of the Gaussian.
    own = estimator.gaussian_weight_
    parts = estimator.weights_ or {FLOWS: 1 - own, "Gaussian": own}
    shares = [f"{name} {100 * one:.0f}%" for name, one in parts.items() if one > LEAST_WEIGHT]
    if len(shares) > 1:
        sentences.append(f"Weights in the density: {listed(shares)}.")
    if estimator.constant_columns_:
        names = listed(estimator.constant_columns_)
        sentences.append(f"Constant, and no part of the density: {names}.")
    if estimator.duplicate_rows_:
        sentences.append(f"{count(estimator.duplicate_rows_)} rows repeat others.")
    return sentences


# --- pictures ------------------------------------------------------------------------------------


def pictures(estimated: Estimated) -> list[Picture]:
    """Return rows beside draws, calibration and the learning curve."""
    found = []
    with page_settings():
        if estimated.shown:
            found += [_rows(estimated), _calibration(estimated)]
        if estimated.estimator.history_.step:  # few rows get no flow
            description = "Minus the log density against the training step"
            caption = (
                "Training rows carry noise, so their curve may lie above. The parameters that are "
                "kept are the best on validation rows."
            )
            history, what = estimated.estimator.history_, "−ln p (nats a row, standardised)"
            found.append(learning_curve(history, description, caption, what))
    return found


def _drawn(estimated: Estimated) -> np.ndarray:
    given = estimated.shown.get("context")
    if given is None:
        return estimated.estimator.sample(DRAWS, random_state=estimated.estimator.seed_)
    seed = estimated.estimator.seed_
    return estimated.estimator.sample(len(given), context=given, random_state=seed)


def _rows(estimated: Estimated) -> Picture:
    rows, drawn = estimated.shown["x"], _drawn(estimated)
    moving = [i for i in range(rows.shape[1]) if np.ptp(rows[:, i]) > 0]
    moving = moving or [int(i) for i in estimated.estimator.preparation_.moving]  # of one row
    chosen = [moving[i] for i in columns_that_differ(rows[:, moving], drawn[:, moving])]
    axes = square_axes(len(chosen))
    draw_rows(axes, rows, drawn, estimated.estimator.column_names, chosen, palette=PAGE)
    svg = to_svg(figure_of(axes[0, 0]), "rows", "Marginals and pairs of columns")
    caption = "Filled: draws of the density. Lines: test rows, or dots where they are few."
    left = rows.shape[1] - len(chosen)
    if left:
        caption += f" The {len(chosen)} columns that differ most; {left} are left out."
    return Picture("density", "Rows and draws", svg, caption, wide=len(chosen) > 2)


def _calibration(estimated: Estimated) -> Picture:
    given = estimated.shown.get("context")
    of_draws = estimated.estimator.log_density(_drawn(estimated), given)
    axes = new_figure(*PANEL).subplots()
    draw_calibration(axes, estimated.shown["log_density"], of_draws, palette=PAGE)
    svg = to_svg(figure_of(axes), "calibration", "Share of the rows against mass")
    caption = (
        "The share of the test rows in each region of highest density, against the mass of the "
        "region. Below the dashed line the density is too narrow."
    )
    return Picture("density", "Calibration", svg, caption)


# --- repeating -----------------------------------------------------------------------------------

# Keywords of an estimator that the command line has, beside `marginals` and `discrete`.
KEYWORDS = (
    *("flow", "layers", "members", "noise"),
    *("steps", "batch_size", "learning_rate", "time_limit", "effort"),
)


def command_line(record: dict[str, Any]) -> str | None:
    """Return `thalweg estimate …`; None where the command line lacks an option."""
    request = record.get("request")
    if request is None or set(request["options"]) - {*KEYWORDS, "marginals", "discrete"}:
        return None
    options = request["options"]
    parts = ["thalweg", "estimate", request["data"]]
    for name in ("columns", "context"):
        parts += [f"--{name}", _join_names(request[name])] if request[name] else []
    parts += as_flags(options, KEYWORDS)
    for name, asked in options.get("marginals", {}).items():
        words = asked if isinstance(asked, str) else ",".join(map(str, asked))
        parts += ["--marginal", f"{name}={words}"]
    if "discrete" in options:
        chosen = options["discrete"]
        parts += ["--discrete", chosen if isinstance(chosen, str) else _join_names(chosen)]
    parts += ["--drop-missing"] if request["missing"] == "drop" else []
    layout = request.get("layout", {})
    if "header" in layout:
        parts += ["--header" if layout["header"] else "--no-header"]
    parts += as_flags(layout, ("separator", "decimal"))
    return shlex.join([*parts, *as_flags(request, ("test_fraction", "seed"))])


def _join_names(names: Sequence[str]) -> str:
    """Join names as `--columns` takes them: a name with a comma in quotes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()

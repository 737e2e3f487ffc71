"""Comparison of latent models: fits of those that are missing, a table and a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from thalweg.latent.summary import draws_per_second
from thalweg_studies.cache import load, load_or_run
from thalweg_studies.latent_models.fits import LatentFit, LatentSpec, fit
from thalweg_studies.latent_models.models import Models
from thalweg_studies.latent_models.sentences import evaluation_of, losses_of, recipe_of
from thalweg_studies.report import Column, Report, table_of, write
from thalweg_studies.run_spec import RunSpec

Fits = Sequence[tuple[LatentSpec, LatentFit]]
# −bound and −ln p(x) that a paper states for a posterior of so many layers; None: it does not.
Published = Mapping[str, Mapping[int, tuple[float | None, float | None]]]


def compare(
    spec: RunSpec,
    models: Sequence[Models],
    *,
    data: str,
    draw: Callable[[Fits, Published], Figure],
    published: Published | None = None,
    shows: str = "−ln p(x) and bounds of latent models",
    notes: Sequence[str] = (),
    figure: str = "bounds.png",
) -> dict[str, Any]:
    """Fit what `folder/cells` does not hold yet; draw and write everything after each.

    Fits are stored beside run folders of `thalweg fit-vae` with checkpoints. The table holds all
    models that are complete at any time.

    Args:
        spec: The run. A quick one is of other data than the paper's, whose numbers it leaves out.
        models: Those of the study, then others for comparison.
        data: The name of the data set in the title.
        draw: Makes the figure.
        published: A paper's numbers by the label of a posterior and its layers.
        shows: The rest of the title.
        notes: Sentences under the table, after those on how the models were made.
        figure: The name of the figure's file.

    Returns:
        What `report.write` returns.
    """
    first, *beside = models
    specs = [each for group in models for each in group.specs()]
    known = {} if spec.quick or published is None else published
    sentences = [
        f"{first.dataset}: {recipe_of(first.options)}",
        *(f"{group.recipe}: {recipe_of(group.options)}" for group in beside if group.recipe),
        evaluation_of(first.draws, first.rows, first.few),
        *([] if first.gaps is None else [losses_of(first.gaps)]),
        *notes,
    ]
    settings = {
        **dataclasses.asdict(first),
        "beside": [dataclasses.asdict(group) for group in beside],
    }

    def write_all(done: Mapping[int, LatentFit]) -> dict[str, Any]:
        fits = [(each, done[i]) for i, each in enumerate(specs) if i in done]
        rows = [row_of(*each, known) for each in fits]
        part = f"So far {len(fits)} of {len(specs)} models; the command makes the others."
        by_losses = any("gaps" in found.results for _, found in fits)
        columns = columns_of(beside_paper=bool(known), by_losses=by_losses)
        shown = [
            {
                **row,
                "gap": row["bound"] - row["nll"],
                "thousands": row["draws_per_second"] / 1000,
            }
            for row in rows
        ]
        report = Report(
            title=f"{'Digits' if spec.quick else data}: {shows}, in nats",
            rows=rows,
            table=table_of(shown, columns),
            figures={figure: draw(fits, known)},
            seeds=sorted({each.settings["seed"] for each in specs}),
            settings=settings,
            notes=[*sentences, *([part] if len(fits) < len(specs) else [])],
            extra={
                "binarisation": fits[0][1].binarisation,
                "seconds_of_cells": [found.seconds for _, found in fits],
                "commits_of_cells": sorted(
                    {str((found.source or {}).get("commit")) for _, found in fits}
                ),
            },
        )
        return write(spec, report)

    stored = {i: load(each, spec.cells, LatentFit) for i, each in enumerate(specs)}
    done = {i: found for i, found in stored.items() if found is not None}
    result = write_all(done) if done else {}
    for i, each in enumerate(specs):
        if i in done:
            continue
        done[i] = load_or_run(each, spec.cells, LatentFit, partial(fit, each, spec.progress))
        numbers = done[i].results
        spec.progress.message(
            f"[{len(done)}/{len(specs)}] {each.title}: "
            f"−ln p {numbers['nll']:.2f}, −bound {-numbers['elbo']:.2f}"
        )
        result = write_all(done)
    return result


def row_of(spec: LatentSpec, found: LatentFit, known: Published) -> dict[str, Any]:
    """Return a row of the CSV."""
    numbers = found.results
    bound, nll = known.get(spec.label, {}).get(spec.layers, (None, None))
    return {
        "posterior": spec.label,
        "layers": spec.layers,
        "seed": spec.settings["seed"],
        "nll": numbers["nll"],
        "nll_se": numbers["nll_se"],
        "bound": -numbers["elbo"],
        "kl_to_prior": numbers["kl"],
        **_losses(numbers.get("gaps")),
        "active_units": numbers["active_units"],
        "parameters": numbers["parameters"],
        "paper_nll": nll,
        "paper_bound": bound,
        "seconds": found.seconds,
        "draws_per_second": draws_per_second(dataclasses.asdict(found)),
    }


def _losses(gaps: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return nats between q and normals fitted to each image, their two families, and ln p(x)."""
    if gaps is None:
        return {}
    return {
        "own_rows": gaps["rows"],
        "own_bound": -gaps["bound"],
        "lost_by_encoder": gaps["encoder"],
        "lost_by_diagonal": gaps["full"] - gaps["diagonal"],
        "lost_by_normals": gaps["log_likelihood"] - gaps["full"],
    }


def columns_of(*, beside_paper: bool, by_losses: bool) -> list[Column]:
    """Return the columns, with those of a paper's numbers and of the inference gap on request."""
    paper = [[("paper", f"paper_{what}", 2)] if beside_paper else [] for what in ("nll", "bound")]
    losses = [
        ("the encoder loses", "lost_by_encoder", 2),
        ("diagonal normals lose", "lost_by_diagonal", 2),
        ("normals lose", "lost_by_normals", 2),
    ]
    return [
        ("posterior", "posterior", None),
        ("K", "layers", None),
        ("−ln p(x)", "nll", 2),
        *paper[0],
        ("−bound", "bound", 2),
        *paper[1],
        ("KL(q ‖ p(z|x))", "gap", 2),
        *(losses if by_losses else []),
        ("s", "seconds", 0),
        ("10³ draws/s of the evaluation", "thousands", 0),
    ]

"""Latent models side by side: fitted where their runs are missing, then a table and a picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.experiments.encodings import Ask, obtain, record_of, stored
from thalweg.experiments.record import Result, save_figure, write
from thalweg.latent.summary import draws_per_second
from thalweg.plots.style import minus
from thalweg.training import Reporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cells = Sequence[tuple[Ask, Mapping[str, Any]]]  # what was asked, and the record of it
# −bound and −ln p(x) that a paper states for a posterior of so many layers; None: it does not.
Known = Mapping[str, Mapping[int, tuple[float | None, float | None]]]


@dataclass(frozen=True)
class Comparison:
    """An experiment whose cells are latent models.

    `known` are a paper's numbers by the label of a cell and its layers, `draw` makes the picture,
    `notes` are sentences under the table, `settings` goes to the record.
    """

    name: str
    title: str
    asks: Sequence[Ask]
    known: Known
    draw: Callable[[Cells, Known], Figure]
    notes: Sequence[str]
    command: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    picture: str = "bounds.png"

    def run(self, folder: Path) -> dict[str, Any]:
        """Fit what `folder/cells` does not hold yet; draw and write everything after each.

        Cells are records, beside run folders of `thalweg encode` with checkpoints. What is done
        stands in the table at any time. Raises `KeyboardInterrupt` after Ctrl-C; the same command
        goes on.
        """
        begun = time.monotonic()
        cells = folder / "cells"
        cells.mkdir(parents=True, exist_ok=True)
        reporter = Reporter()
        done = {ask: stored(ask, cells) for ask in self.asks if record_of(ask, cells).is_file()}
        result = self._write(folder, done, begun) if done else {}
        for ask in self.asks:
            if ask in done:
                continue
            done[ask] = obtain(ask, cells, reporter)
            numbers = done[ask]["results"]
            reporter.message(
                f"[{len(done)}/{len(self.asks)}] {ask.label}, K = {ask.layers}: "
                f"−ln p {numbers['nll']:.2f}, −bound {-numbers['elbo']:.2f}"
            )
            result = self._write(folder, done, begun)
        return result

    def _write(
        self, folder: Path, done: Mapping[Ask, Mapping[str, Any]], begun: float
    ) -> dict[str, Any]:
        """The table, the picture and their origin, of the cells that are done."""
        cells = [(ask, done[ask]) for ask in self.asks if ask in done]
        save_figure(folder / self.picture, self.draw(cells, self.known))
        rows = [self.row(*cell) for cell in cells]
        parted = any("gaps" in record["results"] for _, record in cells)
        part = f"So far {len(cells)} of {len(self.asks)} models; the command makes the others."
        so_far = [part] if len(cells) < len(self.asks) else []
        return write(
            folder,
            Result(
                name=self.name,
                title=self.title,
                rows=rows,
                head=_head(beside_paper=bool(self.known), parted=parted),
                body=[_line(row, beside_paper=bool(self.known), parted=parted) for row in rows],
                command=self.command,
                seeds=sorted({ask.seed for ask in self.asks}),
                settings=self.settings,
                seconds=time.monotonic() - begun,
                files=[self.picture],
                notes=[*self.notes, *so_far],
                extra={
                    "binarisation": cells[0][1]["binarisation"],
                    "seconds_of_cells": [record["seconds"] for _, record in cells],
                    "commits_of_cells": sorted({_commit(record) for _, record in cells}),
                },
            ),
        )

    def row(self, ask: Ask, record: Mapping[str, Any]) -> dict[str, Any]:
        """What goes to the CSV."""
        numbers = record["results"]
        bound, value = self.known.get(ask.label, {}).get(ask.layers, (None, None))
        return {
            "posterior": ask.label,
            "layers": ask.layers,
            "seed": ask.seed,
            "nll": numbers["nll"],
            "nll_se": numbers["nll_se"],
            "bound": -numbers["elbo"],
            "kl_to_prior": numbers["kl"],
            **_losses(numbers.get("gaps")),
            "active_units": numbers["active_units"],
            "parameters": numbers["parameters"],
            "paper_nll": value,
            "paper_bound": bound,
            "seconds": record["seconds"],
            "draws_per_second": draws_per_second(record),
        }


def _commit(record: Mapping[str, Any]) -> str:
    return str((record.get("source") or {}).get("commit"))


def _losses(gaps: Mapping[str, Any] | None) -> dict[str, Any]:
    """Nats between q and normals of each image's own, their two families, and ln p(x)."""
    if gaps is None:
        return {}
    return {
        "own_rows": gaps["rows"],
        "own_bound": -gaps["bound"],
        "lost_by_encoder": gaps["encoder"],
        "lost_by_diagonal": gaps["full"] - gaps["diagonal"],
        "lost_by_normals": gaps["log_likelihood"] - gaps["full"],
    }


def _head(*, beside_paper: bool, parted: bool) -> list[str]:
    """What stands over the lines of the table."""
    paper = ["paper"] if beside_paper else []
    numbers = ["−ln p(x)", *paper, "−bound", *paper, "KL(q ‖ p(z|x))"]
    losses = ["the encoder loses", "diagonal normals lose", "normals lose"] if parted else []
    return ["posterior", "K", *numbers, *losses, "s", "10³ draws/s of the evaluation"]


def _line(row: Mapping[str, Any], *, beside_paper: bool, parted: bool) -> list[str]:
    """A line of the table that a person reads."""

    def text(value: float | None) -> str:
        return "" if value is None else minus(f"{value:.2f}")

    return [
        row["posterior"],
        str(row["layers"]),
        text(row["nll"]),
        *([text(row["paper_nll"])] if beside_paper else []),
        text(row["bound"]),
        *([text(row["paper_bound"])] if beside_paper else []),
        text(row["bound"] - row["nll"]),
        *(
            [text(row.get(f"lost_by_{what}")) for what in ("encoder", "diagonal", "normals")]
            if parted
            else []
        ),
        f"{row['seconds']:.0f}",
        f"{row['draws_per_second'] / 1000:.0f}",
    ]


def recipe_of(options: Mapping[str, Any]) -> str:
    """How the models of a comparison were made, in a sentence."""
    *widths, last = options["hidden"]
    if options.get("network") == "convolutional":
        inside = f"gated convolutions of {' and '.join(map(str, widths))} channels, {last} features"
    else:
        inside = f"layers of {' and '.join(map(str, (*widths, last)))} units"
        inside += f" ({options['nonlinearity']})"
    rate = f"{options['learning_rate']:g}"
    taught = (
        f"RMSprop with momentum at {rate}"
        if options.get("optimiser") == "rmsprop"
        else f"Adam from {rate} down to a hundredth of it"
    )
    rising = "the joint density" if options.get("annealed") == "likelihood" else "the KL term"
    prior = f" with a prior by {options['prior']}" if "prior" in options else ""
    sentence = (
        f"{options['latent']} latent variables{prior}, {inside}, parameters of the flow amortised; "
        f"{options['steps']} steps of {options['batch_size']} images, {taught}, {rising} rising "
        f"for {options['warm_up']:.0%} of the steps; "
    )
    if options["drop"]:
        sentence += (
            f"{options['drop']:.0%} of the numbers of an image hidden from the encoder at the "
            "first step, none at the last; "
        )
    if options["augment"]:
        sentence += (
            f"{options['augment']:.0%} of the images slanted and moved a little at the first step, "
            "none at the last; "
        )
    return sentence + "the parameters that do best on the validation set."


def parting_of(gaps: int) -> str:
    """What a bound was parted into, in a sentence."""
    return (
        f"What is lost, on {gaps} of them: normals were fitted to the posterior of each image "
        "alone, without an encoder. The best diagonal one gains over q what the encoder loses "
        "(less than nothing where the flow wins more back), the best of all gains over it what "
        "diagonal ones lose, and ln p(x) by draws from that is above its bound by the rest "
        "(Cremer et al. 2018)."
    )


def judging_of(draws: int, rows: int | None, few: int | None) -> str:
    """How ln p(x) was estimated, in a sentence."""
    if few is None:
        return f"ln p(x) of {'all' if rows is None else rows} test images from {draws} draws each."
    return (
        f"ln p(x) of all test images from {few} draws each, plus what {draws} draws add to it on "
        f"{rows} of them; bounds of all."
    )

"""Latent models that differ in their flow alone: which there are, and what is spent on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.experiments.comparison import (
    Cells,
    Comparison,
    Known,
    judging_of,
    parting_of,
    recipe_of,
)
from thalweg.experiments.encodings import Ask
from thalweg.experiments.record import command_line
from thalweg.flows import find


@dataclass(frozen=True)
class Study:
    """Flows at several numbers of layers, in models that `options` describe, on one data set.

    `recipe` is a word or two for the options, where an experiment has several, and part of labels.
    """

    dataset: str
    flows: tuple[str, ...]
    layers: tuple[int, ...]
    options: Mapping[str, Any]
    draws: int = 5000
    rows: int | None = None
    few: int | None = None
    gaps: int | None = None
    seeds: int = 1
    recipe: str = ""

    def small(self, layers: tuple[int, ...]) -> Study:
        """The same on digits, in a few seconds."""
        options = {**self.options, "latent": 4, "hidden": (16,), "steps": 100}
        return dataclasses.replace(
            self,
            dataset="digits",
            layers=layers,
            options=options,
            draws=20,
            rows=50,
            few=None,
            gaps=None if self.gaps is None else 10,
        )

    def chosen(
        self,
        seeds: int | None = None,
        layers: Sequence[int] | None = None,
        flow: Sequence[str] | None = None,
    ) -> Study:
        """What of it is asked for; None: all. `ValueError` for a flow that there is none of."""
        for name in flow or ():
            find(name)
        given: dict[str, Any] = {
            "seeds": seeds,
            "layers": None if layers is None else tuple(layers),
            "flows": None if flow is None else tuple(flow),
        }
        return dataclasses.replace(self, **{k: v for k, v in given.items() if v is not None})

    def cells(self) -> list[Ask]:
        """Every model once: without layers all flows are the same."""
        found = []
        for seed in range(self.seeds):
            for name in self.flows:
                for count in self.layers:
                    if count == 0 and name != self.flows[0]:
                        continue
                    flow = {"flow": name, "layers": count} if count else {"flow": "none"}
                    label = (name if count else "no flow") + (self.recipe and f", {self.recipe}")
                    options = {**self.options, **flow}
                    judged = (self.draws, self.rows, self.few, self.gaps)
                    found.append(Ask(label, count, self.dataset, options, *judged, seed))
        return found

    def comparison(
        self,
        name: str,
        title: str,
        folder: Path,
        *,
        quick: bool,
        seeds: int | None,
        draw: Callable[[Cells, Known], Any],
        known: Known | None = None,
        beside: Sequence[Study] = (),
        notes: Sequence[str] = (),
        line: str = "",
        picture: str = "bounds.png",
    ) -> Comparison:
        """The experiment, with the cells of others `beside` it; `line` ends its command.

        A `quick` one is of other data than the paper's, whose numbers it leaves out.
        """
        data = "Digits" if quick else title
        return Comparison(
            name=name,
            title=f"{data}: −ln p(x) and bounds of latent models, in nats",
            asks=[ask for study in (self, *beside) for ask in study.cells()],
            known={} if quick or known is None else known,
            draw=draw,
            notes=[
                f"{self.dataset}: {recipe_of(self.options)}",
                *(
                    f"{other.recipe}: {recipe_of(other.options)}"
                    for other in beside
                    if other.recipe
                ),
                judging_of(self.draws, self.rows, self.few),
                *([] if self.gaps is None else [parting_of(self.gaps)]),
                *notes,
            ],
            command=command_line(name, folder, quick=quick, seeds=seeds) + line,
            settings={
                **dataclasses.asdict(self),
                "beside": [dataclasses.asdict(study) for study in beside],
            },
            picture=picture,
        )

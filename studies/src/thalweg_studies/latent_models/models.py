"""Latent models that differ only in their flow, and the budget of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thalweg_studies.latent_models.fits import LatentSpec, latent_spec


@dataclass(frozen=True)
class Models:
    """Flows at several numbers of layers, in models that `options` describe, on one data set.

    `draws`, `rows`, `few` and `gaps` are those of `thalweg.latent.job.encode`. `recipe` is a short
    name of the options for labels, where a study has several.
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

    def small(self, layers: tuple[int, ...], **options: Any) -> Models:
        """Return small models of digits, which take a few seconds."""
        small = {"latent": 4, "hidden": (16,), "steps": 100, **options}
        return dataclasses.replace(
            self,
            dataset="digits",
            layers=layers,
            options={**self.options, **small},
            draws=20,
            rows=50,
            few=None,
            gaps=None if self.gaps is None else 10,
        )

    def specs(self) -> list[LatentSpec]:
        """Return every model once: without layers all flows are the same."""
        found = []
        for seed in range(self.seeds):
            for name in self.flows:
                for count in self.layers:
                    if count == 0 and name != self.flows[0]:
                        continue
                    flow = {"flow": name, "layers": count} if count else {"flow": "none"}
                    label = (name if count else "no flow") + (self.recipe and f", {self.recipe}")
                    found.append(
                        latent_spec(
                            *(label, count, self.dataset, {**self.options, **flow}),
                            draws=self.draws,
                            rows=self.rows,
                            few=self.few,
                            gaps=self.gaps,
                            seed=seed,
                        )
                    )
        return found

"""E6: Table 2 and Figure 4 of Rezende & Mohamed (2015), on the fixed binarisation of MNIST.

The paper's architecture: 40 latent variables, maxout layers of 400 units in windows of 4, flows
whose parameters depend on the image. It trained by RMSprop at 1e-5 for 500,000 steps; here Adam
with a schedule, KL warm-up and a patchy view for the encoder take fewer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.experiments.comparison import Comparison, Known, recipe_of
from thalweg.experiments.comparison_figure import draw_by_depth
from thalweg.experiments.encodings import Ask
from thalweg.experiments.record import command_line

# −bound and −ln p(x) by the number of layers: Table 2, and the bounds read off Figure 4.
PAPER: Known = {
    "no flow": {0: (96.75, 89.9)},
    "planar": {10: (93.56, 87.5), 20: (91.95, 86.5), 40: (90.61, 85.7), 80: (89.58, 85.1)},
    "nice_perm": {10: (94.87, 88.6), 20: (93.91, 87.9), 40: (93.01, 87.3), 80: (92.83, 87.2)},
}


@dataclass(frozen=True)
class Study:
    """Which models there are, and what is spent on each."""

    dataset: str = "binarized_mnist"
    flows: tuple[str, ...] = ("planar", "nice_perm")
    layers: tuple[int, ...] = (0, 10, 20, 40, 80)
    draws: int = 5000
    rows: int | None = None
    seeds: int = 1
    options: dict[str, Any] = field(
        default_factory=lambda: {
            "latent": 40,
            "hidden": (400, 400),
            "nonlinearity": "maxout",
            "steps": 200_000,
            "batch_size": 100,
            "learning_rate": 1e-3,
            "warm_up": 0.25,
            "drop": 0.2,
        }
    )

    def cells(self) -> list[Ask]:
        """Every model once: without layers all flows are the same."""
        found = []
        for seed in range(self.seeds):
            for name in self.flows:
                for count in self.layers:
                    if count == 0 and name != self.flows[0]:
                        continue
                    flow = {"flow": name, "layers": count} if count else {"flow": "none"}
                    label = name if count else "no flow"
                    ask = Ask(
                        label,
                        count,
                        self.dataset,
                        {**self.options, **flow},
                        self.draws,
                        self.rows,
                        seed,
                    )
                    found.append(ask)
        return found


FULL = Study()
QUICK = Study(
    dataset="digits",
    layers=(0, 2),
    draws=20,
    rows=50,
    options={**FULL.options, "latent": 4, "hidden": (16,), "steps": 100},
)


def run(
    folder: Path,
    *,
    quick: bool = False,
    seeds: int | None = None,
    layers: Sequence[int] | None = None,
    flow: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    study = QUICK if quick else FULL
    chosen: dict[str, Any] = {
        "seeds": seeds,
        "layers": None if layers is None else tuple(layers),
        "flows": None if flow is None else tuple(flow),
    }
    study = dataclasses.replace(study, **{k: v for k, v in chosen.items() if v is not None})
    line = command_line("mnist", folder, quick=quick, seeds=seeds)
    line += "" if layers is None else " --layers " + " ".join(map(str, layers))
    line += "" if flow is None else " --flow " + " ".join(flow)
    return Comparison(
        name="mnist",
        title="Binarised MNIST: −ln p(x) and bounds by the length of the flow, in nats",
        asks=study.cells(),
        known=PAPER,
        draw=draw_by_depth,
        notes=[
            f"{study.dataset}: {recipe_of(study.options)}",
            f"ln p(x) of test images from {study.draws} draws each; the paper took 200, and its "
            "bounds are read off a figure.",
        ],
        command=line,
        settings=dataclasses.asdict(study),
    ).run(folder)

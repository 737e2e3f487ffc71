"""The studies by name, as entry points hand them to `thalweg reproduce`.

Light to import: the module of a study is imported when it runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Study:
    """A name, one line on what comes out, the module whose `run` makes it, and its own choices."""

    name: str
    shows: str
    module: str
    choices: tuple[str, ...] = ()

    def run(
        self,
        folder: Path,
        *,
        quick: bool = False,
        seeds: int | None = None,
        **choices: Sequence[Any],
    ) -> dict[str, Any]:
        """Fill `folder` with the table, the figures and the record of how they were made.

        Args:
            folder: Where to write. Fits that it holds are read, not made again.
            quick: A small budget: the shape of the result, not its numbers.
            seeds: How many seeds, where there are several; None: as many as the study has.
            choices: The study's own (`layers`, `flow`).

        Returns:
            Plain values: "name", "rows", "text" (a table to print), "files" (names), "seconds".

        Raises:
            ValueError: For a choice that the study does not have.
            KeyboardInterrupt: After Ctrl-C; the same call continues with missing fits.
        """
        from thalweg_studies.run_spec import RunSpec

        for name in choices:
            if name not in self.choices:
                raise ValueError(f"the study {self.name} has no choice of {name}")
        spec = RunSpec(self.name, Path(folder), quick, seeds, choices)
        result: dict[str, Any] = importlib.import_module(f"thalweg_studies.{self.module}").run(spec)
        return result


TRANSPORT = Study(
    "transport",
    "planar and radial maps: points before and after, joined by lines (E1)",
    "transport",
)
ENERGIES = Study(
    "energies",
    "four 2-D energies under planar, radial and NICE flows, K = 2, 8, 32: exact gaps (E2)",
    "energies.study",
)
CIRCLES = Study(
    "circles",
    "two circles by a spline autoregressive flow: losses and held-out NLL (E3)",
    "circles",
)
MNIST = Study(
    "mnist",
    "binarised MNIST: −ln p(x) and bounds by the length of the flow, beside the paper's (E6)",
    "mnist",
    choices=("layers", "flow"),
)
MNIST_CONVOLUTION = Study(
    "mnist-convolution",
    "binarised MNIST: posteriors by convolutions beside one without flow (E7)",
    "mnist_convolution",
)
CIFAR = Study(
    "cifar",
    "8 × 8 patches of CIFAR-10 by logit-normal models, beside the paper's numbers (E8)",
    "cifar",
)
VAE_FLOWS = Study(
    "vae-flows",
    "binarised MNIST: planar, IAF, Sylvester and spline posteriors of a convolutional model",
    "vae_flows",
)
MADE = Study(
    "made",
    "binarised MNIST by MADE, one mask and many: −ln p(x), draws (B8)",
    "made",
)
IMAGE_FLOWS = Study(
    "image-flows",
    "MNIST in grey by Glow, uniform and learned noise: bits per dimension (E9)",
    "image_flows",
)
GALLERY = Study(
    "gallery",
    "every recipe on six data sets and four energies, equal budgets: figures, NLL, KL, time",
    "gallery.study",
)

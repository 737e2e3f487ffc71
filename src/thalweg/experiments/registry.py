"""The experiments by name. Each lives in its own module and is imported when it runs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """A name, one line on what comes out, and the module whose `run` makes it."""

    name: str
    shows: str
    module: str

    def run(
        self,
        folder: Path,
        *,
        quick: bool = False,
        seeds: int | None = None,
        **choices: Sequence[Any],
    ) -> dict[str, Any]:
        """Fill `folder` with the table, the pictures and the record of how they were made.

        `quick` takes a small budget, `seeds` how many seeds where there are several; `choices` are
        an experiment's own (`layers`, `flow`). Returns plain values: "name", "rows", "text" (a
        table to print), "files" (their names), "seconds". Raises `ValueError` for a choice that the
        experiment does not have.
        """
        run = importlib.import_module(self.module).run
        known = inspect.signature(run).parameters
        for name in choices:
            if name not in known:
                raise ValueError(f"the experiment {self.name} has no choice of {name}")
        result: dict[str, Any] = run(Path(folder), quick=quick, seeds=seeds, **choices)
        return result


_ALL = (
    Experiment(
        "transport",
        "planar and radial maps: points before and after, joined by lines (E1)",
        "thalweg.experiments.transport",
    ),
    Experiment(
        "energies",
        "four 2-D energies under planar, radial and NICE flows, K = 2, 8, 32: exact gaps (E2)",
        "thalweg.experiments.energies",
    ),
    Experiment(
        "circles",
        "two circles by a spline autoregressive flow: losses and held-out NLL (E3)",
        "thalweg.experiments.circles",
    ),
    Experiment(
        "mnist",
        "binarised MNIST: −ln p(x) and bounds by the length of the flow, beside the paper's (E6)",
        "thalweg.experiments.mnist",
    ),
    Experiment(
        "mnist-convolution",
        "binarised MNIST: posteriors by convolutions beside one without flow (E7)",
        "thalweg.experiments.mnist_convolution",
    ),
    Experiment(
        "cifar",
        "8 × 8 patches of CIFAR-10 by logit-normal models, beside the paper's numbers (E8)",
        "thalweg.experiments.cifar",
    ),
    Experiment(
        "vae-flows",
        "binarised MNIST: planar, IAF, Sylvester and spline posteriors of a convolutional model",
        "thalweg.experiments.vae_flows",
    ),
    Experiment(
        "made",
        "binarised MNIST by MADE, one mask and many: −ln p(x), draws (B8)",
        "thalweg.experiments.made",
    ),
    Experiment(
        "image-flows",
        "MNIST in grey by Glow, uniform and learned noise: bits per dimension (E9)",
        "thalweg.experiments.image_flows",
    ),
    Experiment(
        "gallery",
        "every recipe on six data sets and four energies, equal budgets: pictures, NLL, KL, time",
        "thalweg.experiments.gallery",
    ),
)

EXPERIMENTS: dict[str, Experiment] = {one.name: one for one in _ALL}


def find(name: str) -> Experiment:
    """The experiment of that name; raises `ValueError` that lists the known ones."""
    if name not in EXPERIMENTS:
        known = ", ".join(sorted(EXPERIMENTS))
        raise ValueError(f"unknown experiment {name!r}; known experiments: {known}")
    return EXPERIMENTS[name]

"""The result of a fit as a plain value, for whatever saves, refines, draws or reports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.chains import Refined
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.draws import Draws
from thalweg.distributions import Flow
from thalweg.inference.search.modes import FoundModes
from thalweg.parameters import Parameters
from thalweg.precision import computing_in, precision_of
from thalweg.targets.target import Target
from thalweg.training.history import History


@dataclass
class Outcome:
    """A fitted flow with its diagnostics and verdict.

    `flow` is the approximation that was kept, `gaussian` the full-rank Gaussian fitted beside it,
    `modes` the modes that the search found (None in a run that was loaded), `verdict` is "trust",
    "reweight" or "reject" with `reasons` in words, `diagnostics` the numbers behind it, `history`
    the training record, `draws` a stored sample with both log densities, `interrupted` whether
    Ctrl-C ended the fit early. `target` is None where a run was loaded whose density is not at
    hand; `lost` then says how to give it. `refined` are the chains that `infer(refine=…)` was asked
    for, and `record` is the content of `run.json`.
    """

    flow: Flow
    gaussian: Flow
    target: Target | None
    diagnostics: Diagnostics
    verdict: str
    reasons: list[str]
    history: History
    draws: Draws
    coordinate_names: tuple[str, ...]
    parameters: Parameters | None = None
    record: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False
    refined: Refined | None = None
    lost: str = ""
    modes: FoundModes | None = None

    @property
    def precision(self) -> str:
        """The precision of the fit, "float32" or "float64", in which all methods compute."""
        return precision_of(self.flow)

    @property
    def dim(self) -> int:
        """Number of parameters of the target."""
        return self.flow.shape[0]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """A name for every number of a draw: those of the parameters, where they have names."""
        return self.coordinate_names if self.parameters is None else self.parameters.names

    @property
    def points(self) -> Float[np.ndarray, "n size"]:
        """The stored draws, one row each, with columns by `parameter_names`."""
        x = self.draws.x
        if self.parameters is None:
            return x
        with computing_in(self.precision):
            return self.parameters.rows(self.parameters.trees(x))

    @property
    def converged(self) -> Refined | None:
        """The chains where they have converged: they then stand for the target, not the flow."""
        chains = self.refined
        return chains if chains is not None and chains.verdict == "trust" else None

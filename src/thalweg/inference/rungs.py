"""The rungs below a flow: a Gaussian, then a triangular map, where one of them is exact enough."""

from __future__ import annotations

import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.diagnostics.importance import WeightDiagnostics, summarise
from thalweg.diagnostics.rounding import Rounding
from thalweg.inference.defaults import NEARLY_EXACT
from thalweg.inference.evaluate import evaluate_gaussian, evaluate_map
from thalweg.inference.fitting.fit_triangular import MOST_DIM, fit_triangular
from thalweg.inference.fitting.gaussian import GaussianFit, draws_of
from thalweg.inference.outcome import Outcome
from thalweg.inference.search.start import Start
from thalweg.progress import Progress, begin_stage
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.training import TimeLimit


class Rungs:
    """The fits that need no training, each evaluated only where its own draws are promising.

    One is good enough where it is trusted, and the KL left (nats) is at most `accuracy`.
    """

    def __init__(
        self,
        target: Target,
        density: Evaluator,
        accuracy: float,
        gaussian: GaussianFit,
        start: Start,
        key: PRNGKeyArray,
    ):
        self.target, self.density, self.accuracy = target, density, accuracy
        self.fitted, self.start, self.key = gaussian, start, key

    def gaussian(self, rounding: Rounding, progress: Progress, *, late: bool) -> Outcome | None:
        """Return the Gaussian if it is good enough, or if it is too `late` for a flow."""
        if not (late or self._is_close(self.fitted.weights)):
            return None
        begin_stage(progress, "diagnosing")
        outcome = evaluate_gaussian(
            self.target, self.density, self.fitted, self.start, self.key, rounding, late=late
        )
        return outcome if late or self._is_good(outcome) else None

    def triangular_map(
        self,
        rng: np.random.Generator,
        progress: Progress,
        time_limit: TimeLimit,
        *,
        wider: bool,
    ) -> Outcome | None:
        """Return the triangular map in the frame of the Gaussian if it is good enough."""
        frame = self.fitted.frame
        dim = frame.loc.size
        # A map that bends has no restarts beside it to look elsewhere.
        if dim > MOST_DIM or not self.start.found.alone:
            return None
        begin_stage(progress, "fitting a triangular map", objective="−ELBO")
        kl_left = NEARLY_EXACT * self.accuracy
        found = fit_triangular(self.density, frame, rng, progress, time_limit, kl_left)
        if found is None:
            return None
        draws = draws_of(found.push, self.density, dim, rng)
        weights = summarise(draws.log_weights, draws.rounding)
        if not self._is_close(weights):
            return None
        begin_stage(progress, "diagnosing")
        own = draws, weights
        outcome = evaluate_map(
            self.target, self.density, found, own, self.fitted, self.start, self.key, wider=wider
        )
        return outcome if self._is_good(outcome) else None

    def _is_close(self, weights: WeightDiagnostics) -> bool:
        return bool(weights.log_evidence - weights.elbo <= self.accuracy)

    def _is_good(self, outcome: Outcome) -> bool:
        return outcome.verdict == "trust" and outcome.diagnostics.gap <= self.accuracy

"""The result of inference as users hold it: an outcome with what can be asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Array, Float

from thalweg.argument_checks import check_draws, key_from_seed
from thalweg.backend import check_backend
from thalweg.chains import Refined
from thalweg.chains.table import Table
from thalweg.diagnostics.draws import draw, ensure_float, resample
from thalweg.files.memory import check_memory
from thalweg.inference.outcome import Outcome
from thalweg.inference.predictive import simulator_of
from thalweg.inference.refine import refine_outcome
from thalweg.inference.run_folder import write_run
from thalweg.inference.summary import CHAINS, Summary, summary_of, to_arviz
from thalweg.parameters import Tree
from thalweg.precision import in_own_precision
from thalweg.runs import open_folder
from thalweg.training import Progress, as_progress


class Posterior(Outcome):
    """A fitted posterior: the fields of an `Outcome`, and draws, densities, tables, chains of it.

    Where the target's density is not at hand (`target` is None), what needs it raises
    `ValueError`. Where the chains in `refined` have converged, `sample`, `expectation`, `summary`,
    `predictive` and `to_arviz` are of them.

    Where `parameters` were named, draws come as dictionaries of arrays (n, *shape), each within its
    support, and points go in as such; densities are then of the parameters as they are. The flow
    and `draws` are of the unconstrained coordinates (`coordinate_names`).

    A fit in float64 computes in float64 wherever it is used; in a process whose JAX is in float32
    its draws are NumPy arrays.
    """

    @classmethod
    def of(cls, outcome: Outcome) -> Posterior:
        """The posterior of an outcome."""
        return cls(**vars(outcome))

    @in_own_precision
    def sample(self, n: int, seed: int = 0) -> Float[Array, "n d"] | Tree:
        """`n` draws: independent ones of the flow, or of the chains where they have converged.

        The chains (`refined`) hold a fixed number of draws. Up to that each comes at most once; for
        more they repeat in whole rounds, which adds nothing to what is known of the target, and a
        `UserWarning` says so. `flow.sample` draws from the flow in any case.
        """
        return self._shown(self.coordinates(n, seed))

    @in_own_precision
    def log_prob(self, x: Float[Array, "*batch d"] | Tree) -> Float[Array, "*batch"]:
        """ln q(x) of the flow: normalised, in nats.

        Of named parameters x is a dictionary of arrays, of one point or with a batch in front;
        `ValueError` names a parameter that is missing or outside its support.
        """
        check_backend()
        if self.parameters is None:
            return self.flow.log_prob(ensure_float(cast(Array, x)))
        u = self.parameters.unconstrain(cast(Tree, x))
        return self.flow.log_prob(u) - self.parameters.log_det(u)

    @in_own_precision
    def expectation(
        self, h: Callable[[Any], Array], n: int = 10_000, seed: int = 0
    ) -> tuple[Array, Array]:
        """E_q[h(x)] over `n` draws of the flow and its standard error; h takes one point.

        Where chains have converged, over all draws of the chains, with their Monte-Carlo error.
        """
        if self.converged is not None:
            return self.converged.expectation(h)
        named = self.parameters
        of_point = h if named is None else lambda u: h(named.constrain(u)[0])
        return self.flow.expectation(of_point, key_from_seed(seed), check_draws(n))

    @in_own_precision
    def resample(self, n: int, seed: int = 0, oversample: int = 4) -> np.ndarray | Tree:
        """`n` draws corrected towards the target by Pareto-smoothed importance resampling.

        Draws `oversample`·n points of the flow and keeps n of them with probabilities
        proportional to their smoothed weights (systematic resampling, so points with large
        weights repeat). Where the target's density is not at hand the stored draws, with the
        weights that they have, take the place of those points. Raises `ValueError` where these
        are too few for n or no weight is finite.
        """
        return self._shown(self.coordinates(n, seed, corrected=True, oversample=oversample))

    @in_own_precision
    def coordinates(
        self, n: int, seed: int = 0, *, corrected: bool = False, oversample: int = 4
    ) -> Float[Any, "n d"]:
        """`n` draws as `sample` or, `corrected`, `resample` makes them, in the coordinates of the
        flow: what they return where parameters have no names.
        """
        check_backend()
        key = key_from_seed(seed)
        draws = check_draws(n) * (1 + (oversample if corrected else 0))
        check_memory(2 * draws * self.dim * 4, f"{draws} draws of {self.dim} numbers")
        if not corrected:
            if self.converged is not None:
                return self.converged.coordinates(check_draws(n), seed)
            return self.flow.sample(key, (check_draws(n),))
        draw_key, pick_key = jax.random.split(key)
        count = max(25, oversample * check_draws(n))
        if self.target is None:
            stored = len(self.draws.x)
            if count > stored:
                raise ValueError(
                    f"{n} corrected draws need the target's density; without it the {stored} "
                    f"stored draws are enough for {stored // oversample}"
                    + (f": {self.lost}" if self.lost else "")
                )
            return resample(self.draws, n, pick_key)
        proposed = draw(self.flow, self.target.log_density, draw_key, count)
        return resample(proposed, n, pick_key)

    @in_own_precision
    def predictive(
        self,
        simulate: Callable[[Any, Any], Any] | None = None,
        n: int = 1000,
        seed: int = 0,
        *,
        corrected: bool = False,
    ) -> Any:
        """Data sets that the posterior expects: one at each of `n` draws.

        `simulate(key, point)` draws data at one point with a JAX key, and is written in JAX; the
        point is a dictionary where parameters are named, else a vector (d,). It returns an array
        or a dictionary (any tree) of arrays, which come back with `n` in front: row i belongs to
        row i of `sample(n, seed)`, or, with `corrected`, of `resample(n, seed)`. For the posterior
        of a NumPyro model it may be left out: the observed sites are then drawn anew, by name,
        with covariates and sizes as they were. Raises `ValueError` where there is nothing to
        simulate with, and where `simulate` raises, cannot be traced by JAX or returns no array.
        """
        simulator = simulator_of(self.target, simulate)
        points = self.resample(n, seed) if corrected else self.sample(n, seed)
        return simulator(points, n, seed)

    def _shown(self, u: Any) -> Any:
        """Points of the unconstrained space as a user sees them."""
        return u if self.parameters is None else self.parameters.trees(u)

    @in_own_precision
    def summary(self) -> Table:
        """A table of mean, sd, quantiles and Monte-Carlo error, plain and corrected.

        Where chains have converged, theirs, with R̂ and effective sample sizes.
        """
        if self.converged is not None:
            table = self.converged.summary()
            return dataclasses.replace(
                table, header=f"{table.header}   (verdict on the flow: {self.verdict})"
            )
        return self.flow_summary()

    @in_own_precision
    def flow_summary(self) -> Summary:
        """`summary` of the flow's draws, whether chains have converged or not."""
        return summary_of(self)

    @in_own_precision
    def to_arviz(self, n: int = 4000, seed: int = 0, *, corrected: bool = False) -> Any:
        """`n` draws as an ArviZ object: InferenceData of ArviZ 0.x, a DataTree of 1.x.

        Independent draws, of the flow or, with `corrected`, resampled by importance, as four chains
        for R̂ to compare; where chains have converged, all of theirs. The verdict and its numbers
        are attributes of the posterior group. Raises `ValueError` where ArviZ is not installed.
        """
        if self.converged is not None and not corrected:
            return self.converged.to_arviz()
        draws = self.coordinates(CHAINS * -(-check_draws(n) // CHAINS), seed, corrected=corrected)
        return to_arviz(self, draws, corrected=corrected)

    def refine(
        self,
        method: str = "auto",
        draws: int = 4000,
        *,
        chains: int | None = None,
        seed: int = 0,
        progress: bool | Progress | None = True,
    ) -> Refined:
        """Exact draws by Markov chains through the flow, with R̂ and effective sample sizes.

        "independence": jumps to independent draws of the flow (and of Gaussians around the modes
        that a search finds, so that what the flow missed can be reached), mixed with Hamiltonian
        moves. "neutra": NUTS in the flow's base. "auto": the first; where those chains do not
        converge, the same through the flow that `infer` chooses by itself, if this one is another;
        then the second. About `draws` draws of all `chains` together, more where the chains need
        them. Raises `ValueError` where the target's density is not at hand.
        """
        return refine_outcome(self, method, check_draws(draws), chains, seed, as_progress(progress))

    @in_own_precision
    def save(self, path: str | Path) -> None:
        """Write a run folder at `path`, which must be new or empty."""
        write_run(open_folder(path), self)

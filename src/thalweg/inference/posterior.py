"""The result of inference as users hold it: an outcome with its methods."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from thalweg import targets
from thalweg.argument_checks import check_draws
from thalweg.bijections import FixedAffine
from thalweg.chains import Refined
from thalweg.chains.refined import Table
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.importance import summarise
from thalweg.distributions import Flow, StandardNormal
from thalweg.gaussians import Gaussian
from thalweg.inference.defaults import CHAIN_DRAWS
from thalweg.inference.density_of_run import target_record
from thalweg.inference.draws import DrawnOutcome
from thalweg.inference.outcome import Outcome
from thalweg.inference.plan import plan_fit
from thalweg.inference.refine import refine_outcome
from thalweg.inference.run_folder import write_run
from thalweg.inference.search.modes import FoundModes
from thalweg.inference.summary import CHAINS, summary_of, to_arviz
from thalweg.precision import in_own_precision
from thalweg.progress import Progress, showing
from thalweg.runs import open_folder
from thalweg.training.history import History
from thalweg.tree import default_float


class Posterior(DrawnOutcome):
    """A fitted posterior: the fields of an `Outcome`, and draws, densities, tables, chains of it.

    Where the target's density is not at hand (`target` is None), methods that need it raise
    `ValueError`. Where the chains in `refined` have converged, `sample`, `expectation`, `summary`,
    `predictive` and `to_arviz` are of them. Where `parameters` were named, draws come as
    dictionaries of arrays (n, *shape), each within its support, and points go in as such; densities
    are then of the parameters as they are. The flow and `draws` are of the unconstrained
    coordinates (`coordinate_names`).

    A fit in float64 computes in float64 wherever it is used; in a process whose JAX is in float32
    its draws are NumPy arrays.

    Args:
        flow: The approximation that was kept; `infer` makes it and the other fields.

    Example:
        >>> import thalweg as tw
        >>> posterior = tw.Posterior.example()
        >>> posterior.verdict, posterior.parameter_names
        ('trust', ('x1', 'x2'))
    """

    @classmethod
    def of(cls, outcome: Outcome) -> Posterior:
        """Return the posterior of an outcome."""
        return cls(**vars(outcome))

    @classmethod
    def example(cls) -> Posterior:
        """Return a posterior to try methods on: an exact flow of a normal, not fitted."""
        target = targets.get("standard_normal", dim=2)
        x = np.random.default_rng(0).normal(size=(1000, 2)).astype(default_float())
        log_p = np.sum(-0.5 * (x**2 + np.log(2 * np.pi)), 1).astype(x.dtype)
        flow = Flow(StandardNormal((2,)), FixedAffine(jnp.zeros(2), jnp.eye(2)))
        plan = plan_fit(target, flow="gaussian", steps=1, restarts=1)
        return cls(
            flow=flow,
            gaussian=flow,
            target=target,
            diagnostics=Diagnostics(**summarise(np.zeros(len(x))), kl=0.0),
            verdict="trust",
            reasons=["the flow is the target."],
            history=History(),
            draws=Draws(x, log_p, log_p),
            coordinate_names=target.parameter_names,
            record={"request": plan.to_record(), "target": target_record(target)},
            modes=FoundModes([Gaussian(np.zeros(2), np.eye(2))], np.zeros(1), np.ones(1, int)),
        )

    @in_own_precision
    def summary(self) -> Table:
        """Summarise each parameter: mean, sd, quantiles, Monte-Carlo error, plain and corrected.

        Returns:
            A table of the flow's draws, or of the chains, with R̂ and effective sample
            sizes, where they have converged.

        Example:
            >>> import thalweg as tw
            >>> bool(abs(tw.Posterior.example().summary()["x1"]["sd"] - 1) < 0.1)
            True
        """
        if self.converged is None:
            return self.flow_summary()
        table = self.converged.summary()
        header = f"{table.header}   (verdict on the flow: {self.verdict})"
        return dataclasses.replace(table, header=header)

    @in_own_precision
    def flow_summary(self) -> Table:
        """Summarise the flow's draws, whether chains have converged or not.

        Returns:
            A table with a row for each parameter, which prints as one.

        Example:
            >>> import thalweg as tw
            >>> tw.Posterior.example().flow_summary().columns[:3]
            ('mean', 'sd', '5%')
        """
        return summary_of(self)

    @in_own_precision
    def to_arviz(self, n: int = 4000, seed: int = 0, *, corrected: bool = False) -> Any:
        """Convert to ArviZ: independent draws as four chains, or chains that have converged.

        Args:
            n: The number of draws of the flow, rounded up to a multiple of four.
            seed: A whole number.
            corrected: Whether the draws are those of `resample`.

        Returns:
            InferenceData of ArviZ 0.x or a DataTree of 1.x, with the verdict and its numbers as
            attributes of the posterior group.

        Raises:
            ValueError: ArviZ is not installed.

        Example:
            >>> import thalweg as tw
            >>> data = tw.Posterior.example().to_arviz(400)
            >>> data["posterior"].attrs["verdict"], data["posterior"]["x1"].shape
            ('trust', (4, 100))
        """
        if self.converged is not None and not corrected:
            return self.converged.to_arviz()
        draws = self.coordinates(CHAINS * -(-check_draws(n) // CHAINS), seed, corrected=corrected)
        return to_arviz(self, draws, corrected=corrected)

    def refine(
        self,
        method: str = "auto",
        draws: int = CHAIN_DRAWS,
        *,
        chains: int | None = None,
        seed: int = 0,
        progress: bool | Progress | None = True,
    ) -> Refined:
        """Draw exactly, by Markov chains through the flow.

        "independence" jumps to independent draws of the flow and of Gaussians around the modes
        found, so that mass the flow missed can be reached, mixed with Hamiltonian moves. "neutra"
        is NUTS in the flow's base (Hoffman et al. 2019). "auto" begins with the first; where its
        chains do not converge, it goes through the flow that `infer` chooses by itself, if this one
        is another, then to the second.

        Args:
            method: "auto", "independence" or "neutra".
            draws: Of all chains together, about; more where the chains need them.
            chains: The number of chains, at least 2; by default that of the method.
            seed: A whole number.
            progress: True for a line on the terminal, or a `Progress`.

        Returns:
            The chains with R̂, effective sample sizes, and a verdict of their own.

        Raises:
            ValueError: The target's density is not at hand, or BlackJAX is not installed.

        Example:
            >>> import thalweg as tw
            >>> posterior = tw.Posterior.example()
            >>> posterior.refined is None  # until: posterior.refined = posterior.refine()
            True
        """
        with showing(progress) as shown:
            return refine_outcome(self, method, check_draws(draws), chains, seed, shown)

    @in_own_precision
    def save(self, path: str | Path) -> None:
        """Write a run folder, which `thalweg.load` reads.

        Args:
            path: A folder that is new or empty.

        Returns:
            None.

        Raises:
            ValueError: The folder holds something already.

        Example:
            >>> import tempfile, thalweg as tw
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     tw.Posterior.example().save(folder + "/run")
            ...     tw.load(folder + "/run").verdict
            'trust'
        """
        write_run(open_folder(path), self)

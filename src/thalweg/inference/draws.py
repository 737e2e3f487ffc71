"""Draws and densities of an outcome, by the names of its parameters or in coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
from jaxtyping import Array, ArrayLike, Float, Shaped

from thalweg.argument_checks import check_draws, key_from_seed
from thalweg.backend import check_backend
from thalweg.diagnostics.draws import draw, ensure_float, resample
from thalweg.files.memory import check_memory
from thalweg.inference.outcome import Outcome
from thalweg.inference.predictive import simulator_of
from thalweg.parameters import Tree
from thalweg.precision import in_own_precision
from thalweg.targets.traced import density_of


class DrawnOutcome(Outcome):
    """An outcome that can be drawn from and evaluated: one half of a `Posterior`."""

    @in_own_precision
    def sample(self, n: int, seed: int = 0) -> Float[Array, "n d"] | Tree:
        """Draw from the flow independently, or from the chains where they have converged.

        The chains (`refined`) hold a fixed number of draws. Up to that each comes at most once; for
        more they repeat in whole rounds, which adds nothing to what is known of the target, and a
        `UserWarning` says so. `flow.sample` draws from the flow in any case.

        Args:
            n: The number of draws.
            seed: A whole number; equal seeds give equal draws.

        Returns:
            An array (n, d), or a dictionary of arrays (n, *shape) by name.

        Example:
            >>> import thalweg as tw
            >>> tw.Posterior.example().sample(5).shape
            (5, 2)
        """
        return self._by_name(self.coordinates(n, seed))

    @in_own_precision
    def log_prob(self, x: Shaped[ArrayLike, "*batch d"] | Tree) -> Float[Array, "*batch"]:
        """Return ln q(x) of the flow: normalised, in nats.

        Args:
            x: Points (..., d), or a dictionary of arrays by name, with any batch axes in front.

        Returns:
            An array of the batch shape.

        Raises:
            ValueError: A parameter is missing or outside its support.

        Example:
            >>> import numpy as np, thalweg as tw
            >>> round(float(tw.Posterior.example().log_prob(np.zeros(2))), 3)
            -1.838
        """
        check_backend()
        if self.parameters is None:
            return self.flow.log_prob(ensure_float(cast(ArrayLike, x)))
        u = self.parameters.unconstrain(cast(Tree, x))
        return self.flow.log_prob(u) - self.parameters.log_det(u)

    @in_own_precision
    def expectation(
        self, h: Callable[[Any], Array], n: int = 10_000, seed: int = 0
    ) -> tuple[Array, Array]:
        """Estimate E[h(x)] by draws of the flow, or by all draws of chains that have converged.

        Args:
            h: A function of one point (d,), or of a dictionary, written in JAX.
            n: The number of draws of the flow.
            seed: A whole number.

        Returns:
            The mean, of the shape of h, and its Monte-Carlo standard error.

        Example:
            >>> import thalweg as tw
            >>> mean, error = tw.Posterior.example().expectation(lambda x: x[0] ** 2)
            >>> bool(abs(mean - 1) < 5 * error)
            True
        """
        if self.converged is not None:
            return self.converged.expectation(h)
        named = self.parameters
        of_point = h if named is None else lambda u: h(named.constrain(u)[0])
        return self.flow.expectation(of_point, key_from_seed(seed), check_draws(n))

    @in_own_precision
    def resample(self, n: int, seed: int = 0, oversample: int = 4) -> Float[Any, "n d"] | Tree:
        """Draw with Pareto-smoothed importance weights, which corrects towards the target.

        `n` of `oversample`·n points of the flow are kept, with probabilities proportional to their
        smoothed weights (systematic resampling, so points with large weights repeat). Where the
        target's density is not at hand the stored draws with their weights stand in for them.

        Args:
            n: The number of draws.
            seed: A whole number.
            oversample: Points of the flow for each draw.

        Returns:
            As `sample`.

        Raises:
            ValueError: The stored draws are too few for n, or no weight is finite.

        Example:
            >>> import thalweg as tw
            >>> tw.Posterior.example().resample(100).shape
            (100, 2)
        """
        return self._by_name(self.coordinates(n, seed, corrected=True, oversample=oversample))

    @in_own_precision
    def coordinates(
        self, n: int, seed: int = 0, *, corrected: bool = False, oversample: int = 4
    ) -> Float[Any, "n d"]:
        """Draw as `sample` or `resample`, in the unconstrained coordinates of the flow.

        Args:
            n: The number of draws.
            seed: A whole number.
            corrected: Whether to resample by importance weights.
            oversample: Points of the flow for each corrected draw.

        Returns:
            An array (n, d), whether parameters have names or not.

        Example:
            >>> import thalweg as tw
            >>> tw.Posterior.example().coordinates(3).shape
            (3, 2)
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
        return resample(draw(self.flow, density_of(self.target), draw_key, count), n, pick_key)

    @in_own_precision
    def predictive(
        self,
        simulate: Callable[[Any, Any], Any] | None = None,
        n: int = 1000,
        seed: int = 0,
        *,
        corrected: bool = False,
    ) -> Any:
        """Simulate data sets that the posterior expects: one at each of `n` draws.

        Args:
            simulate: A function (key, point) -> data in JAX; the point is a dictionary where
                parameters are named, else a vector (d,), and data are any tree of arrays. None for
                a NumPyro model: its observed sites are drawn anew, by name, with covariates and
                sizes as they were.
            n: The number of data sets.
            seed: A whole number.
            corrected: Whether the draws are those of `resample` in place of `sample`.

        Returns:
            The data with `n` in front: row i belongs to row i of the draws with this seed.

        Raises:
            ValueError: There is nothing to simulate with, or `simulate` fails or returns no array.

        Example:
            >>> import jax, thalweg as tw
            >>> noisy = lambda key, x: x[0] + jax.random.normal(key, (7,))
            >>> tw.Posterior.example().predictive(noisy, n=10).shape
            (10, 7)
        """
        simulator = simulator_of(self.target, simulate)
        points = self.resample(n, seed) if corrected else self.sample(n, seed)
        return simulator(points, n, seed)

    def _by_name(self, u: Any) -> Any:
        """Return points of the unconstrained space as users see them."""
        return u if self.parameters is None else self.parameters.trees(u)

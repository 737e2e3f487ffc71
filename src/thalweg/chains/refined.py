"""The result of refinement: chains with the target as their distribution, and diagnostics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.argument_checks import check_draws
from thalweg.chains.arviz import arviz_of
from thalweg.diagnostics.convergence import ChainDiagnostics
from thalweg.parameters import Parameters, Tree
from thalweg.precision import computing_in, in_own_precision
from thalweg.tree import default_float

COLUMNS = ("mean", "sd", "5%", "50%", "95%", "mcse", "R̂", "ESS bulk", "ESS tail")


@dataclass(frozen=True, repr=False)
class Table:
    """Rows by parameter name and columns by `columns`; prints as a table."""

    names: tuple[str, ...]
    values: np.ndarray
    header: str
    columns: tuple[str, ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name, row in zip(self.names, self.values, strict=True):
            yield {"parameter": name, **dict(zip(self.columns, row.tolist(), strict=True))}

    def __getitem__(self, name: str) -> dict[str, float]:
        row = self.values[self.names.index(name)]
        return dict(zip(self.columns, row.tolist(), strict=True))

    def __str__(self) -> str:
        width = max(9, *(len(name) for name in self.names))
        head = " " * width + "".join(f"{column:>15}" for column in self.columns)
        rows = [
            f"{name:<{width}}" + "".join(f"{value:>15.5g}" for value in row)
            for name, row in zip(self.names, self.values, strict=True)
        ]
        return "\n".join([self.header, head, *rows])

    __repr__ = __str__


@dataclass(frozen=True)
class Refined:
    """Draws of Markov chains through a flow, with the target as their distribution.

    Args:
        draws: Points of the unconstrained coordinates (chains, n, d).
        diagnostics: R̂ and effective sample sizes by column of `points`, rates of the moves, and the
            evidence by a bridge between proposals and chains (nats).
        verdict: "trust" where the chains have converged, else "reject".
        reasons: Sentences that say why.
        coordinate_names: A name for each coordinate.
        parameters: Names, shapes and supports of the parameters, where they have names.

    Example:
        >>> import numpy as np
        >>> from thalweg.chains import Refined
        >>> from thalweg.diagnostics.convergence import ChainDiagnostics
        >>> numbers = ChainDiagnostics(*np.ones((3, 1)), acceptance=0.9, divergences=0.0)
        >>> chains = Refined(np.zeros((4, 50, 1)), numbers, "reject", ["few draws."], ("x1",))
        >>> chains.count, chains.sample(7).shape
        (200, (7, 1))
    """

    draws: Float[np.ndarray, "chains n d"]
    diagnostics: ChainDiagnostics
    verdict: str
    reasons: list[str]
    coordinate_names: tuple[str, ...]
    parameters: Parameters | None = None

    @property
    def precision(self) -> str:
        """The precision of the chains, "float32" or "float64", in which all methods compute."""
        return "float64" if self.draws.dtype == np.float64 else "float32"

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every column of `points`."""
        return self.coordinate_names if self.parameters is None else self.parameters.names

    @property
    def points(self) -> Float[np.ndarray, "chains n size"]:
        """The draws as rows of numbers, with columns by `names`."""
        with computing_in(self.precision):
            return as_points(self.draws, self.parameters)

    @property
    def count(self) -> int:
        """The number of draws of all chains together."""
        return self.draws.shape[0] * self.draws.shape[1]

    @in_own_precision
    def sample(self, n: int | None = None, seed: int = 0) -> Float[Array, "n d"] | Tree:
        """Return `n` of the draws in random order, each at most once.

        For more than there are they repeat in whole rounds, which adds no information, with a
        `UserWarning`.

        Args:
            n: The number of draws; None for all.
            seed: A whole number.

        Returns:
            An array (n, d), or a dictionary of arrays (n, *shape) by name.
        """
        chosen = self.coordinates(self.count if n is None else n, seed)
        return chosen if self.parameters is None else self.parameters.trees(chosen)

    @in_own_precision
    def coordinates(self, n: int, seed: int = 0) -> Float[Array, "n d"]:
        """Return draws like `sample`, as rows of the unconstrained coordinates."""
        n = check_draws(n)
        if n > self.count:
            warnings.warn(
                f"{n} draws were asked for and the chains hold {self.count}: some repeat; "
                f"refine(draws={n}) makes more",
                stacklevel=2,
            )
        rng = np.random.default_rng(seed)
        rounds = [rng.permutation(self.count) for _ in range(-(-n // self.count))]
        flat = self.draws.reshape(-1, self.draws.shape[-1])
        return jnp.asarray(flat[np.concatenate(rounds)[:n]], default_float())

    @in_own_precision
    def expectation(self, h: Callable[[Any], Array]) -> tuple[Array, Array]:
        """Estimate E[h(x)] by all draws.

        Args:
            h: A function of one point (d,), or of a dictionary, written in JAX.

        Returns:
            The mean, of the shape of h, and its Monte-Carlo standard error.
        """
        from blackjax.diagnostics import effective_sample_size

        flat = jnp.asarray(self.draws.reshape(-1, self.draws.shape[-1]), default_float())
        named = self.parameters
        values = jax.lax.map(h if named is None else lambda u: h(named.constrain(u)[0]), flat)
        by_chain = values.reshape(*self.draws.shape[:2], *values.shape[1:])
        ess = effective_sample_size(by_chain - values.mean(0))
        return values.mean(0), values.std(0) / jnp.sqrt(ess)

    @in_own_precision
    def summary(self) -> Table:
        """Tabulate mean, sd, quantiles, Monte-Carlo error, R̂ and effective sample sizes."""
        points = self.points.astype(np.float64)
        flat = points.reshape(-1, points.shape[-1])
        sd = flat.std(0, ddof=1)
        numbers = self.diagnostics
        columns = [
            flat.mean(0),
            sd,
            *np.quantile(flat, (0.05, 0.5, 0.95), axis=0),
            sd / np.sqrt(np.maximum(numbers.ess_bulk, 1.0)),
            numbers.rhat,
            numbers.ess_bulk,
            numbers.ess_tail,
        ]
        chains, n, _ = self.draws.shape
        header = (
            f"{numbers.method}: {self.verdict}   {chains} chains of {n} draws   "
            f"ln Z {numbers.log_evidence:.4f} ± {numbers.log_evidence_se:.4f}"
        )
        return Table(self.names, np.stack(columns, 1), header, COLUMNS)

    @in_own_precision
    def to_arviz(self) -> Any:
        """Convert the chains to an ArviZ object: InferenceData of ArviZ 0.x, a DataTree of 1.x."""
        keys = ("log_evidence", "log_evidence_se", "divergences")
        facts: dict[str, Any] = {key: float(self.diagnostics[key]) for key in keys}
        facts |= {"verdict": self.verdict, "method": self.diagnostics.method}
        return arviz_of(self.draws, self.coordinate_names, self.parameters, facts)


def as_points(
    draws: Float[np.ndarray, "chains n d"], parameters: Parameters | None
) -> Float[np.ndarray, "chains n size"]:
    """Convert draws of coordinates to rows of numbers, by the names of the parameters."""
    if parameters is None:
        return draws
    rows = parameters.rows(parameters.trees(draws.reshape(-1, draws.shape[-1])))
    return rows.reshape(*draws.shape[:2], -1)

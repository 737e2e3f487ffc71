"""A flow fitted to rows of order one, judged by others while it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray, PyTree
from scipy.special import logsumexp

from thalweg import flows
from thalweg.density.blocks import log_densities
from thalweg.density.gaussian import with_gaussian
from thalweg.distributions import Distribution, Ensemble, Flow, StandardNormal, StudentT
from thalweg.objectives import ForwardKL
from thalweg.training import ChunkRecord, Progress, Trained, train
from thalweg.training.history import History
from thalweg.tree import default_float, pick

NOISES = (0.0, 0.1, 0.3)  # of the bandwidth of a kernel density: tried side by side
PAIR = 2  # flows of each size, where several are averaged
DF = 30.0  # degrees of freedom that a base with heavy tails begins with
AFTER = "after."  # begins the name of the checkpoint of the other members
PATIENCE = 12  # chunks without a better value of held-out rows after which the rate begins to fall


@dataclass(frozen=True)
class Points:
    """Rows (n, d) in the flow's coordinates, and their contexts if there are any."""

    y: np.ndarray
    context: np.ndarray | None = None


class Asked(NamedTuple):
    """A flow and what is spent on it; `noises` None: tried, as many as `NOISES` has."""

    flow: str
    options: dict[str, Any]
    base: str
    members: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    noise: float | None
    gaussian: bool


class Fitted(NamedTuple):
    """The density, the noise it was fitted with, the weight of the Gaussian in it, how it went.

    `history`, `steps` and `rows_per_second` are of the flows that were fitted side by side first;
    but of a run that goes on, `history.earlier` is what was spent before on all of them.
    """

    density: Distribution
    noise: float
    gaussian_weight: float
    history: History
    steps: int
    interrupted: bool
    rows_per_second: float


@dataclass
class Patience:
    """Whether no restart did better on held-out rows for some time."""

    best: float = np.inf
    waited: int = 0

    def __call__(self, record: ChunkRecord) -> bool:
        latest = float(np.nanmin(np.asarray(record.held_out)))
        self.waited = 0 if latest < self.best else self.waited + 1
        self.best = min(self.best, latest)
        return self.waited >= PATIENCE


def fit(
    learned: Points,
    held_out: Points | None,
    jitter: np.ndarray | None,
    asked: Asked,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
    refill: Callable[[int], Points] | None = None,
) -> Fitted:
    """Maximum likelihood with noise on the rows; its size is chosen, then members are added.

    Of a flexible flow and few rows the noise is what keeps it from learning single ones (Rothfuss
    et al. 2019). Its sizes, on the scale of Scott's bandwidth n^(−1/(d + 4)), are tried side by
    side in one program, and the held-out rows choose; where none are held out it is the smaller of
    those that are tried. Flows that are averaged want less noise than one alone, so there are two
    of each size, from which follows what the mean of all members will be. The other members are
    fitted with the size that is chosen, again side by side. Where rows are held out and there is no
    context a Gaussian joins them.

    With `refill` the rows are so many that they are learned from a part at a time, the part of a
    number for each chunk of steps, `learned` being the first; these need no noise.
    """
    first, second = jax.random.split(key)
    n, dim = learned.y.shape
    sizes = _sizes(asked, n ** (-1 / (dim + 4)), judged=held_out is not None, few=refill is None)
    batch = min(asked.batch_size, n)
    dtype = default_float()

    def objective(points: Points, noises: np.ndarray) -> ForwardKL:
        return ForwardKL(
            jnp.asarray(points.y, dtype),
            batch,
            _on_device(points.context),
            noise=noises.tolist(),
            jitter=None if jitter is None else jnp.asarray(jitter, dtype),
            held_out=None if held_out is None else jnp.asarray(held_out.y, dtype),
            held_out_context=None if held_out is None else _on_device(held_out.context),
        )

    def together(noises: np.ndarray, key: PRNGKeyArray, checkpoint: Path | None) -> Trained:
        make, run = jax.random.split(key)
        return train(
            _fresh(make, learned, asked, len(noises)),
            objective(learned, noises),
            run,
            steps=asked.steps,
            learning_rate=asked.learning_rate,
            weight_decay=asked.weight_decay,
            stage=asked.flow,
            progress=progress,
            checkpoint=checkpoint,
            enough=None if held_out is None else Patience(),
            refill=None if refill is None else lambda k: objective(refill(k), noises),
        )

    def outcome(models: list[PyTree], size: float, *parts: Trained) -> Fitted:
        head, interrupted = parts[0], any(part.interrupted for part in parts)
        history = replace(head.history, earlier=sum(part.history.earlier for part in parts))
        visited = head.values.size * batch * head.steps
        rate = visited / max(history.seconds[-1], 1e-9)
        density, weight = _density(models), 0.0
        wanted = asked.gaussian and not interrupted
        if wanted and held_out is not None and held_out.context is None:
            cells = _in_cells(held_out.y, jitter)
            density, weight = with_gaussian(density, learned.y, cells, jitter)
        return Fitted(density, size, weight, history, head.steps, interrupted, rate)

    if len(sizes) == 1:
        trained = together(np.repeat(sizes, asked.members), first, checkpoint)
        return outcome([trained.models], float(sizes[0]), trained)
    each = min(PAIR, asked.members)
    trained = together(np.repeat(sizes, each), first, checkpoint)
    judged = _of_held_out(trained.models, held_out, jitter)
    best = int(np.argmin(expected(judged.reshape(len(sizes), each, -1), asked.members)))
    kept, size = _some(trained.models, best * each, each), float(sizes[best])
    if asked.members == each or trained.interrupted:
        return outcome([kept], size, trained)
    after = None if checkpoint is None else checkpoint.with_name(AFTER + checkpoint.name)
    more = together(np.repeat(sizes[best], asked.members - each), second, after)
    return outcome([kept, more.models], size, trained, more)


def expected(
    log_density: Float[np.ndarray, "sizes each rows"], members: int
) -> Float[np.ndarray, " sizes"]:
    """−ln q a row, of the mean of so many members, from one or two of them.

    What averaging gains goes as 1 − 1/m: with L₁ of one and L₂ of two, L_m = 2 L₂ − L₁ +
    2 (L₁ − L₂)/m. Infinite where a density is not finite.
    """
    each = log_density.shape[1]
    one = -log_density.mean((1, 2))
    several = -(logsumexp(log_density, 1) - np.log(each)).mean(1)
    found = one if each == 1 else 2 * several - one + 2 * (one - several) / members
    return np.where(np.isfinite(found), found, np.inf)


def _of_held_out(
    models: PyTree, held_out: Points | None, jitter: np.ndarray | None
) -> Float[np.ndarray, "flows rows"]:
    """ln q of held-out rows under each flow, at one place in their cells."""
    if held_out is None:
        raise ValueError("noise is chosen by rows that are held out, and there are none")
    y = _in_cells(held_out.y, jitter)
    count = len(Ensemble(models))
    return np.stack([log_densities(pick(i, models), y, held_out.context) for i in range(count)])


def _in_cells(y: np.ndarray, jitter: np.ndarray | None) -> np.ndarray:
    """Rows at one place of their cells, always the same."""
    if jitter is None:
        return y
    return y + np.random.default_rng(0).uniform(size=(len(y), len(jitter))) @ jitter


def _sizes(asked: Asked, unit: float, *, judged: bool, few: bool) -> np.ndarray:
    if asked.noise is not None:
        return np.array([asked.noise])
    if not few:
        return np.zeros(1)
    return unit * np.array(NOISES if judged else NOISES[1:2])


def _fresh(key: PRNGKeyArray, learned: Points, asked: Asked, count: int) -> PyTree:
    """So many flows, each from its own start, stacked."""
    dim = learned.y.shape[1]
    width = None if learned.context is None else learned.context.shape[1]
    heavy = StudentT(DF, dim) if asked.base == "student_t" else None

    def one(k: PRNGKeyArray) -> Flow:
        flow = flows.build(asked.flow, k, dim, width, **asked.options)
        if heavy is None:
            return flow
        if not isinstance(flow.base, StandardNormal):
            raise ValueError(f"flow {asked.flow!r} has a base of its own: base must be 'recipe'")
        return Flow(heavy, flow.bijection)

    return eqx.filter_jit(eqx.filter_vmap(one))(jax.random.split(key, count))


def _some(models: PyTree, begin: int, count: int) -> PyTree:
    """A stack of so many of them."""
    return jax.tree.map(
        lambda leaf: leaf[begin : begin + count] if eqx.is_array(leaf) else leaf, models
    )


def _density(stacks: list[PyTree]) -> Distribution:
    """The mean of all members of some stacks; a lone one as it is."""
    arrays, static = zip(*(eqx.partition(stack, eqx.is_array) for stack in stacks), strict=True)
    whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *arrays)
    members = eqx.combine(whole, static[0])
    return pick(0, members) if len(Ensemble(members)) == 1 else Ensemble(members)


def _on_device(context: Float[np.ndarray, "rows k"] | None) -> Any:
    return None if context is None else jnp.asarray(context, default_float())

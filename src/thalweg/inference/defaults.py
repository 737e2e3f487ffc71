"""The defaults of an inference: every number that a document states, or that a user may change."""

from __future__ import annotations

from typing import Any, NamedTuple

FLOW = "auto"
OBJECTIVE = "reverse_kl"
GRADIENT = "path"
PRECISION = "auto"

SCALAR_FLOWS = frozenset({"planar", "radial", "planar_radial", "mean_field", "gaussian"})
NARROW_MAX_DIM = 12  # coordinates up to which the networks of the default flow are narrow
# Beyond it the Hessians of all starts no longer fit in a sensible memory, and steps are dear.
NEWTON_MAX_DIM = 300

TEMPERATURE = 0.1  # β of the flattened target, where annealed restarts begin
ANNEALED_PART = 0.5  # of the steps, until β = 1
ACCURACY = 0.01  # nats of KL(q ‖ p) at which a fit is good enough, a fifth of what is trusted
ACCURACIES = {"quick": 0.05, "standard": ACCURACY, "best": 0.001}  # by effort
NEARLY_EXACT = 0.5  # of that: what is left when a flow stops learning

SHORT = 5000  # steps up to which compiling the loop well takes longer than it saves

DRAWS = 32_768  # behind the diagnostics
STORED_DRAWS = 8192  # kept in the posterior, for tables and pictures
CHAIN_DRAWS = 4000  # of all chains together


class Budget(NamedTuple):
    """The work of a fit."""

    steps: int
    batch_size: int
    learning_rate: float
    restarts: int


def choose_flow(flow: Any, options: dict[str, Any], dim: int) -> tuple[Any, dict[str, Any]]:
    """Return a flow and its options; for "auto" the recipe, with its options beside those given.

    Couplings need two coordinates; in one dimension planar layers bend the line. Few coordinates
    need no wide networks, which would make up most of the time of a fit.
    """
    if flow != FLOW:
        return flow, options
    if dim == 1:
        return "planar", options
    return "real_nvp", {"hidden": (32, 32), **options} if dim <= NARROW_MAX_DIM else options


def default_budget(recipe: str | None, dim: int, *, fewer_draws: bool = False) -> Budget:
    """Steps, draws a step, learning rate and restarts for a recipe (None: a `Flow` or a function).

    The step size is 0.1/d up to 10⁻² (the rule that won 65 of 84 runs over posteriors of d = 2 to
    1006, Agrawal et al. 2020); flows made of scalars bear twice that (twice as much again, in fewer
    steps, spoils their tails) and need more steps, and are cheap enough for four restarts: eight
    came no nearer to energies in the plane. With many coordinates a step takes fewer draws, at a
    rate that no longer falls, and one restart has to do: in d = 500 that left less to learn in less
    time. It takes fewer as well where they are most of the time of a step, because values are dear
    or not JAX's own (`thalweg.targets.work`).
    """
    if dim > NEWTON_MAX_DIM and recipe not in SCALAR_FLOWS:
        return Budget(3000, 64, 1e-3, 1)
    batch = 128 if fewer_draws else 256
    if recipe in SCALAR_FLOWS:
        return Budget(8000, batch, min(2e-2, 0.1 / dim), 4)
    return Budget(3000, batch, min(1e-2, 0.1 / dim), 2)

"""The options of a latent Gaussian model with their checks, and every default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, cast

from thalweg import flows
from thalweg.argument_checks import (
    LARGEST_SEED,
    MOST_UNITS,
    check_choice,
    check_real_number,
    check_whole_number,
    check_whole_numbers,
)
from thalweg.data.observations import Observations, Patches
from thalweg.latent.likelihoods import LIKELIHOODS
from thalweg.latent.objective import ANNEALED
from thalweg.training import TimeLimit, check_effort
from thalweg.training.effort import STANDARD
from thalweg.training.loop import HELD_OUT
from thalweg.training.optimisers import OPTIMISERS

NO_FLOW, NORMAL = "none", "normal"
NETWORKS = {"dense": (300, 300), "convolutional": (32, 64, 256)}  # with the default `hidden`
MATMUL = ("float32", "tensorfloat32", "bfloat16")
# Of an evaluation: draws for ln p(x) and for the bound of each row, and the fit of a row's normal.
DRAWS, BOUND_DRAWS = 5000, 100
STEPS = 20_000
GAP_STEPS, GAP_RATE, GAP_DRAWS = 3000, 0.02, 8
SMALL = 100  # numbers of an image up to which it is a small one


def _check_latent(name: str, latent: object) -> int | tuple[int, ...]:
    """Check a number of latent variables, or a list for several layers."""
    if isinstance(latent, Sequence) and len(latent):
        return check_whole_numbers(name, latent, most=MOST_UNITS)
    return check_whole_number(name, latent, most=MOST_UNITS)


def _check_recipe(name: str, recipe: Any, besides: str) -> Any:
    """Check the name of a recipe of `thalweg.flows`, or the word `besides`."""
    if recipe != besides:
        flows.find(recipe)
    return recipe


CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "latent": _check_latent,
    "flow": partial(_check_recipe, besides=NO_FLOW),
    "prior": partial(_check_recipe, besides=NORMAL),
    "likelihood": partial(check_choice, choices=sorted(LIKELIHOODS)),
    "network": partial(check_choice, choices=NETWORKS),
    "hidden": partial(check_whole_numbers, most=MOST_UNITS),
    "steps": partial(check_whole_number, most=HELD_OUT - 1),
    "batch_size": check_whole_number,
    "learning_rate": partial(check_real_number, above=0),
    "optimiser": partial(check_choice, choices=OPTIMISERS),
    "weight_decay": partial(check_real_number, least=0),
    "warm_up": partial(check_real_number, least=0, most=1),
    "annealed": partial(check_choice, choices=ANNEALED),
    "free_bits": partial(check_real_number, least=0),
    "draws": check_whole_number,
    "drop": partial(check_real_number, least=0, below=1),
    "augment": partial(check_real_number, least=0, most=1),
    "valid_fraction": partial(check_real_number, least=0, below=1),
    "seed": partial(check_whole_number, least=0, most=LARGEST_SEED),
}


@dataclass(frozen=True)
class LatentOptions:
    """Options of a `LatentGaussianModel`, whose docstring describes them.

    Raises:
        ValueError: an option is impossible, or two options exclude each other.
    """

    latent: int | Sequence[int] = 40
    flow: str = "planar"
    amortised: bool = True
    prior: str = NORMAL
    likelihood: str = "bernoulli"
    binarisation: str | None = None
    network: str = "dense"
    hidden: Sequence[int] | None = None
    nonlinearity: str = "gated"
    steps: int | None = None
    batch_size: int = 100
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    weight_decay: float = 0.0
    matmul: str | None = None
    warm_up: float = 0.3
    annealed: str = "kl"
    free_bits: float = 0.0
    draws: int = 1
    drop: float = 0.0
    augment: float = 0.0
    valid_fraction: float = 0.1
    seed: int = 0
    time_limit: float | None = None
    effort: str = STANDARD
    flow_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if name == "hidden" and value is None:
                value = NETWORKS[self.network]
            if name == "steps" and value is None:
                value = round(STEPS * check_effort(self.effort))
            object.__setattr__(self, name, check(name, value))
        TimeLimit(self.time_limit)
        check_effort(self.effort)
        if self.matmul is not None:
            check_choice("matmul", self.matmul, MATMUL)
        if self.flow == NO_FLOW and self.flow_options:
            given = ", ".join(sorted(self.flow_options))
            raise ValueError(f"without a flow there are no options, got {given}; name a flow")
        if self.network == "convolutional" and (
            len(self.layer_sizes) > 1 or self.nonlinearity != "gated" or not self.widths
        ):
            raise ValueError(
                "a convolutional network is gated, has one layer of latent variables, and a width "
                f"of its features; got {self.nonlinearity!r:.80}, latent {self.latent!r}, hidden "
                f"{self.hidden}"
            )

    @property
    def step_count(self) -> int:
        """The number of steps, which follows from the effort where none was given."""
        return cast(int, self.steps)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """The number of latent variables of each stochastic layer, that next to the data first."""
        return (self.latent,) if isinstance(self.latent, int) else tuple(self.latent)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(self.hidden or ())

    def to_keywords(self) -> dict[str, Any]:
        """Return the keywords with which `LatentGaussianModel` makes the same model again."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return own | dict(own.pop("flow_options"))


def default_options(
    data: Observations, network: str = "dense", effort: str = STANDARD, **_: Any
) -> dict[str, Any]:
    """Return the default options for images of this kind and a network."""
    share = check_effort(effort)
    if data.size <= SMALL:
        widths = {"hidden": (200, 200)} if network == "dense" else {}
        return {"latent": 16, "steps": round(6000 * share), "learning_rate": 1e-3, **widths}
    # Patchy views and slanted images, at first, keep a model from memorising single images.
    # Patches are cut anew at each step as it is.
    picture = len(data.shape) in (2, 3) and not isinstance(data, Patches)
    return {
        "latent": 40,
        "steps": round(60_000 * share),
        "learning_rate": 1e-3,
        "drop": 0.2,
        "augment": 1.0 if picture else 0.0,
    }

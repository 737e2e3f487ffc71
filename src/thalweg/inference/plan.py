"""The plan of a fit: arguments of `infer`, checked, with a default for each left out."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from thalweg.argument_checks import check_real_number, check_seed, check_whole_number
from thalweg.chains import METHODS
from thalweg.distributions import Flow
from thalweg.inference.arguments import as_flow, check_annealing, check_precision
from thalweg.inference.defaults import (
    ACCURACIES,
    ACCURACY,
    FLOW,
    GRADIENT,
    OBJECTIVE,
    PRECISION,
    choose_flow,
    default_budget,
)
from thalweg.inference.fitting.flow import MakeFlow
from thalweg.objectives import GRADIENTS, Annealing
from thalweg.targets import Target
from thalweg.targets.traced import density_of
from thalweg.training import TimeLimit, check_budget, check_effort
from thalweg.training.effort import STANDARD

OBJECTIVES = (OBJECTIVE,)
OWN = "own"  # in a record: the annealing was an object of a Python session


@dataclass(frozen=True)
class Plan:
    """A checked request for a fit; all but `make` stands in `run.json` under "request".

    `make` makes the flow from a key, `flow` is its recipe (None: one of a Python session).
    `accuracy` is the KL (nats) at which a fit is good enough. `end_early` lets a flow with little
    left to learn stop before `steps`, `may_end_at_gaussian` lets a Gaussian do where it is good
    enough, `base_at_modes` lets the flow's base have components at several modes, and `init` are
    rows of coordinates to start from. `time_limit` is in seconds, and `effort` the word that stood
    for `steps` and `accuracy` where they were not given.
    """

    make: MakeFlow
    flow: str | None
    flow_options: Mapping[str, Any]
    objective: str
    gradient: str
    annealing: Annealing | bool
    steps: int
    batch_size: int
    restarts: int
    learning_rate: float
    accuracy: float
    end_early: bool
    may_end_at_gaussian: bool
    base_at_modes: bool
    refine: str | None
    precision: str
    init: list[list[float]] | None
    seed: int
    time_limit: float | None = None
    effort: str = STANDARD

    def starts(self, dim: int) -> Float[np.ndarray, "n d"]:
        """The starts that were asked for."""
        return np.asarray(self.init or [], float).reshape(-1, dim)

    def to_record(self) -> dict[str, Any]:
        """The request as JSON keeps it."""
        fields = (field.name for field in dataclasses.fields(self) if field.name != "make")
        record = {name: getattr(self, name) for name in fields}
        annealing = self.annealing if isinstance(self.annealing, bool) else OWN
        return {**record, "flow_options": dict(self.flow_options), "annealing": annealing}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], dim: int) -> Plan:
        """Return the plan of a run folder, old ones included."""
        before: dict[str, Any] = {
            "end_early": False,
            "base_at_modes": False,
            "refine": None,
            "init": None,
            "time_limit": None,
            "effort": STANDARD,
        }
        before |= {"accuracy": ACCURACY, "may_end_at_gaussian": False, "precision": "auto"}
        request = {**before, **record}
        _, make = as_flow(request["flow"], dim, request["flow_options"])
        names = [field.name for field in dataclasses.fields(cls) if field.name != "make"]
        return cls(make=make, **{name: request[name] for name in names})


def plan_fit(
    target: Target,
    *,
    init: list[list[float]] | None = None,
    flow: str | Flow | Callable[[PRNGKeyArray, int], Flow] = FLOW,
    objective: str = OBJECTIVE,
    gradient: str = GRADIENT,
    annealing: Annealing | bool = True,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    accuracy: float | None = None,
    refine: str | None = None,
    precision: str = PRECISION,
    seed: int = 0,
    time_limit: float | None = None,
    effort: str = STANDARD,
    flow_options: Mapping[str, Any] | None = None,
) -> Plan:
    """Return the plan of a fit of `target`; arguments as those of `infer`.

    Raises `ValueError` in one sentence for an argument that makes no sense.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
    check_precision(precision)
    of_flow = steps, batch_size, learning_rate, restarts, flow_options or None
    is_default = isinstance(flow, str) and flow == FLOW and all(one is None for one in of_flow)
    recipe, options = choose_flow(flow, dict(flow_options or {}), target.dim)
    named = recipe if isinstance(recipe, str) else None
    share = check_effort(effort)
    budget = default_budget(named, target.dim, fewer_draws=_is_dear(target))
    budget = budget._replace(steps=round(share * budget.steps))
    accuracy = ACCURACIES[effort] if accuracy is None else accuracy
    wanted = {"steps": steps, "batch_size": batch_size, "restarts": restarts}
    counts = {
        name: check_whole_number(name, getattr(budget, name) if value is None else value)
        for name, value in wanted.items()
    }
    rate = budget.learning_rate if learning_rate is None else learning_rate
    _, rate, _ = check_budget(counts["steps"], rate)
    name, make = as_flow(recipe, target.dim, options, counts["restarts"], counts["batch_size"])
    seed = check_seed(seed)
    if refine is not None:
        check_method(refine)
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r:.80}")
    check_annealing(annealing, counts["restarts"])
    return Plan(
        make=make,
        flow=name,
        flow_options=options,
        objective=objective,
        gradient=gradient,
        annealing=annealing,
        **counts,
        learning_rate=rate,
        accuracy=check_real_number("accuracy", accuracy, least=0),
        end_early=steps is None,
        may_end_at_gaussian=is_default and annealing is True,
        base_at_modes=isinstance(flow, str) and flow == FLOW,
        refine=refine,
        precision=precision,
        init=init,
        seed=seed,
        time_limit=TimeLimit(time_limit).seconds,
        effort=effort,
    )


def _is_dear(target: Target) -> bool:
    """Whether values are dear, or may be; False where there is no trace: the check says why."""
    try:
        work = density_of(target).work
        return work.dear or work.outside
    except (Exception, SystemExit):  # of the user's code
        return False


def check_method(method: str) -> None:
    """Raise `ValueError` for an unknown way to refine, or where BlackJAX is not installed."""
    known = ("auto", *METHODS)
    if method not in known:
        raise ValueError(f"unknown way to refine {method!r}; known: {', '.join(known)}")
    try:
        importlib.import_module("blackjax")
    except ModuleNotFoundError as error:
        raise ValueError(f"refine needs {error.name}: pip install 'thalweg[mcmc]'") from None

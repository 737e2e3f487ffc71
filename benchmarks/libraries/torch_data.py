"""Code of all torch libraries on data: eager steps, densities and draws without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from itertools import pairwise

import numpy as np
import torch
from cases import Case, Tasks, table

from libraries.torch_training import training


def seeded(make: Callable[[Case], Tasks]) -> Callable[[Case], Tasks]:
    """Weights are drawn from the seed of the case."""

    @wraps(make)
    def from_seed(case: Case) -> Tasks:
        torch.manual_seed(case.seed)
        return make(case)

    return from_seed


def tasks(
    case: Case,
    parameters: Iterable[torch.nn.Parameter],
    log_prob: Callable[[torch.Tensor], torch.Tensor],
    draw: Callable[[int], torch.Tensor],
) -> Tasks:
    """Training by maximum likelihood, densities of the whole table at once, and draws."""
    data = torch.from_numpy(table(case, case.evaluated))

    def loss() -> torch.Tensor:
        return -log_prob(data[torch.randint(len(data), (case.batch,))]).mean()

    def evaluate(times: int) -> None:
        with torch.no_grad():
            for _ in range(times):
                log_prob(data)

    def sample(times: int) -> None:
        with torch.no_grad():
            for _ in range(times):
                draw(case.drawn)

    def score(rows: np.ndarray) -> float:
        with torch.no_grad():
            return float(log_prob(torch.from_numpy(rows)).mean())

    return Tasks(training(parameters, loss), evaluate, sample, score)


def dense(sizes: list[int]) -> torch.nn.Sequential:
    """Dense layers with SiLU between them."""
    layers: list[torch.nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers[:-1])

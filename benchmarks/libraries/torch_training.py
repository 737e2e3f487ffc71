"""Code of all torch libraries: eager steps of Adam, and the conditioner of the couplings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from cases import LEARNING_RATE, Case
from timing import Run

torch.set_num_threads(1)


def training(parameters: Iterable[torch.nn.Parameter], loss: Callable[[], torch.Tensor]) -> Run:
    """Eager training; Adam is the fused one, which has the fewest calls a step."""
    adam = torch.optim.Adam(list(parameters), lr=LEARNING_RATE, fused=True)

    def run(steps: int) -> None:
        for _ in range(steps):
            adam.zero_grad(set_to_none=True)
            loss().backward()
            adam.step()

    return run


def conditioner(case: Case) -> torch.nn.Sequential:
    """The network of a coupling: SiLU between dense layers, the last one zero at the start."""
    half = case.dim // 2
    sizes = [half, *case.hidden, 2 * half]
    layers: list[torch.nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    torch.nn.init.zeros_(layers[-2].weight)
    torch.nn.init.zeros_(layers[-2].bias)
    return torch.nn.Sequential(*layers[:-1])

"""Residual flows of normflows and the continuous flow of Zuko, eager, with the fused Adam."""

from __future__ import annotations

from collections.abc import Callable

import normflows as nf
import numpy as np
import torch
import zuko
from free_form import BATCH, HIDDEN, STEPS, Contender

torch.set_num_threads(1)
RESIDUAL_LAYERS = 8  # as thalweg's recipe has


def residual(rows: np.ndarray, seed: int, rate: float) -> Contender:
    """normflows: `Residual` over `LipschitzMLP`, both at their defaults, with `ActNorm` between."""
    torch.manual_seed(seed)
    maps: list[torch.nn.Module] = []
    for _ in range(RESIDUAL_LAYERS):
        net = nf.nets.LipschitzMLP([2, *HIDDEN, 2], init_zeros=True, lipschitz_const=0.9)
        maps += [nf.flows.Residual(net, reduce_memory=True), nf.flows.ActNorm(2)]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), maps)

    def after() -> None:
        nf.utils.update_lipschitz(flow, 5)  # power iterations a step, as in its examples

    return _contender(flow, flow.log_prob, rows, rate, after)


def continuous(rows: np.ndarray, seed: int, rate: float) -> Contender:
    """Zuko: `CNF` with networks of the same widths, all else at its defaults."""
    torch.manual_seed(seed)
    flow = zuko.flows.CNF(2, hidden_features=HIDDEN)
    return _contender(flow, lambda x: flow().log_prob(x), rows, rate)


def _contender(
    flow: torch.nn.Module,
    log_prob: Callable[[torch.Tensor], torch.Tensor],
    rows: np.ndarray,
    rate: float,
    after: Callable[[], None] = lambda: None,
) -> Contender:
    data = torch.from_numpy(rows)
    adam = torch.optim.Adam(flow.parameters(), lr=rate, fused=True)
    # The rate falls as thalweg's does: else the comparison would be one of schedules.
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS, eta_min=rate / 100)

    def train(steps: int) -> None:
        flow.train()
        for _ in range(steps):
            adam.zero_grad(set_to_none=True)
            (-log_prob(data[torch.randint(len(data), (BATCH,))]).mean()).backward()
            adam.step()
            schedule.step()
            after()

    def nll(points: np.ndarray) -> float:
        flow.eval()
        parts = torch.from_numpy(points).split(2000)
        # normflows needs gradients inside for its Jacobian products.
        return float(-torch.cat([log_prob(part).detach() for part in parts]).mean())

    return Contender(train, nll)

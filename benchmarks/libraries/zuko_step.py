"""Zuko: its affine coupling flow on a trainable diagonal normal."""

from __future__ import annotations

import torch
import zuko
from cases import Case, correlated
from timing import Run

from libraries.torch_training import training


def real_nvp(case: Case) -> Run:
    """`zuko.flows.RealNVP`, alternating masks, in the direction that samples."""
    torch.manual_seed(0)
    built = zuko.flows.RealNVP(
        case.dim,
        transforms=case.layers,
        hidden_features=case.hidden,
        activation=torch.nn.SiLU,
    )
    for layer in built.transform.transforms:
        torch.nn.init.zeros_(layer.hyper[-1].weight)
        torch.nn.init.zeros_(layer.hyper[-1].bias)
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(case.dim), torch.ones(case.dim)
    )
    # Zuko's transforms lead from data to base: sampling inverts them, in closed form.
    flow = zuko.lazy.Flow(built.transform, base)

    def loss() -> torch.Tensor:
        x, log_q = flow().rsample_and_log_prob((case.batch,))
        return (log_q - correlated(x, torch)).mean()

    return training(flow.parameters(), loss)

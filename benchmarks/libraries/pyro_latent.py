"""Pyro: its planar transforms of a diagonal normal whose parameters an encoder gives."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from cases import Latent
from pyro.distributions import transforms
from timing import Run

from libraries.torch_latent import latent_training


def train(case: Latent, flow: str) -> Run:
    """Steps with planar transforms that all images share."""
    torch.manual_seed(0)
    maps = [transforms.Planar(case.latent) for _ in range(case.layers)]

    def posterior(mean: torch.Tensor, log_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        base = dist.Normal(mean, log_scale.exp(), validate_args=False).to_event(1)
        made = dist.TransformedDistribution(base, maps, validate_args=False)
        z = made.rsample()
        return z, made.log_prob(z)

    return latent_training(case, posterior, torch.nn.ModuleList(maps).parameters())

"""normflows: its planar flows after a diagonal normal whose parameters an encoder gives."""

from __future__ import annotations

import math

import normflows as nf
import torch
from cases import Latent
from timing import Run

from libraries.torch_latent import latent_training


def train(case: Latent, flow: str) -> Run:
    """Steps with planar layers that all images share."""
    torch.manual_seed(0)
    layers = torch.nn.ModuleList(nf.flows.Planar((case.latent,)) for _ in range(case.layers))

    def posterior(mean: torch.Tensor, log_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.randn_like(mean)
        z = mean + log_scale.exp() * noise
        log_q = -(0.5 * (noise**2 + math.log(2 * math.pi)) + log_scale).sum(-1)
        for layer in layers:
            z, log_det = layer(z)
            log_q = log_q - log_det
        return z, log_q

    return latent_training(case, posterior, layers.parameters())

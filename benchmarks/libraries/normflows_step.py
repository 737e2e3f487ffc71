"""normflows: its planar flows and affine coupling blocks, its `reverse_kld`."""

from __future__ import annotations

from collections.abc import Callable

import normflows as nf
import torch
from cases import Case, correlated, u1
from timing import Run

from libraries.torch_training import conditioner, training


class _Target(torch.nn.Module):
    def __init__(self, log_density: Callable[..., torch.Tensor]):
        super().__init__()
        self.log_density = log_density

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_density(x, torch)


def planar(case: Case) -> Run:
    """Planar layers on its trainable diagonal Gaussian."""
    layers = [nf.flows.Planar((case.dim,)) for _ in range(case.layers)]
    return _training(case, layers, u1)


def real_nvp(case: Case) -> Run:
    """Affine coupling blocks, the halves swapped between them."""
    layers: list[torch.nn.Module] = []
    for _ in range(case.layers):
        layers.append(nf.flows.AffineCouplingBlock(conditioner(case)))
        layers.append(nf.flows.Permute(case.dim, mode="swap"))
    return _training(case, layers, correlated)


def _training(case: Case, layers: list, log_density: Callable[..., torch.Tensor]) -> Run:
    torch.manual_seed(0)
    base = nf.distributions.DiagGaussian(case.dim)
    model = nf.NormalizingFlow(base, layers, _Target(log_density))
    return training(model.parameters(), lambda: model.reverse_kld(case.batch))

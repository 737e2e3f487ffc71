"""Pyro: its planar and affine coupling transforms on a trainable diagonal normal."""

from __future__ import annotations

from collections.abc import Callable

import pyro.distributions as dist
import torch
from cases import Case, correlated, u1
from pyro.distributions import transforms
from pyro.nn import DenseNN
from timing import Run

from libraries.torch_training import training


def planar(case: Case) -> Run:
    """Planar transforms."""
    return _training(case, [transforms.Planar(case.dim) for _ in range(case.layers)], u1)


def real_nvp(case: Case) -> Run:
    """Affine couplings, the halves swapped between them."""
    half = case.dim // 2
    swap = torch.cat([torch.arange(half, case.dim), torch.arange(half)])
    maps: list = []
    for _ in range(case.layers):
        network = DenseNN(half, list(case.hidden), [half, half], nonlinearity=torch.nn.SiLU())
        torch.nn.init.zeros_(network.layers[-1].weight)
        torch.nn.init.zeros_(network.layers[-1].bias)
        maps += [transforms.AffineCoupling(half, network), transforms.Permute(swap)]
    return _training(case, maps, correlated)


def _training(case: Case, maps: list, log_density: Callable[..., torch.Tensor]) -> Run:
    torch.manual_seed(0)
    loc = torch.nn.Parameter(torch.zeros(case.dim))
    log_scale = torch.nn.Parameter(torch.zeros(case.dim))
    modules = torch.nn.ModuleList(m for m in maps if isinstance(m, torch.nn.Module))

    def loss() -> torch.Tensor:
        # Validation of arguments is a service of Pyro's that costs time; the others have none.
        base = dist.Normal(loc, log_scale.exp(), validate_args=False).to_event(1)
        flow = dist.TransformedDistribution(base, maps, validate_args=False)
        x = flow.rsample((case.batch,))
        return (flow.log_prob(x) - log_density(x, torch)).mean()

    return training([loc, log_scale, *modules.parameters()], loss)

"""Pyro on data: its autoregressive transforms and its spline coupling, run backwards.

Its transforms lead from base to data in the direction of the one pass; `.inv` turns them.
"""

from __future__ import annotations

import pyro.distributions as dist
import torch
from cases import BOUND, Case, Tasks
from pyro.distributions import transforms
from pyro.nn import AutoRegressiveNN, DenseNN

from libraries.torch_data import seeded, tasks

SILU = torch.nn.SiLU()


def _spline_sizes(case: Case) -> list[int]:
    return [case.bins, case.bins, case.bins - 1]


@seeded
def spline_ar(case: Case) -> Tasks:
    """Rational-quadratic autoregressive transforms."""

    def layer() -> torch.nn.Module:
        net = AutoRegressiveNN(
            case.dim, list(case.hidden), param_dims=_spline_sizes(case), nonlinearity=SILU
        )
        return transforms.SplineAutoregressive(
            case.dim, net, count_bins=case.bins, bound=BOUND, order="quadratic"
        )

    return _tasks(case, [layer() for _ in range(case.layers)])


@seeded
def maf(case: Case) -> Tasks:
    """Affine autoregressive transforms."""

    def layer() -> torch.nn.Module:
        net = AutoRegressiveNN(case.dim, list(case.hidden), nonlinearity=SILU)
        return transforms.AffineAutoregressive(net)

    return _tasks(case, [layer() for _ in range(case.layers)])


@seeded
def spline_coupling(case: Case) -> Tasks:
    """Rational-quadratic couplings that leave the first half as it is."""
    half = case.dim // 2

    def layer() -> torch.nn.Module:
        sizes = [half * size for size in _spline_sizes(case)]
        net = DenseNN(half, list(case.hidden), sizes, nonlinearity=SILU)
        return transforms.SplineCoupling(
            case.dim, half, net, case.bins, BOUND, "quadratic", identity=True
        )

    return _tasks(case, [layer() for _ in range(case.layers)])


def _tasks(case: Case, layers: list) -> Tasks:
    swap = transforms.Permute(torch.arange(case.dim - 1, -1, -1))
    maps = [m for layer in layers for m in (layer.inv, swap)]
    loc = torch.nn.Parameter(torch.zeros(case.dim))
    log_scale = torch.nn.Parameter(torch.zeros(case.dim))
    modules = torch.nn.ModuleList(layers)

    def flow() -> dist.TransformedDistribution:
        # Validation of arguments is a service of Pyro's that costs time; the others have none.
        base = dist.Normal(loc, log_scale.exp(), validate_args=False).to_event(1)
        return dist.TransformedDistribution(base, maps, validate_args=False)

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        # Pyro keeps the last pair (x, y) of each transform: a copy is a point it has not seen.
        return flow().log_prob(x.clone())

    def draw(n: int) -> torch.Tensor:
        return flow().sample((n,))

    return tasks(case, [loc, log_scale, *modules.parameters()], log_prob, draw)

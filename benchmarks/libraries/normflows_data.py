"""normflows on data: its masked autoregressive maps and its spline coupling.

Without residual blocks its masked network has no activation after the first layer, so it gets one:
else it would be of another architecture, with a layer less.
"""

from __future__ import annotations

from collections.abc import Callable

import normflows as nf
import torch
from cases import BOUND, Case, Tasks
from normflows.flows.affine.autoregressive import MaskedAffineAutoregressive
from normflows.flows.neural_spline.autoregressive import (
    MaskedPiecewiseRationalQuadraticAutoregressive,
)
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling

from libraries.torch_data import dense, seeded, tasks


def _network(case: Case) -> dict:
    return {
        "features": case.dim,
        "hidden_features": case.hidden[0],
        "num_blocks": len(case.hidden) - 1,
        "use_residual_blocks": False,
        "activation": torch.nn.functional.silu,
    }


@seeded
def spline_ar(case: Case) -> Tasks:
    """Rational-quadratic autoregressive maps."""
    options = {"num_bins": case.bins, "tails": "linear", "tail_bound": BOUND}
    make = MaskedPiecewiseRationalQuadraticAutoregressive
    return _masked(case, lambda: make(**_network(case), **options))


@seeded
def maf(case: Case) -> Tasks:
    """Affine autoregressive maps."""
    return _masked(case, lambda: MaskedAffineAutoregressive(**_network(case)))


@seeded
def spline_coupling(case: Case) -> Tasks:
    """Rational-quadratic couplings."""
    mask = torch.arange(case.dim) >= case.dim // 2

    class Network(torch.nn.Module):
        def __init__(self, inputs: int, outputs: int):
            super().__init__()
            self.layers = dense([inputs, *case.hidden, outputs])
            self.hidden_features = case.hidden[-1]

        def forward(self, x: torch.Tensor, context: None = None) -> torch.Tensor:
            return self.layers(x)

    def layer() -> torch.nn.Module:
        options = {"num_bins": case.bins, "tails": "linear", "tail_bound": BOUND}
        return PiecewiseRationalQuadraticCoupling(mask.int(), Network, **options)

    return _tasks(case, [layer() for _ in range(case.layers)])


def _masked(case: Case, make: Callable[[], torch.nn.Module]) -> Tasks:
    layers = [make() for _ in range(case.layers)]
    for layer in layers:
        net = layer.autoregressive_net
        net.initial_layer = torch.nn.Sequential(net.initial_layer, torch.nn.SiLU())
    return _tasks(case, layers)


class _Turned(nf.flows.Flow):
    """From data to base in one pass: normflows means the other direction by `forward`."""

    def __init__(self, layer: torch.nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z, log_det = self.layer.inverse(z)
        return z, log_det.view(-1)

    def inverse(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, log_det = self.layer(x)
        return x, log_det.view(-1)


def _tasks(case: Case, layers: list) -> Tasks:
    maps: list[torch.nn.Module] = []
    for layer in layers:
        maps += [_Turned(layer), nf.flows.Permute(case.dim, mode="swap")]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(case.dim), maps)
    return tasks(case, flow.parameters(), flow.log_prob, lambda n: flow.sample(n)[0])

"""nflows: its masked autoregressive transforms and its spline coupling."""

from __future__ import annotations

import torch
from cases import BOUND, Case, Tasks
from nflows import transforms
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.utils import create_mid_split_binary_mask

from libraries.torch_data import dense, seeded, tasks

SPLINE = {"tails": "linear", "tail_bound": BOUND}


def _network(case: Case) -> dict:
    # A first layer and `num_blocks` more, each as wide; without residual blocks that is an MLP.
    return {
        "features": case.dim,
        "hidden_features": case.hidden[0],
        "num_blocks": len(case.hidden) - 1,
        "use_residual_blocks": False,
        "activation": torch.nn.functional.silu,
    }


@seeded
def spline_ar(case: Case) -> Tasks:
    """Rational-quadratic autoregressive transforms, the order reversed before each."""
    make = transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
    options = {**_network(case), **SPLINE, "num_bins": case.bins}
    return _tasks(case, [make(**options) for _ in range(case.layers)])


@seeded
def maf(case: Case) -> Tasks:
    """Affine autoregressive transforms, the order reversed before each."""
    make = transforms.MaskedAffineAutoregressiveTransform
    return _tasks(case, [make(**_network(case)) for _ in range(case.layers)])


@seeded
def spline_coupling(case: Case) -> Tasks:
    """Rational-quadratic couplings, the halves swapped before each."""

    class Network(torch.nn.Module):
        def __init__(self, inputs: int, outputs: int):
            super().__init__()
            self.layers = dense([inputs, *case.hidden, outputs])
            self.hidden_features = case.hidden[-1]

        def forward(self, x: torch.Tensor, context: None = None) -> torch.Tensor:
            return self.layers(x)

    make = transforms.PiecewiseRationalQuadraticCouplingTransform
    mask = create_mid_split_binary_mask(case.dim)
    layers = [make(mask, Network, num_bins=case.bins, **SPLINE) for _ in range(case.layers)]
    return _tasks(case, layers)


def _tasks(case: Case, layers: list) -> Tasks:
    turned = [m for layer in layers for m in (transforms.ReversePermutation(case.dim), layer)]
    flow = Flow(transforms.CompositeTransform(turned), StandardNormal([case.dim]))
    return tasks(case, flow.parameters(), flow.log_prob, flow.sample)

"""Zuko on data: its `MAF` and `NSF`; a coupling is its `NSF` in two passes."""

from __future__ import annotations

from typing import Any

import torch
import zuko
from cases import Case, Tasks

from libraries.torch_data import seeded, tasks


@seeded
def spline_ar(case: Case) -> Tasks:
    """`NSF`, fully autoregressive."""
    return _tasks(case, zuko.flows.NSF, bins=case.bins)


@seeded
def maf(case: Case) -> Tasks:
    """`MAF`."""
    return _tasks(case, zuko.flows.MAF)


@seeded
def spline_coupling(case: Case) -> Tasks:
    """`NSF` with two passes."""
    return _tasks(case, zuko.flows.NSF, bins=case.bins, passes=2)


def _tasks(case: Case, make: Any, **options: Any) -> Tasks:
    flow = make(
        case.dim,
        transforms=case.layers,
        hidden_features=case.hidden,
        activation=torch.nn.SiLU,
        **options,
    )
    return tasks(
        case,
        flow.parameters(),
        lambda x: flow().log_prob(x),
        lambda n: flow().sample((n,)),
    )

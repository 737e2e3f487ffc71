"""Posteriors that nothing was fitted for, complete enough for a page."""

import dataclasses
import functools

import jax
import numpy as np

from thalweg import flows, targets
from thalweg.diagnostics import Diagnostics, Restarts
from thalweg.diagnostics.diagnostics import MixtureEvidence
from thalweg.diagnostics.draws import draw
from thalweg.diagnostics.importance import summarise
from thalweg.inference import Posterior
from thalweg.inference.density_of_run import target_record
from thalweg.training.history import History


@functools.cache
def fit(dim):
    """Once a dimension: each density compiles."""
    target = targets.get("standard_normal", dim=dim)
    flow = flows.build("gaussian", jax.random.key(0), dim)
    return target, flow, draw(flow, target.log_density, jax.random.key(1), 2000)


def make(dim=2, verdict="trust", **changes):
    target, flow, draws = fit(dim)
    numbers = summarise(draws.log_weights)
    values = np.linspace(3, 0.01, 20)[:, None] + np.array([0.0, 0.5])
    posterior = Posterior(
        flow=flow,
        gaussian=flow,
        target=target,
        diagnostics=Diagnostics(
            **numbers,
            kl=0.01,
            draws=2000,
            gaussian=numbers,
            restarts=Restarts(values[-1], np.array([0, 2], np.int32)),
            coverage=MixtureEvidence(0.01, 0.02, 19),
            not_finite={"layer.weight": 3},
        ),
        verdict=verdict,
        reasons=["the reason in words."],
        history=History(
            *(list(range(5, 105, 5)), [0.1] * 20, values.tolist()),
            *(np.full_like(values, np.nan).tolist(), np.ones_like(values).tolist()),
            *(np.zeros(values.shape, int).tolist(), np.ones_like(values).tolist()),
        ),
        draws=draws,
        coordinate_names=target.parameter_names,
        record={
            "request": {
                "flow": "gaussian",
                "flow_options": {"layers": 4},
                "objective": "reverse_kl",
                "gradient": "path",
                "annealing": True,
                "steps": 100,
                "batch_size": 64,
                "learning_rate": 0.01,
                "restarts": 2,
                "seed": 7,
            },
            "target": target_record(target),
            "environment": {
                "versions": {"jax": "1.2.3"},
                "device": "cpu: cpu",
                "machine": "Linux",
                "x64": False,
            },
            "seconds": 75.2,
            "compile_seconds": 4.25,
        },
    )
    return dataclasses.replace(posterior, **changes)

"""Densities of new points under a planar flow, each a scalar root a layer, against drawing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from child import answer, run
from page import Bound, Section, arguments, main

POINTS = 100_000
TOLERANCE = 1e-8  # of the round trip in float64, nats


def child(points: int, steps: int, rounds: int) -> None:
    """Fit, time both directions, and compare their log densities of the same points."""
    from timing import interleaved, one_core

    one_core()
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from cases import LEARNING_RATE, PLANAR, u1

    from thalweg import flows
    from thalweg.objectives import ReverseKL
    from thalweg.training import train
    from thalweg.tree import pick

    # A flow that has learned something: at its start every layer is nearly the identity.
    keys = jax.random.split(jax.random.key(0), 1)
    models = eqx.filter_vmap(lambda k: flows.build("planar", k, 2, layers=PLANAR.layers))(keys)
    objective = ReverseKL(lambda x: u1(x, jnp), 256)
    fitted = train(
        models, objective, jax.random.key(1), steps=steps, learning_rate=10 * LEARNING_RATE
    )
    flow = pick(0, fitted.models)
    x, log_q = flow.sample_and_log_prob(jax.random.key(2), (points,))

    def density(count: int) -> None:
        for _ in range(count):
            flow.log_prob(x).block_until_ready()

    def forward(count: int) -> None:
        for i in range(count):
            draws = flow.sample_and_log_prob(jax.random.key(i), (points,))
            jax.block_until_ready(draws)

    timings = interleaved({"density": density, "forward": forward}, rounds=rounds)
    again = flow.log_prob(x)
    result: dict[str, Any] = {name: timing.cpu for name, timing in timings.items()}
    result["error"] = float(jnp.max(jnp.abs(again - log_q)))
    result["not_finite"] = int(jnp.sum(~jnp.isfinite(again)))
    print(json.dumps(result))


def measure(options: argparse.Namespace) -> list[Section]:
    """One process a precision."""
    points, steps, rounds = (500, 100, 1) if options.quick else (POINTS, 4000, options.rounds)
    rows, bounds = [], []
    for name, x64 in (("float32", "0"), ("float64", "1")):
        words = [str(Path(__file__).resolve()), "--child", f"{points},{steps},{rounds}"]
        got = answer(run(words, JAX_ENABLE_X64=x64))
        ratio = got["density"] / got["forward"]
        rows.append(
            [
                name,
                f"{got['density']:.1f}",
                f"{got['forward']:.2f}",
                f"{ratio:.1f}",
                f"{got['error']:.1e}",
                str(got["not_finite"]),
            ]
        )
        bounds.append(Bound(f"log_prob / forward pass, {name}", ratio, 60))
        if name == "float64":
            bounds.append(Bound("round trip, float64", got["error"], TOLERANCE, "nats"))
    return [
        Section(
            title=f"Density of new points: planar, K = 32, d = 2, {points:,} points",
            text="A flow fitted to U1. `log_prob` of points solves one scalar equation a layer; "
            "`sample_and_log_prob` of as many points is the forward pass. CPU milliseconds on one "
            "core, medians of interleaved rounds. The error is the largest difference between "
            "the two log densities of one point, in nats.",
            columns=["", "log_prob, ms", "forward, ms", "ratio", "max. error", "not finite"],
            rows=rows,
            bounds=bounds,
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    known = parser.parse_known_args()[0]
    if known.child is None:
        main(measure, parser)
    else:
        child(*map(int, known.child.split(",")))

"""Compile time of the gradient of each recipe at its defaults."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

from child import answer, run
from page import Bound, Section, arguments, main

SECONDS = 6.0
ROWS, BATCH = 512, 256
OBJECTIVES = {"likelihood": "maximum likelihood", "reverse_kl": "reverse KL"}


def child(recipe: str, dim: int) -> None:
    """Trace and compile value and gradient for each objective; print the seconds."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from thalweg import flows
    from thalweg.objectives import ForwardKL, ReverseKL
    from thalweg.tree import split_trainable

    jax.random.key(0).block_until_ready()  # the backend starts before the clock does
    flow = flows.build(recipe, jax.random.key(0), dim)
    trainable, fixed = split_trainable(flow)
    objectives = {
        "likelihood": ForwardKL(jnp.full((ROWS, dim), 0.1), BATCH),
        "reverse_kl": ReverseKL(lambda x: -0.5 * jnp.sum(x**2), BATCH),
    }
    taken = {}
    for name, objective in objectives.items():

        def loss(leaves, objective=objective):
            estimate = objective(eqx.combine(leaves, fixed), jax.random.key(1), jnp.asarray(0))
            return estimate.surrogate

        clock = time.perf_counter()
        jax.jit(jax.value_and_grad(loss)).lower(trainable).compile()
        taken[name] = time.perf_counter() - clock
    print(json.dumps(taken))


def measure(options: argparse.Namespace) -> list[Section]:
    """Every recipe in fresh processes."""
    from thalweg import flows

    names = ["planar", "maf"] if options.quick else (options.recipe or flows.names())
    rounds = 1 if options.quick else options.rounds
    taken: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            words = [str(Path(__file__).resolve()), "--child", name, "--dim", str(options.dim)]
            taken[name].append(answer(run(words)))
    seconds = {
        (name, objective): median([each[objective] for each in taken[name]])
        for name in names
        for objective in OBJECTIVES
    }
    rows = [
        [name, *(f"{seconds[name, objective]:.1f}" for objective in OBJECTIVES)] for name in names
    ]
    bounds = []
    for objective, title in OBJECTIVES.items():
        slowest = max(names, key=lambda name: seconds[name, objective])
        what = f"{title}, the slowest ({slowest})"
        bounds.append(Bound(what, seconds[slowest, objective], SECONDS, "s"))
    return [
        Section(
            title=f"Compile time of every recipe, d = {options.dim}",
            text="Wall seconds, on all cores, to trace and compile the value and gradient of a "
            f"recipe at its defaults, batch {BATCH}; medians of {rounds} fresh processes. Reverse "
            "KL takes path gradients; flows that go coordinate by coordinate in one direction do "
            "so in one of the two.",
            columns=["", *(f"{title}, s" for title in OBJECTIVES.values())],
            rows=rows,
            bounds=bounds,
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dim", type=int, default=10)
    parser.add_argument("--recipe", action="append", help="only this one")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    known = parser.parse_known_args()[0]
    if known.child is None:
        main(measure, parser)
    else:
        child(known.child, known.dim)

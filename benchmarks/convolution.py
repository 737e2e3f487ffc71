"""Cost of a convolution of N numbers by transforms, against its dense matrix."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from child import answer, run
from page import Bound, Section, arguments, main

SIZES = (64, 512, 4096)
LIMITS = {"CircularConvolution": 0.05, "SymmetricConvolution": 0.1}
BATCH = 32


def child(size: int, rounds: int) -> None:
    """Time both directions with their log-determinants, and the product with the matrix."""
    from timing import interleaved, one_core

    one_core()
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from thalweg import bijections

    z = jax.random.normal(jax.random.key(0), (BATCH, size))
    raw = jax.random.normal(jax.random.key(1), (size,))
    matrix = jnp.ones((size, size)) / size

    @jax.jit
    def product(z):
        return z @ matrix.T

    @eqx.filter_jit
    def forward(bijection, z):
        return jax.vmap(bijection.forward_and_log_det)(z)

    @eqx.filter_jit
    def inverse(bijection, x):
        return jax.vmap(bijection.inverse_and_log_det)(x)

    def repeated(call, *given):
        def take(count: int) -> None:
            for _ in range(count):
                jax.block_until_ready(call(*given))

        return take

    rows = {"dense": repeated(product, z)}
    for kind in LIMITS:
        bijection = getattr(bijections, kind)((size,))
        bijection = eqx.tree_at(lambda b: b.raw.free, bijection, raw)
        rows[f"{kind} forward"] = repeated(forward, bijection, z)
        rows[f"{kind} inverse"] = repeated(inverse, bijection, z)
    print(json.dumps({name: t.cpu for name, t in interleaved(rows, rounds=rounds).items()}))


def measure(options: argparse.Namespace) -> list[Section]:
    """One process a size."""
    sizes, rounds = (SIZES[:1], 1) if options.quick else (SIZES, options.rounds)
    rows, bounds = [], []
    for size in sizes:
        words = [str(Path(__file__).resolve()), "--child", f"{size},{rounds}"]
        got = answer(run(words))
        for kind in LIMITS:
            forward, inverse = got[f"{kind} forward"], got[f"{kind} inverse"]
            rows.append(
                [
                    str(size),
                    kind,
                    f"{got['dense']:.3f}",
                    f"{forward:.3f}",
                    f"{inverse:.3f}",
                    f"{got['dense'] / forward:.1f}",
                ]
            )
            if size == max(SIZES):  # the cosine transform is made of complex ones
                bounds.append(
                    Bound(
                        f"{kind} / dense product, N = {size}", forward / got["dense"], LIMITS[kind]
                    )
                )
    return [
        Section(
            title="Convolutions by transforms",
            text=f"CPU milliseconds on one core for {BATCH} events of N numbers in float32, "
            f"medians of {rounds} interleaved rounds. Forward and inverse include the "
            "constraint on the filter and the log-determinant; dense is the matrix product alone, "
            "with neither.",
            columns=["N", "", "dense", "forward", "inverse", "dense / forward"],
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

"""Milliseconds a training step: thalweg, JAX by hand, and the libraries that are installed."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

from timing import Run, Timing, interleaved, one_core

one_core()

from cases import PLANAR, REAL_NVP, Case  # noqa: E402
from page import Bound, Section, arguments, main  # noqa: E402

BY_HAND = "JAX by hand"

# name -> (module, function, keywords)
Entry = tuple[str, str, dict[str, Any]]
PLANAR_ENTRIES: dict[str, Entry] = {
    BY_HAND: ("plain_jax", "planar", {}),
    "thalweg, total gradient": ("thalweg_loop", "planar", {"gradient": "total"}),
    "thalweg, path gradient": ("thalweg_loop", "planar", {"gradient": "path"}),
    "FlowJAX, many steps a program": ("flowjax_step", "planar", {}),
    "FlowJAX, its own loop": ("flowjax_step", "planar", {"own_loop": True}),
    "normflows": ("normflows_step", "planar", {}),
    "Pyro": ("pyro_step", "planar", {}),
}
REAL_NVP_ENTRIES: dict[str, Entry] = {
    BY_HAND: ("plain_jax", "real_nvp", {}),
    "thalweg, total gradient": ("thalweg_loop", "real_nvp", {"gradient": "total"}),
    "thalweg, path gradient": ("thalweg_loop", "real_nvp", {"gradient": "path"}),
    "FlowJAX, many steps a program": ("flowjax_step", "real_nvp", {}),
    "FlowJAX, its own loop": ("flowjax_step", "real_nvp", {"own_loop": True}),
    "normflows": ("normflows_step", "real_nvp", {}),
    "Pyro": ("pyro_step", "real_nvp", {}),
    "Zuko": ("zuko_step", "real_nvp", {}),
}


def collect(entries: dict[str, Entry], case: Case) -> tuple[dict[str, Run], list[str]]:
    """The runs that can be made here, and the names of the libraries that are not installed."""
    runs, missing = {}, []
    for name, (module, function, options) in entries.items():
        try:
            library = importlib.import_module(f"libraries.{module}")
        except ModuleNotFoundError:
            missing.append(name)
            continue
        runs[name] = getattr(library, function)(case, **options)
    return runs, missing


def compared(
    title: str, text: str, entries: dict[str, Entry], case: Case, options: argparse.Namespace
) -> Section:
    """One table."""
    runs, missing = collect(entries, case)
    effort = {"rounds": 2, "seconds": 0.02} if options.quick else {"rounds": options.rounds}
    timings = interleaved(runs, **effort)
    bar = timings[BY_HAND].cpu
    return Section(
        title=title,
        text=text,
        columns=["", "ms a step", "range", "ratio", "wall ms", "first call, s"],
        rows=[row(name, timing, bar) for name, timing in timings.items()],
        bounds=[Bound("thalweg / JAX by hand", timings["thalweg, total gradient"].cpu / bar, 1.1)],
        notes=[f"Not installed: {', '.join(missing)}."] if missing else [],
    )


def row(name: str, timing: Timing, bar: float) -> list[str]:
    return [
        name,
        f"{timing.cpu:.3g}",
        f"{timing.fastest:.3g}–{timing.slowest:.3g}",
        f"{timing.cpu / bar:.2f}",
        f"{timing.wall:.3g}",
        f"{timing.first:.2g}",
    ]


def product_rates(quick: bool) -> Section:
    """Rate at which each library multiplies float32 matrices on this core."""
    shapes = [(1024, 64, 64)] if quick else [(1024, 1024, 1024), (1024, 64, 64)]
    columns = [" × ".join(map(str, shape)) for shape in shapes]
    makers = {"JAX": _jax_product, "torch": _torch_product, "NumPy": _numpy_product}
    rows = []
    for name, make in makers.items():
        try:
            rates = [_rate(make, shape, 0.02 if quick else 0.3) for shape in shapes]
        except ModuleNotFoundError:
            continue
        rows.append([name, *(f"{rate:.0f}" for rate in rates)])
    return Section(
        title="Matrix products, GFLOP per CPU second",
        text=(
            "float32, one core. torch's BLAS takes a slow path on some AMD machines. Where its "
            "rate is below JAX's, part of the ratios of RealNVP above is that and not the "
            "library; the planar case has no large products and does not depend on it."
        ),
        columns=["", *columns],
        rows=rows,
    )


def _jax_product(shape: tuple[int, int, int]) -> Callable[[], None]:
    import jax
    import jax.numpy as jnp

    n, k, m = shape
    a, b = jnp.ones((n, k)), jnp.ones((k, m))
    product = jax.jit(jnp.matmul)
    return lambda: product(a, b).block_until_ready()


def _torch_product(shape: tuple[int, int, int]) -> Callable[[], None]:
    import torch

    torch.set_num_threads(1)
    n, k, m = shape
    a, b, out = torch.ones((n, k)), torch.ones((k, m)), torch.empty((n, m))
    return lambda: torch.mm(a, b, out=out)


def _numpy_product(shape: tuple[int, int, int]) -> Callable[[], None]:
    import numpy as np

    n, k, m = shape
    a, b = np.ones((n, k), np.float32), np.ones((k, m), np.float32)
    out = np.empty((n, m), np.float32)
    return lambda: np.matmul(a, b, out=out)


def _rate(
    make: Callable[[tuple[int, int, int]], Callable[[], None]],
    shape: tuple[int, int, int],
    seconds: float,
) -> float:
    product = make(shape)
    product()
    count, begun = 0, time.process_time()
    while (taken := time.process_time() - begun) < seconds:
        product()
        count += 1
    return 2e-9 * shape[0] * shape[1] * shape[2] * count / taken


def measure(options: argparse.Namespace) -> list[Section]:
    """Both cases and the rates of matrix products."""
    planar, couplings = PLANAR, REAL_NVP
    if options.quick:
        planar, couplings = planar._replace(batch=16), couplings._replace(batch=16)
    return [
        compared(
            f"Training step: planar, K = {planar.layers}, d = {planar.dim}, batch {planar.batch}",
            "Reverse KL to U1, total gradient, trainable diagonal base, Adam, float32. CPU "
            "milliseconds on one core: median and range of interleaved rounds, and the ratio of "
            "medians to the steps written by hand.",
            PLANAR_ENTRIES,
            planar,
            options,
        ),
        compared(
            f"Training step: RealNVP, {couplings.layers} couplings, d = {couplings.dim}, "
            f"batch {couplings.batch}",
            "Reverse KL to a correlated Gaussian; networks with two hidden layers of 64 and SiLU; "
            "the rest as above.",
            REAL_NVP_ENTRIES,
            couplings,
            options,
        ),
        product_rates(options.quick),
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds")
    main(measure, parser)

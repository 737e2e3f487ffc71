"""`thalweg infer TARGET`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.display import open_display
from thalweg.cli.paths import PATH
from thalweg.cli.run import default_folder, drop_unset, register_run, run_job, run_options
from thalweg.cli.session import start_jax


@click.command("infer")
@click.argument("target")
@click.option("--dim", type=int, help="Parameters of file.py:function, without names.")
@click.option("--data", type=PATH, help="Data of model.stan, as JSON.")
@click.option("--flow", default="auto", show_default=True, help="A recipe: see `thalweg flows`.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option("--hidden", type=int, help="Width of the two hidden layers of its networks.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--batch", "batch_size", type=int, help="Draws a step.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate.")
@click.option("--restarts", type=int, help="Restarts, all in one program.")
@click.option("--accuracy", type=float, help="Nats of KL at which a fit is good enough.")
@click.option(
    "--refine",
    type=click.Choice(["auto", "independence", "neutra"]),
    help="Chains through the flow; auto: where the verdict is not trust.",
)
@click.option(
    "--init", type=click.Path(path_type=Path), help="A start: JSON, values by name or a list."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "float64"]),
    default="auto",
    show_default=True,
    help="auto: float64 where float32 would round too much.",
)
@run_options
def command(
    target: str,
    dim: int | None,
    data: Path | None,
    flow: str,
    hidden: int | None,
    init: Path | None,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Fit a flow to an unnormalised log density and check the fit.

    TARGET is the name of a built-in density (`thalweg targets`), a Stan program model.stan, which
    is compiled first, with its data in --data, or file.py:NAME. NAME may be a function that takes
    one point of shape (dim,) and returns its log density, written in JAX. Where the file has a
    dictionary `parameters` of names and shapes, and perhaps one of `supports`, the point is a
    dictionary of arrays, and --dim is not needed. Or NAME is a Target, made in the file by
    thalweg.targets (from_numpyro, from_pymc, …).
    """
    open_display()
    start_jax(x64)
    from thalweg.inference import infer
    from thalweg.inference.arguments import as_target
    from thalweg.inference.search.points import read_points

    if out is not None:
        register_run(out)
    problem = as_target(target, dim, data=data)
    folder = out if out is not None else default_folder(f"{problem.name}-{flow}")
    asked = {
        "flow": flow,
        "hidden": None if hidden is None else [hidden] * 2,
        "init": None if init is None else read_points(init),
        "out": folder,
        "notes": {"report": not no_report},
    }
    asked = drop_unset({**asked, **options})
    return run_job("infer", lambda: infer(problem, **asked), folder, as_json, report=not no_report)

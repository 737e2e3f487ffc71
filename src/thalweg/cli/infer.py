"""`thalweg infer TARGET`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.paths import PATH
from thalweg.cli.run import default_folder, finish, interrupted, runs_in
from thalweg.cli.session import json_option, start_jax, x64_option


@click.command("infer")
@click.argument("target")
@click.option("--dim", type=int, help="Parameters of file.py:function, without names.")
@click.option("--data", type=PATH, help="Data of model.stan, as JSON.")
@click.option("--flow", default="auto", show_default=True, help="A recipe: see `thalweg flows`.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option("--hidden", type=int, help="Width of the two hidden layers of its networks.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--batch", type=int, help="Draws a step.")
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--restarts", type=int, help="Restarts, all in one program.")
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
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=PATH, help="Run folder [default: runs/…].")
@click.option("--no-report", is_flag=True, help="Do not write the page of the run.")
@x64_option
@json_option
def command(
    target: str,
    dim: int | None,
    data: Path | None,
    flow: str,
    layers: int | None,
    hidden: int | None,
    steps: int | None,
    batch: int | None,
    lr: float | None,
    restarts: int | None,
    refine: str | None,
    init: Path | None,
    precision: str,
    seed: int,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
) -> int:
    """Fit a flow to an unnormalised log density and judge the fit.

    TARGET is the name of a built-in density (`thalweg targets`), a Stan program model.stan, which
    is compiled first, with its data in --data, or file.py:NAME. NAME may be a function that takes
    one point of shape (dim,) and returns its log density, written in JAX. Where the file has a
    dictionary `parameters` of names and shapes, and perhaps one of `supports`, the point is a
    dictionary of arrays, and --dim is not needed. Or NAME is a Target, made in the file by
    thalweg.targets (from_numpyro, from_pymc, …).
    """
    start_jax(x64)
    from thalweg.inference import infer
    from thalweg.inference.arguments import as_target
    from thalweg.inference.search.points import read_points

    options: dict[str, Any] = {"layers": layers, "hidden": None if hidden is None else [hidden] * 2}
    if out is not None:
        runs_in(out)
    problem = as_target(target, dim, data=data)
    start = None if init is None else read_points(init)
    folder = out if out is not None else default_folder(problem.name, flow)
    runs_in(folder)
    from thalweg.jobs import find_job

    try:
        posterior = infer(
            problem,
            flow=flow,
            steps=steps,
            batch_size=batch,
            learning_rate=lr,
            restarts=restarts,
            refine=refine,
            init=start,
            precision=precision,
            seed=seed,
            out=folder,
            notes={"report": not no_report},
            **{name: value for name, value in options.items() if value is not None},
        )
    except KeyboardInterrupt:
        return interrupted(folder)
    return finish(find_job("infer"), posterior, folder, as_json, report=not no_report)

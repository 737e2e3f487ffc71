"""`thalweg encode DATASET`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.paths import PATH
from thalweg.cli.run import default_folder, finish, interrupted, runs_in
from thalweg.cli.session import json_option, start_jax, x64_option


def _widths(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[int] | None:
    """ "20,10" is [20, 10]."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number or a list like 20,10") from None


def _sizes(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """ "40" is 40, "20,10" is two stochastic layers."""
    sizes = _widths(context, parameter, value)
    return sizes[0] if sizes is not None and len(sizes) == 1 else sizes


@click.command("encode")
@click.argument("dataset")
@click.option("--binarisation", help="dynamic, threshold or none, for grey images.")
@click.option("--likelihood", help="bernoulli, gaussian, logit_normal or discretised_logistic.")
@click.option("--flow", default="planar", show_default=True, help="A recipe, or none.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option("--latent", callback=_sizes, help="Latent variables; 20,10 for two layers of them.")
@click.option("--prior", help="normal, or a recipe.")
@click.option("--network", help="dense or convolutional.")
@click.option("--hidden", callback=_widths, help="Widths of its layers: 300,300.")
@click.option("--nonlinearity", help="gated, maxout or an activation, for dense networks.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--batch", type=int, help="Images a step.")
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--drop", type=float, help="Part of an image that the encoder misses at first.")
@click.option("--augment", type=float, help="Part of the images that are slanted at first.")
@click.option("--draws", type=int, default=5000, show_default=True, help="Draws behind ln p(x).")
@click.option("--rows", type=int, help="Test images that are judged [default: all].")
@click.option("--few", type=int, help="Draws of all test images, beside those of --rows.")
@click.option("--gaps", type=int, help="Test images of which is said what the encoder loses.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=PATH, help="Run folder [default: runs/…].")
@click.option("--no-report", is_flag=True, help="Do not write the page of the run.")
@x64_option
@json_option
def command(
    dataset: str,
    binarisation: str | None,
    likelihood: str | None,
    flow: str,
    layers: int | None,
    latent: Any,
    prior: str | None,
    network: str | None,
    hidden: list[int] | None,
    nonlinearity: str | None,
    steps: int | None,
    batch: int | None,
    lr: float | None,
    drop: float | None,
    augment: float | None,
    draws: int,
    rows: int | None,
    few: int | None,
    gaps: int | None,
    seed: int,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
) -> int:
    """Fit a deep latent Gaussian model, with a flow for its posterior, to images.

    DATASET is a name (`thalweg datasets`) or a file of images, .npy or .npz with an array
    (rows, …). The model is judged on test images by its bound and by importance sampling.
    """
    start_jax(x64)
    from thalweg.latent.job import encode

    options = {
        "likelihood": likelihood,
        "flow": flow,
        "layers": layers,
        "latent": latent,
        "prior": prior,
        "drop": drop,
        "augment": augment,
        "network": network,
        "hidden": hidden,
        "nonlinearity": nonlinearity,
        "steps": steps,
        "batch_size": batch,
        "learning_rate": lr,
    }
    folder = out if out is not None else default_folder(Path(dataset).stem, flow)
    runs_in(folder)
    from thalweg.jobs import find_job

    try:
        encoded = encode(
            dataset,
            binarisation=binarisation,
            draws=draws,
            rows=rows,
            few=few,
            gaps=gaps,
            seed=seed,
            out=folder,
            notes={"report": not no_report},
            **{name: value for name, value in options.items() if value is not None},
        )
    except KeyboardInterrupt:
        return interrupted(folder)
    return finish(find_job("encode"), encoded, folder, as_json, report=not no_report)

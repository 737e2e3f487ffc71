"""`thalweg fit-vae DATASET`; `thalweg encode` is its old name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.display import open_display
from thalweg.cli.run import default_folder, drop_unset, run_job, run_options
from thalweg.cli.session import start_jax


def _split_widths(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[int] | None:
    """Split "20,10" into [20, 10]."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number or a list like 20,10") from None


def _split_sizes(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Return 40 for "40", and for "20,10" the sizes of two stochastic layers."""
    sizes = _split_widths(context, parameter, value)
    return sizes[0] if sizes is not None and len(sizes) == 1 else sizes


@click.command("fit-vae")
@click.argument("dataset")
@click.option("--binarisation", help="dynamic, threshold or none, for grey images.")
@click.option("--likelihood", help="A name; a wrong one lists all [default: bernoulli].")
@click.option("--flow", default="planar", show_default=True, help="A recipe, or none.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option(
    "--latent", callback=_split_sizes, help="Latent variables; 20,10 for two layers of them."
)
@click.option("--prior", help="normal, or a recipe.")
@click.option("--network", help="dense or convolutional.")
@click.option("--hidden", callback=_split_widths, help="Widths of its layers: 300,300.")
@click.option("--nonlinearity", help="gated, maxout or an activation, for dense networks.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--batch", "batch_size", type=int, help="Images a step.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate.")
@click.option("--drop", type=float, help="Share of an image hidden from the encoder at first.")
@click.option("--augment", type=float, help="Share of the images that are slanted at first.")
@click.option("--draws", type=int, default=5000, show_default=True, help="Draws behind ln p(x).")
@click.option("--test-images", "rows", type=int, help="Test images to evaluate [default: all].")
@click.option(
    "--draws-all", "few", type=int, help="Draws for all images, --draws being for --test-images."
)
@click.option("--inference-gap", "gaps", type=int, help="Images whose inference gap is split.")
@run_options
def command(
    dataset: str,
    flow: str,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Fit a deep latent Gaussian model, whose posterior is a flow, to images.

    DATASET is a name (`thalweg datasets`) or a file of images, .npy or .npz with an array
    (rows, …). The model is evaluated on test images by its bound and by importance sampling.
    """
    open_display()
    start_jax(x64)
    from thalweg.latent import job

    folder = out if out is not None else default_folder(f"{Path(dataset).stem}-{flow}")
    asked = {"flow": flow, "out": folder, "notes": {"report": not no_report}, **drop_unset(options)}
    return run_job(
        "encode", lambda: job.encode(dataset, **asked), folder, as_json, report=not no_report
    )

"""`thalweg encode DATASET`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.paths import PATH, shown
from thalweg.cli.run import default_folder, default_layers, interrupted, runs_in, say
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
    return finish(encoded, folder, as_json, report=not no_report)


def finish(encoded: Any, folder: Path, as_json: bool, *, report: bool) -> int:
    """Say what came out, as JSON or as a table, and where it is."""
    if encoded.interrupted:
        return interrupted(folder)
    page = None
    if report:
        from thalweg.report import write_encoding

        page = write_encoding(encoded, folder / "report.html")
    found = results(encoded, folder)
    return say(found, table(found), folder, page, as_json=as_json)


def results(encoded: Any, folder: Path) -> dict[str, Any]:
    """The keys of the contract."""
    from thalweg.latent.options import NO_FLOW
    from thalweg.latent.summary import draws_per_second

    record, options = encoded.record, encoded.model.options
    numbers = record["results"]
    keys = (
        *("elbo", "elbo_se", "nll", "nll_se", "kl", "draws", "terms", "active_units", "rows"),
        *("effective_draws", "rows_of_few", "parameters"),
    )
    layers = 0 if options.flow == NO_FLOW else default_layers(options.flow)
    return {
        "job": "encode",
        "dataset": record["request"]["dataset"],
        "binarisation": record["binarisation"],
        "flow": options.flow,
        "layers": options.flow_options.get("layers", layers),
        "latent": options.latent,
        "steps": options.steps,
        **{key: numbers[key] for key in keys},
        **{key: numbers.get(key) for key in ("all_rows", "gain", "gain_se", "gaps")},
        "few": record["request"]["few"],
        "seconds": record["seconds"],
        "draws_per_second": draws_per_second(record),
        "seed": options.seed,
        "out": shown(folder),
    }


def table(found: dict[str, Any]) -> list[str]:
    """What a person wants to know."""
    from thalweg.latent.evaluation import FEW

    terms = found["terms"]
    judged = f"{found['rows']} test images, {found['draws']} draws each"
    if found["all_rows"] is not None:
        judged = (
            f"{found['all_rows']} test images, {found['few']} draws each, ln p(x) corrected by "
            f"{found['draws']} of {found['rows']}"
        )
    lost = found["gaps"]
    parted = []
    if lost is not None:
        family, beyond = lost["full"] - lost["diagonal"], lost["log_likelihood"] - lost["full"]
        parted = [
            f"             of {lost['rows']} images: the encoder loses {lost['encoder']:.3f}, "
            f"diagonal normals {family:.3f}, normals {beyond:.3f}"
        ]
    return [
        f"{found['dataset']}, binarisation {found['binarisation']}, {judged}",
        f"  −ln p(x)   {found['nll']:9.3f} ± {found['nll_se']:.3f} nats",
        f"             {found['effective_draws']:.0f} effective draws in the median; "
        f"{found['rows_of_few']} images have fewer than {FEW}",
        f"  −bound     {-found['elbo']:9.3f} ± {found['elbo_se']:.3f}",
        f"  gap        {-found['elbo'] - found['nll']:9.3f}   KL(q ‖ posterior)",
        *parted,
        f"  KL         {found['kl']:9.3f}   KL(q ‖ prior), {found['active_units']} active units",
        f"  terms      ln p(x|z) {terms['reconstruction']:.3f}, ln p(z) {terms['log_prior']:.3f}, "
        f"ln q₀ {terms['log_base']:.3f}, Σ ln|det| {terms['log_det']:.3f}",
    ]

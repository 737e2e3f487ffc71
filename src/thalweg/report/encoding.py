"""The page of a latent model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.files import ENDINGS
from thalweg.latent.evaluation import FEW
from thalweg.latent.options import NO_FLOW
from thalweg.latent.summary import draws_per_second
from thalweg.plots.images import draw_images
from thalweg.plots.latents import draw_posterior, most_changed_pair
from thalweg.plots.style import new_figure
from thalweg.report.numbers import count, duration, fixed, with_error
from thalweg.report.pictures import PANEL, Picture, learning_curve
from thalweg.report.render import render_page, write_page
from thalweg.report.repeat import as_flags, facts
from thalweg.report.svg import PAGE, page_settings, to_svg
from thalweg.report.tables import Table, Tile

if TYPE_CHECKING:
    from thalweg.latent.job import Encoded

TEMPLATE = "fitted.html.j2"
SAMPLES, ROW = 60, 20  # images from the prior, and images in a row
STEPS = 10  # of an interpolation
DRAWS = 1500  # of one image's posterior


def write_encoding(encoded: Encoded, path: str | Path) -> Path:
    """Write a page about a latent model: its numbers, draws and reconstructions.

    Args:
        encoded: a finished run, `thalweg.latent.job.Encoded`.
        path: the file, which needs no network.

    Returns:
        The path of the file.

    Raises:
        ValueError: where the file cannot be written.
    """
    return write_page(Path(path), render_page(TEMPLATE, _context(encoded)))


def _context(encoded: Encoded) -> dict[str, Any]:
    record = encoded.record
    request = record.get("request", {})
    return {
        "eyebrow": "Deep latent Gaussian model with a flow posterior",
        "title": Path(str(request.get("dataset", "latent model"))).stem,
        "subtitle": _subtitle(encoded),
        "tiles": _tiles(record.get("results", {})),
        "tables": _terms(record.get("results", {})) + _gaps(record.get("results", {})),
        "noticed": [],
        "pictures": pictures(encoded),
        "command": command_line(record),
        "call": _call(encoded),
        "facts": _facts(encoded),
    }


def _subtitle(encoded: Encoded) -> str:
    options, record = encoded.model.options, encoded.record
    shape = " × ".join(map(str, encoded.model.shape))
    sizes = " + ".join(map(str, options.layer_sizes))
    parts = [f"images {shape}", f"{sizes} latent variables"]
    layers = options.flow_options.get("layers")
    flow = "no flow" if options.flow == NO_FLOW else options.flow
    parts.append(f"{flow}, {layers} layers" if layers is not None else flow)
    if "binarisation" in record:
        parts.append(f"binarisation: {record['binarisation']}")
    if encoded.model.out_of_time:
        parts.append("ended by its time limit")
    return " · ".join(parts)


def _tiles(results: dict[str, Any]) -> list[Tile]:
    if not results:
        return []
    draws = f"{count(results['draws'])} draws an image"
    rows = f"mean over {count(results['rows'])} test images"
    if "all_rows" in results:
        draws = f"few draws an image, corrected by {count(results['draws'])}"
        draws += f" of {count(results['rows'])} images"
        rows = f"mean over {count(results['all_rows'])} test images"
    nll, nll_se = with_error(results["nll"], results["nll_se"])
    bound, bound_se = with_error(-results["elbo"], results["elbo_se"])
    return [
        Tile("−ln p(x)", nll, nll_se, f"nats; {draws}; {rows}"),
        Tile("−bound", bound, bound_se, "nats; at least −ln p(x)"),
        Tile(
            "KL(q ‖ posterior)",
            fixed(-results["elbo"] - results["nll"], 2),
            "",
            "nats; the loss of the bound",
        ),
        Tile("KL(q ‖ prior)", fixed(results["kl"], 2), "", "nats; information on z in an image"),
        Tile("Active units", str(results["active_units"]), "", "latent variables in use"),
        Tile("Parameters", count(results["parameters"]), "", "trained numbers"),
    ]


def _terms(results: dict[str, Any]) -> list[Table]:
    if not results:
        return []
    terms = results["terms"]
    rows = [
        ["E ln p(x | z)", fixed(terms["reconstruction"], 2)],
        ["E ln p(z)", fixed(terms["log_prior"], 2)],
        ["−E ln q₀(z₀ | x)", fixed(-terms["log_base"], 2)],
        ["E Σ ln|det|", fixed(terms["log_det"], 2)],
        ["their sum, the bound", fixed(results["elbo"], 2)],
    ]
    note = (
        f"The draws behind ln p(x) leave a standard error of {fixed(results['draws_se'], 3)} nats "
        f"in that of one image; in the median {fixed(results['effective_draws'], 0)} of "
        f"{count(results['draws'])} count. Images with fewer than {FEW}: "
        f"{count(results['rows_of_few'])} of {count(results['rows'])}; their value may be too low."
    )
    return [Table(["term", "nats an image"], rows, note, title="The bound, term by term")]


def _gaps(results: dict[str, Any]) -> list[Table]:
    if "gaps" not in results:
        return []
    gaps = results["gaps"]
    rows = [
        ["bound", fixed(gaps["bound"], 2)],
        ["bound by the best diagonal normal of each image", fixed(gaps["diagonal"], 2)],
        ["bound by its best normal", fixed(gaps["full"], 2)],
        ["ln p(x) by draws from the latter", fixed(gaps["log_likelihood"], 2)],
    ]
    note = (
        f"Means over {count(gaps['rows'])} test images. The gain of a diagonal normal fitted to "
        "each image over q is the loss of the encoder, less the gain of a flow; the rest is the "
        "loss of the family (Cremer et al. 2018)."
    )
    return [Table(["by", "nats an image"], rows, note, title="Where the bound is lost")]


# --- pictures ------------------------------------------------------------------------------------


def pictures(encoded: Encoded) -> list[Picture]:
    """Return draws, reconstructions, interpolations, one posterior and the learning curve."""
    model = encoded.model
    with page_settings():
        found = [
            _images(
                "Draws from the model",
                model.sample(SAMPLES, mean=True),
                "Each is the mean image at a draw of z from the prior. The flow has no part in "
                "them: it belongs to the posterior.",
            )
        ]
        if len(encoded.shown):
            images = encoded.shown[:ROW]
            again = model.reconstruct(images)
            found.append(
                _images(
                    "Reconstructions",
                    np.concatenate([images, again]),
                    "Above, images of the test set; below, the mean image at a draw of z from the "
                    "posterior of each.",
                    columns=len(images),
                )
            )
        if len(encoded.shown) > 1:
            found.append(_interpolations(encoded))
        if len(encoded.shown):
            found += _posterior(encoded)
        caption = (
            "Where the lines separate, the model memorises single images. The parameters that are "
            "kept are the best on validation images."
        )
        description = "Minus the bound against the training step"
        found.append(learning_curve(model.history, description, caption))
    return found


def _images(title: str, images: np.ndarray, caption: str, columns: int = ROW) -> Picture:
    rows = -(-len(images) // columns)
    high = images.shape[1] / images.shape[2] if images.ndim > 2 else 1 / images.shape[1]
    figure = new_figure(10.4, max(0.4, 10.4 * rows * high / columns))
    draw_images(figure.subplots(), images, columns, palette=PAGE)
    name = title.split()[0].lower()
    svg = to_svg(figure, name, f"{title}: {len(images)} images")
    return Picture("density", title, svg, caption, wide=True)


def _interpolations(encoded: Encoded) -> Picture:
    model, shown = encoded.model, encoded.shown
    ends = model.encode(shown[: 2 * (min(len(shown), 8) // 2)])
    share = np.linspace(0, 1, STEPS)[None, :, None]
    paths = ends[0::2][:, None] * (1 - share) + ends[1::2][:, None] * share
    paths = paths[: max(1, len(paths) // 2 * 2)]
    images = model.decode(paths.reshape(-1, paths.shape[-1]))
    return _images(
        "Interpolations",
        images,
        "Straight lines between draws from the posteriors of two images each, decoded.",
        columns=STEPS * (2 if len(paths) > 1 else 1),
    )


def _posterior(encoded: Encoded) -> list[Picture]:
    model, image = encoded.model, encoded.shown[:1]
    before, after = model.posterior_draws(image, DRAWS)
    pair = most_changed_pair(before, after)
    figure = new_figure(2 * PANEL[0], PANEL[1])
    left, right = figure.subplots(1, 2)
    draw_posterior(left, before, pair, palette=PAGE)
    left.set_title("before the flow: q₀(z₀ | x)", color=PAGE.ink, loc="left", fontsize="medium")
    draw_posterior(right, after, pair, palette=PAGE)
    right.set_title("after it: q(z | x)", color=PAGE.ink, loc="left", fontsize="medium")
    svg = to_svg(figure, "posterior", "Draws of two latent variables given one image")
    caption = (
        "Draws given the first image above. The encoder gives a diagonal normal; the flow bends it "
        "towards the posterior. Shown are the two latent variables that it changes most."
    )
    if model.options.flow == NO_FLOW:
        caption = "Draws given the first image above. Without a flow q is a diagonal normal."
    return [Picture("density", "One posterior", svg, caption, wide=True)]


# --- repeating -----------------------------------------------------------------------------------

# Keywords of a latent model that the command line has.
KEYWORDS = (
    *("likelihood", "flow", "layers", "latent", "prior", "network", "hidden", "nonlinearity"),
    *("drop", "augment", "steps", "batch_size", "learning_rate", "time_limit", "effort"),
)


def command_line(record: dict[str, Any]) -> str | None:
    """Return `thalweg fit-vae …`; None where the command line lacks an option."""
    request = record.get("request")
    if request is None or set(request["options"]) - set(KEYWORDS):
        return None
    parts = ["thalweg", "fit-vae", request["dataset"], *as_flags(request, ["binarisation"])]
    parts += as_flags(request["options"], KEYWORDS)
    return shlex.join([*parts, *as_flags(request, ["draws", "rows", "few", "gaps", "seed"])])


def _call(encoded: Encoded) -> str | None:
    request = encoded.record.get("request")
    if request is None:
        return None
    keywords = encoded.model.options.to_keywords()
    options = "".join(f",\n    {key}={value!r}" for key, value in keywords.items())
    return (
        "import thalweg as tw\n\n"
        f"data = {_data(request, encoded.model.options.binarisation)}\n"
        f"model = tw.LatentGaussianModel({options.lstrip(',')},\n)\n"
        "model.fit(data.train, data.valid)\n"
        f"values, errors = model.log_likelihood(data.test, draws={request['draws']})"
    )


def _data(request: dict[str, Any], binarisation: str | None) -> str:
    if request["dataset"].endswith(ENDINGS):
        return f"tw.latent.job.load({request!r})"
    return f"tw.data.load({request['dataset']!r}, {binarisation!r})"


def _facts(encoded: Encoded) -> list[tuple[str, str]]:
    record = encoded.record
    if "seconds" not in record:
        return facts(record)
    rate = count(round(draws_per_second(record)))
    evaluation = f"{duration(record['evaluation_seconds'])}, {rate} draws a second"
    return [("Time", duration(record["seconds"])), ("Evaluation", evaluation), *facts(record)]

"""A latent model as a page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from thalweg.data.files import ENDINGS
from thalweg.latent.evaluation import FEW
from thalweg.latent.options import NO_FLOW
from thalweg.latent.summary import draws_per_second
from thalweg.plots.images import draw_images
from thalweg.plots.latents import draw_bounds, draw_posterior, pair_that_bends
from thalweg.plots.style import figure_of, new_figure
from thalweg.report.numbers import count, duration, fixed, with_error
from thalweg.report.pictures import PANEL, Picture
from thalweg.report.render import render_page, write_page
from thalweg.report.svg import PAGE, page_settings, to_svg
from thalweg.report.tables import Table, Tile

if TYPE_CHECKING:
    from thalweg.latent.job import Encoded

TEMPLATE = "fitted.html.j2"
SAMPLES, ROW = 60, 20  # images from the prior, and images in a row
STEPS = 10  # of a way between two images
DRAWS = 1500  # of one image's posterior


def write_encoding(encoded: Encoded, path: str | Path) -> Path:
    """Write a page about a latent model: its numbers, what it draws, what it makes of images.

    One file that needs no network. Raises `ValueError` where the file cannot be written.
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
            "nats; what q misses",
        ),
        Tile("KL(q ‖ prior)", fixed(results["kl"], 2), "", "nats; what an image tells"),
        Tile("Active units", str(results["active_units"]), "", "latent variables that vary"),
        Tile("Parameters", count(results["parameters"]), "", "numbers that were learned"),
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
        f"{count(results['draws'])} weigh. Images with fewer than {FEW}: "
        f"{count(results['rows_of_few'])} of {count(results['rows'])}; theirs is rather too low."
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
        ["ln p(x) by draws from that", fixed(gaps["log_likelihood"], 2)],
    ]
    note = (
        f"Of {count(gaps['rows'])} test images. What diagonal normals of one image each gain over "
        "q is lost by the encoder, less what a flow wins back; the rest is what their family loses "
        "(Cremer et al. 2018)."
    )
    return [Table(["by", "nats an image"], rows, note, title="Where the bound is lost")]


# --- pictures ------------------------------------------------------------------------------------


def pictures(encoded: Encoded) -> list[Picture]:
    """Draws, reconstructions, a way between two images, one posterior, the way of learning."""
    model = encoded.model
    with page_settings():
        found = [
            _images(
                "Draws from the model",
                model.sample(SAMPLES, mean=True),
                "Each is the mean image at a draw of z from the prior. The flow plays no part: it "
                "belongs to the posterior.",
            )
        ]
        if len(encoded.shown):
            some = encoded.shown[:ROW]
            again = model.reconstruct(some)
            found.append(
                _images(
                    "Reconstructions",
                    np.concatenate([some, again]),
                    "Above, images of the test set; below, the mean image at a draw of z from the "
                    "posterior of each.",
                    columns=len(some),
                )
            )
        if len(encoded.shown) > 1:
            found.append(_between(encoded))
        if len(encoded.shown):
            found += _posterior(encoded)
        found.append(_learning(encoded))
    return found


def _images(title: str, images: np.ndarray, caption: str, columns: int = ROW) -> Picture:
    rows = -(-len(images) // columns)
    high = images.shape[1] / images.shape[2] if images.ndim > 2 else 1 / images.shape[1]
    figure = new_figure(10.4, max(0.4, 10.4 * rows * high / columns))
    draw_images(figure.subplots(), images, columns, palette=PAGE)
    name = title.split()[0].lower()
    svg = Markup(to_svg(figure, name, f"{title}: {len(images)} images"))
    return Picture("density", title, svg, caption, wide=True)


def _between(encoded: Encoded) -> Picture:
    model, shown = encoded.model, encoded.shown
    ends = model.encode(shown[: 2 * (min(len(shown), 8) // 2)])
    part = np.linspace(0, 1, STEPS)[None, :, None]
    ways = ends[0::2][:, None] * (1 - part) + ends[1::2][:, None] * part
    ways = ways[: max(1, len(ways) // 2 * 2)]
    images = model.decode(ways.reshape(-1, ways.shape[-1]))
    return _images(
        "From one image to another",
        images,
        "Straight ways between draws from the posteriors of two images each, decoded.",
        columns=STEPS * (2 if len(ways) > 1 else 1),
    )


def _posterior(encoded: Encoded) -> list[Picture]:
    model, image = encoded.model, encoded.shown[:1]
    before, after = model.posterior_draws(image, DRAWS)
    pair = pair_that_bends(before, after)
    figure = new_figure(2 * PANEL[0], PANEL[1])
    left, right = figure.subplots(1, 2)
    draw_posterior(left, before, pair, palette=PAGE)
    left.set_title("before the flow: q₀(z₀ | x)", color=PAGE.ink, loc="left", fontsize="medium")
    draw_posterior(right, after, pair, palette=PAGE)
    right.set_title("after it: q(z | x)", color=PAGE.ink, loc="left", fontsize="medium")
    svg = Markup(to_svg(figure, "posterior", "Draws of two latent variables given one image"))
    caption = (
        "Draws given the first image above. The encoder gives a diagonal normal; the flow bends it "
        "towards the posterior. Shown are the two latent variables that it changes most."
    )
    if model.options.flow == NO_FLOW:
        caption = "Draws given the first image above. Without a flow q is a diagonal normal."
    return [Picture("density", "One posterior", svg, caption, wide=True)]


def _learning(encoded: Encoded) -> Picture:
    axes = new_figure(*PANEL).subplots()
    draw_bounds(axes, encoded.model.history, palette=PAGE)
    svg = Markup(to_svg(figure_of(axes), "learning", "Minus the bound against the training step"))
    caption = (
        "Where the lines part, the model learns single images. What is kept are the parameters "
        "that do best on the images that are held out."
    )
    return Picture("curve", "Learning", svg, caption)


# --- repeating -----------------------------------------------------------------------------------

FLAGS = {
    "likelihood": "--likelihood",
    "flow": "--flow",
    "layers": "--layers",
    "latent": "--latent",
    "prior": "--prior",
    "network": "--network",
    "hidden": "--hidden",
    "nonlinearity": "--nonlinearity",
    "drop": "--drop",
    "augment": "--augment",
    "steps": "--steps",
    "batch_size": "--batch",
    "learning_rate": "--lr",
}


def command_line(record: dict[str, Any]) -> str | None:
    """`thalweg encode …`; None where the command line has no flag for an option."""
    request = record.get("request")
    if request is None or set(request["options"]) - set(FLAGS):
        return None
    parts = ["thalweg", "encode", request["dataset"]]
    if request["binarisation"] is not None:
        parts += ["--binarisation", request["binarisation"]]
    for name, flag in FLAGS.items():
        if name in request["options"]:
            value = request["options"][name]
            shown = value if not isinstance(value, (list, tuple)) else ",".join(map(str, value))
            parts += [flag, str(shown)]
    parts += ["--draws", str(request["draws"])]
    for name in ("rows", "few", "gaps"):
        parts += [] if request.get(name) is None else [f"--{name}", str(request[name])]
    return shlex.join([*parts, "--seed", str(request["seed"])])


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
    facts = []
    if "seconds" in record:
        facts.append(("time", duration(record["seconds"])))
        rate = count(round(draws_per_second(record)))
        evaluation = duration(record["evaluation_seconds"])
        facts.append(("evaluation", f"{evaluation}, {rate} draws a second"))
    environment = record.get("environment", {})
    facts += [(name, str(version)) for name, version in environment.get("versions", {}).items()]
    if "device" in environment:
        facts.append(("device", environment["device"]))
    return facts

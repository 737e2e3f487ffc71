"""Job 3 from a data set to a run folder: fit, evaluate on test images, record."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.argument_checks import check_seed, check_whole_number
from thalweg.data import catalogue
from thalweg.data.coerce_images import as_observations
from thalweg.data.files import ENDINGS, read_images
from thalweg.data.observations import BINARISATIONS, Grey, Observations, Patches
from thalweg.files.digests import digests
from thalweg.files.reading import as_path
from thalweg.files.regular import check_regular
from thalweg.latent.evaluation import Evaluation, active_units, evaluate
from thalweg.latent.gaps import NUMBERS
from thalweg.latent.gaps import gaps as find_gaps
from thalweg.latent.latent_gaussian_model import LatentGaussianModel
from thalweg.latent.options import DRAWS, default_options
from thalweg.latent.run_folder import JOB, read_model, read_rows, write_model, write_rows
from thalweg.latent.summary import corrected, summary
from thalweg.progress import Progress, begin_stage, showing
from thalweg.runs import (
    Run,
    read_record,
    read_unfinished,
    reading,
    request_to_resume,
)

STAGES = 3
SHOWN = 40  # images of the test set that a run folder keeps
RESULTS = {
    *("elbo", "elbo_se", "nll", "nll_se", "kl", "draws", "rows", "terms", "draws_se"),
    *("effective_draws", "rows_of_few", "active_units", "parameters"),
}
# Further entries of a complete record.
FINISHED = {"binarisation", "seconds", "evaluation_seconds"}
# Entries of a request.
REQUEST = ("dataset", "binarisation", "draws", "rows", "few", "gaps", "seed", "options")


@dataclass
class Encoded:
    """A fitted model, its evaluation on test images, images to show, and the record of the run."""

    model: LatentGaussianModel
    found: Evaluation | None
    shown: np.ndarray
    record: dict[str, Any]
    interrupted: bool = False


def encode(
    dataset: str,
    *,
    binarisation: str | None = None,
    draws: int = DRAWS,
    rows: int | None = None,
    few: int | None = None,
    gaps: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress | None = True,
    notes: Mapping[str, Any] | None = None,
    **options: Any,
) -> Encoded:
    """Fit a latent Gaussian model to images, and evaluate it on test images.

    `dataset` is a name of `thalweg.data`, or a file of images (.npy, .npz), of which a tenth is
    held out while learning and a tenth are test images. `draws` are those behind ln p(x) of each of
    the `rows` test images that are picked at random (None: all). With `few`, less than `draws`, all
    of them are evaluated by so many draws, corrected by what `draws` add on the `rows`: see
    `thalweg.latent.summary.corrected`. For `gaps` of the `rows` it is found out where the bound is
    lost: see `thalweg.latent.gaps`. Further keywords are those of `LatentGaussianModel`. With `out`
    the run goes to a folder, with checkpoints while it lasts; Ctrl-C stops it so that it can be
    resumed. `notes` are kept in its record for whoever resumes it.
    Raises `ValueError` in one sentence for whatever cannot be done.
    """
    if dataset.endswith(ENDINGS):
        check_regular(dataset, f"a file that ends in {' or '.join(ENDINGS)}")
        dataset = os.path.abspath(dataset)  # a run that is resumed finds it again
    else:
        catalogue.find(dataset)
    seed = check_seed(seed)
    if draws < 2:
        raise ValueError(f"a standard error needs at least 2 draws, got {draws}")
    if rows is not None:
        rows = check_whole_number("rows", rows)
    if few is not None and not 2 <= few < draws:
        raise ValueError(f"few must be at least 2 and less than the {draws} draws, got {few}")
    if few is not None and rows is None:
        raise ValueError("few draws of all test images go with rows, which get the others")
    if gaps is not None:
        gaps = check_whole_number("gaps", gaps)
    request = {
        "dataset": dataset,
        "binarisation": binarisation,
        "draws": draws,
        "rows": rows,
        "few": few,
        "gaps": gaps,
        "seed": seed,
        "options": options,
    }
    run = Run(JOB, request, None if out is None else as_path(out), notes)
    with showing(progress) as shown:
        return _carry_out(run, shown)


def resume(folder: str | Path, progress: bool | Progress | None = True) -> Encoded:
    """Go on with the run of a folder; a complete run is loaded as it is."""
    folder = Path(folder)
    record = read_unfinished(folder, JOB)
    if record is None:
        fit = read_run(folder)
        if "request" not in fit.record:
            raise ValueError(f"{folder} is damaged: its record lacks 'request'")
        return fit
    request = request_to_resume(folder, record, REQUEST)
    run = Run(JOB, request, folder, record.get("notes"), fresh=False)
    with showing(progress) as shown:
        return _carry_out(run, shown)


def read_run(folder: str | Path) -> Encoded:
    """A complete run."""
    folder = Path(folder)
    model = read_model(folder)
    if "request" not in (record := read_record(folder)):
        return Encoded(model, None, np.zeros((0, *model.shape)), record)
    with reading(folder):
        lost = RESULTS - set(record["results"])
        lost |= {*REQUEST} - set(record["request"]) | FINISHED - set(record)
        if record["request"].get("gaps") is not None:
            lost |= NUMBERS - set(record["results"].get("gaps", ()))
        if lost:
            raise ValueError(f"{folder} is damaged: its record lacks {min(lost)!r}")
        if not record["evaluation_seconds"] > 0:
            raise ValueError(
                f"{folder} is damaged: evaluation_seconds must be positive in run.json"
            )
    return Encoded(model, *read_rows(folder), record)


def _carry_out(run: Run, progress: Progress) -> Encoded:
    record, request = run.record, run.record["request"]
    # Sets by name are verified where they are read; of a file the digest is kept.
    own = request["dataset"].endswith(ENDINGS)
    record["files"] = digests([request["dataset"]]) if own else {}
    begin_stage(progress, "reading the images", 1, STAGES)
    splits = load(request)
    record["binarisation"] = splits.binarisation
    options = {**default_options(splits.train, **request["options"]), **request["options"]}
    kind = splits.binarisation if splits.binarisation in BINARISATIONS else None
    model = LatentGaussianModel(
        binarisation=kind, seed=request["seed"], progress=progress, **options
    )
    model.check(splits.train)
    with run.going():
        begin_stage(progress, "fitting the model", 2, STAGES)
        model.fit(splits.train, splits.valid, checkpoint=run.checkpoint)
        # In no order: some data sets have theirs sorted by what they show.
        test = splits.test
        test = test.take(np.random.default_rng(request["seed"]).permutation(len(test)))
        shown = _first(test, SHOWN, request["seed"])
        if model.interrupted:
            run.write("interrupted")
            return Encoded(model, None, shown, record, interrupted=True)
        learned = time.monotonic()
        found, record["results"] = _evaluate(model, test, request, progress)
        record["seconds"] = model.history.earlier + run.seconds
        record["evaluation_seconds"] = time.monotonic() - learned
        if run.folder is not None:
            write_rows(run.folder, found, shown)
            write_model(run.folder, model, record)
    return Encoded(model, found, shown, record)


def _evaluate(
    model: LatentGaussianModel, every: Observations, request: dict[str, Any], progress: Progress
) -> tuple[Evaluation, dict[str, Any]]:
    """Evaluate test images: numbers of each image, and the results."""
    key = jax.random.key(request["seed"])
    test = every
    if request["rows"] is not None:
        test = every.take(np.arange(min(request["rows"], len(every))))
    name = f"evaluating {len(test)} images by {request['draws']} draws each"
    begin_stage(progress, name, 3, STAGES)
    found = evaluate(model.model, test, key, request["draws"])
    results = {
        **summary(found, request["draws"]),
        "active_units": active_units(model.model, test, key),
        "parameters": model.parameters,
        "rows": len(test),
        "draws": request["draws"],
    }
    if request["few"] is not None and len(every) > len(test):
        progress.message(f"evaluating all {len(every)} by {request['few']} draws each")
        # By the same key: images that are drawn afresh are the same in both.
        rest = evaluate(model.model, every, key, request["few"])
        results |= corrected(rest, found)
    if request["gaps"] is not None:
        some = test.take(np.arange(min(request["gaps"], len(test))))
        progress.message(f"fitting normals to the posteriors of {len(some)} images")
        results["gaps"] = find_gaps(model.model, some, key, request["draws"], progress).summary()
    return found, results


def load(request: dict[str, Any]) -> catalogue.Splits:
    """Load training, validation and test images of a request."""
    name, kind = request["dataset"], request["binarisation"]
    likelihood = request["options"].get("likelihood", "bernoulli")
    if not name.endswith(ENDINGS):
        if likelihood == "bernoulli":
            return catalogue.load(name, kind)
        parts = catalogue.load(name, "none" if kind is None else kind)
        train, valid, test = (_not_binary(part, name, likelihood) for part in parts[:3])
        return catalogue.Splits(train, valid, test, parts.binarisation)
    images = read_images(name)
    try:
        data = as_observations(images, likelihood, kind)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if len(data) < 3:
        raise ValueError(f"{name} holds {len(data)} images; three are the least to part")
    order = np.random.default_rng(request["seed"]).permutation(len(data))
    tenth = max(1, len(data) // 10)
    test, valid, train = (data.take(part) for part in np.split(order, [tenth, 2 * tenth]))
    return catalogue.Splits(train, valid, test, getattr(data, "binarisation", "as given"))


def _not_binary(part: Observations, name: str, likelihood: str) -> Observations:
    if isinstance(part, Patches):
        return part
    if not isinstance(part, Grey) or part.binary:
        raise ValueError(f"{name} is binary here, and a {likelihood} likelihood is for grey images")
    return as_observations(np.asarray(part.bytes).reshape(-1, *part.shape), likelihood)


def _first(data: Observations, count: int, seed: int) -> np.ndarray:
    index = jnp.arange(min(count, len(data)))
    return np.asarray(data.rows(index, jax.random.key(seed))).reshape(-1, *data.shape)

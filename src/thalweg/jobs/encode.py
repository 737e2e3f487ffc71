"""Job 3: deep latent Gaussian models of images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.jobs.job import Drawn, DrawOptions, Job, Scorer, default_layers, numbers_in
from thalweg.latent.evaluation import FEW
from thalweg.latent.job import read_run, resume
from thalweg.latent.options import NO_FLOW
from thalweg.latent.run_folder import read_model, save_model
from thalweg.latent.summary import draws_per_second

DRAWS = 1000  # behind ln p(x) of an image that is scored


class Encode(Job):
    """Runs of `thalweg fit-vae`; a fit is an `Encoded`."""

    name = "encode"

    def save(self, path: str | Path, obj: Any) -> None:
        save_model(path, obj)

    def load(self, path: Path, target: Any, *, trust_code: bool) -> Any:
        return read_model(path)

    def read(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return read_run(folder)

    def resume(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return resume(folder)

    def results(self, fit: Any, folder: Path) -> dict[str, Any]:
        record, options = fit.record, fit.model.options
        numbers = record["results"]
        keys = (
            *("elbo", "elbo_se", "nll", "nll_se", "kl", "draws", "terms", "active_units", "rows"),
            *("effective_draws", "rows_of_few", "parameters"),
        )
        layers = 0 if options.flow == NO_FLOW else default_layers(options.flow)
        return {
            "job": self.name,
            "dataset": record["request"]["dataset"],
            "binarisation": record["binarisation"],
            "flow": options.flow,
            "layers": options.flow_options.get("layers", layers),
            "latent": options.latent,
            "steps": fit.model.history.step[-1] if fit.model.out_of_time else options.step_count,
            "out_of_time": fit.model.out_of_time,
            **{key: numbers[key] for key in keys},
            **{key: numbers.get(key) for key in ("all_rows", "gain", "gain_se", "gaps")},
            "few": record["request"]["few"],
            "seconds": record["seconds"],
            "draws_per_second": draws_per_second(record),
            "seed": options.seed,
        }

    def lines(self, fit: Any, folder: Path) -> list[str]:
        """Lines on ln p(x) of test images, the bound and its terms."""
        found = self.results(fit, folder)
        number, terms = numbers_in(found), numbers_in(found["terms"])
        rows = f"{found['rows']} test images, {found['draws']} draws each"
        if found["all_rows"] is not None:
            rows = (
                f"{found['all_rows']} test images, {found['few']} draws each, ln p(x) corrected by "
                f"{found['draws']} of {found['rows']}"
            )
        gaps = []
        if found["gaps"] is not None:
            lost = number["gaps"]
            family, beyond = lost["full"] - lost["diagonal"], lost["log_likelihood"] - lost["full"]
            gaps = [
                f"             of {lost['rows']} images: the encoder loses {lost['encoder']:.3f}, "
                f"diagonal normals {family:.3f}, normals {beyond:.3f}"
            ]
        ended = ["  the time limit ended the fit: this is the best so far"]
        return [
            f"{found['dataset']}, binarisation {found['binarisation']}, {rows}",
            f"  −ln p(x)   {number['nll']:9.3f} ± {number['nll_se']:.3f} nats",
            f"             {number['effective_draws']:.0f} effective draws in the median; "
            f"{found['rows_of_few']} images have fewer than {FEW}",
            f"  −bound     {-number['elbo']:9.3f} ± {number['elbo_se']:.3f}",
            f"  gap        {-number['elbo'] - number['nll']:9.3f}   KL(q ‖ posterior)",
            *gaps,
            f"  KL         {number['kl']:9.3f}   KL(q ‖ prior), {found['active_units']} active "
            "units",
            f"  terms      ln p(x|z) {terms['reconstruction']:.3f}, "
            f"ln p(z) {terms['log_prior']:.3f}, ln q₀ {terms['log_base']:.3f}, "
            f"Σ ln|det| {terms['log_det']:.3f}",
            *(ended if found["out_of_time"] else []),
        ]

    def write_page(self, fit: Any, path: Path) -> Path:
        from thalweg.report import write_encoding

        return write_encoding(fit, path)

    def draw(self, fit: Any, n: int, options: DrawOptions, folder: Path) -> Drawn:
        """Images as flat rows of pixels."""
        if options.context:
            raise ValueError(f"--context is for densities given some columns; {folder} is none")
        if options.corrected or options.refined:
            raise ValueError("draws of a latent model are exact: there is nothing to correct")
        images = fit.model.sample(n, options.seed).reshape(n, -1)
        return Drawn(images, _pixels(images.shape[1]))

    def scorer(self, fit: Any) -> Scorer:
        """Rows are images, and ln p(x) is estimated from 1000 draws each."""
        model = fit.model

        def log_density(rows: np.ndarray) -> Any:
            return model.log_likelihood(rows.reshape(len(rows), *model.shape), DRAWS)[0]

        return Scorer(_pixels(math.prod(model.shape)), log_density, False)


def _pixels(count: int) -> tuple[str, ...]:
    """Names of the columns of flat images."""
    return tuple(f"pixel_{i}" for i in range(count))


JOB = Encode()

"""Job 1: posteriors of unnormalised log densities."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.inference import read_run, resume
from thalweg.jobs.job import Drawn, DrawOptions, Job, Scorer, default_layers
from thalweg.runs import reading


class Infer(Job):
    """Runs of `thalweg infer`; a fit is a `Posterior`."""

    name = "infer"
    takes_target = True

    def save(self, path: str | Path, obj: Any) -> None:
        obj.save(path)

    def load(self, path: Path, target: Any, *, trust_code: bool) -> Any:
        return read_run(path, target, trust_code=trust_code)

    def read(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return read_run(folder, target, trust_code=trust_code)

    def resume(self, folder: Path, target: Any, *, trust_code: bool) -> Any:
        return resume(folder, target=target, trust_code=trust_code)

    def results(self, fit: Any, folder: Path) -> dict[str, Any]:
        numbers, record = fit.diagnostics, fit.record
        keys = ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kl")
        missed = ("missed_mass", "missed_mass_se", "missed_mass_status")
        with reading(folder):
            request = record["request"]
            flow, options = request["flow"], request["flow_options"]
            if numbers.without_flow:
                flow, options = numbers.kept, {}
            return {
                "job": self.name,
                "target": record["target"]["name"],
                "flow": flow,
                "layers": options.get("layers", default_layers(flow)),
                "dim": fit.dim,
                "parameters": numbers["parameters"],
                "steps": record.get("steps_taken", request["steps"]),
                "seconds": record.get("seconds"),
                "compile_seconds": record.get("compile_seconds"),
                "compile_seconds_total": record.get("compile_seconds_total"),
                **{key: numbers[key] for key in keys},
                **{key: numbers.get(key) for key in missed},
                "verdict": fit.verdict,
                "reasons": fit.reasons,
                "draws_from": "flow" if fit.converged is None else "chains",
                "kept": numbers["kept"],
                "precision": fit.precision,
                "out_of_time": numbers.out_of_time,
                "gaussian_elbo": numbers["gaussian"]["elbo"],
                "restarts": numbers.restarts.count,
                "refined": None if fit.refined is None else _refined_results(fit),
                "seed": request["seed"],
            }

    def lines(self, fit: Any, folder: Path) -> list[str]:
        """Lines on the best approximation first, and on the way to exact draws last."""
        from thalweg.report.advice import refine_steps

        reasons = [f"  {reason}" for reason in fit.reasons]
        chains = fit.refined
        if fit.converged is not None:
            of_chains = [f"  {reason}" for reason in chains.reasons]
            flow = ["the flow alone:", str(fit.flow_summary()), *reasons]
            return [str(fit.summary()), *of_chains, *flow]
        lines = [str(fit.summary()), *reasons]
        if chains is not None:
            return [*lines, str(chains.summary()), *(f"  {reason}" for reason in chains.reasons)]
        return [*lines, *(f"  {text} {code}" for text, code in refine_steps(fit))]

    def write_page(self, fit: Any, path: Path) -> Path:
        from thalweg.report import write_report

        return write_report(fit, path)

    def draw(self, fit: Any, n: int, options: DrawOptions, folder: Path) -> Drawn:
        """Draws of the chains where they have converged, each at most once as long as there are
        enough; else of the flow.
        """
        if options.context:
            raise ValueError(f"--context is for densities given some columns; {folder} is none")
        if options.refined and fit.refined is None:
            raise ValueError(
                f"{folder} has no chains; make some with: thalweg infer … --refine auto"
            )
        facts: dict[str, Any] = {}
        if not options.corrected and (options.refined or fit.converged is not None):
            facts = {"draws_from": "chains", "distinct": min(n, fit.refined.count)}
        source = fit.refined if options.refined else fit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that draws repeat is said below
            take = fit.resample if options.corrected else source.sample
            draws = take(n, options.seed)
        rows = np.asarray(draws if fit.parameters is None else fit.parameters.rows(draws))
        remark = ""
        if options.corrected:
            facts["distinct"] = len(np.unique(rows, axis=0))
            remark = f", {facts['distinct']} of them distinct"
        elif facts:
            remark = ", of the chains"
            if facts["distinct"] < n:
                remark += f", which hold {facts['distinct']}: some repeat"
        return Drawn(rows, fit.parameter_names, facts, remark)

    def scorer(self, fit: Any) -> Scorer:

        def log_density(rows: np.ndarray) -> Any:
            return fit.log_prob(rows if fit.parameters is None else fit.parameters.from_rows(rows))

        return Scorer(tuple(fit.parameter_names), log_density, False)


def _refined_results(posterior: Any) -> dict[str, Any]:
    """The entry "refined" of the results: the chains."""
    chains = posterior.refined
    numbers = chains.diagnostics
    keys = ("method", "log_evidence", "log_evidence_se", "divergences")
    return {
        **{key: numbers[key] for key in keys},
        "verdict": chains.verdict,
        "reasons": chains.reasons,
        "rhat": float(max(numbers["rhat"])),
        "ess_bulk": float(min(numbers["ess_bulk"])),
        "ess_tail": float(min(numbers["ess_tail"])),
        "chains": chains.draws.shape[0],
        "draws": chains.draws.shape[1],
        "seconds": posterior.record.get("refine_seconds"),
    }


JOB = Infer()

"""`thalweg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.display import close_display, open_display
from thalweg.cli.interruption import interruption
from thalweg.cli.paths import display_path
from thalweg.cli.run import default_folder
from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit_result, text_table

TARGETS = ("u1", "u2", "u3", "u4")
FLOW, LAYERS = "planar", 32
HEAD = ("target", "ELBO", "ln Z", "exact ln Z", "KL", "k̂", "ESS", "verdict", "seconds")


@click.command("demo")
@json_option
def command(as_json: bool) -> int:
    """Fit planar flows to the four energies of Rezende & Mohamed (2015).

    Each fit leaves a run folder with its page under runs/demo-…; a minute or so on two cores, and
    less the second time, when everything is compiled.
    """
    open_display()
    start_jax()
    from thalweg.inference import infer
    from thalweg.progress import as_progress, begin_stage
    from thalweg.report import write_report

    interruption.register_sentence("interrupted; complete runs stay in the folder runs")
    parent, progress = default_folder("demo"), as_progress(True)
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(TARGETS, 1):
        progress.message(f"{name}: {FLOW} flow, {LAYERS} layers ({number} of {len(TARGETS)})")
        folder = parent / name
        posterior = infer(name, flow=FLOW, layers=LAYERS, out=folder)
        if posterior.interrupted:
            raise KeyboardInterrupt
        begin_stage(progress, "writing the page")
        page = write_report(posterior, folder / "report.html")
        rows.append(result_of(name, posterior, page))
    pages = [f"  {row['page']}" for row in rows]
    lines = [table(rows), "\nKL = exact ln Z − ELBO, in nats. Pages:", *pages]
    close_display()
    answer = {"job": "demo", "flow": FLOW, "layers": LAYERS, "runs": rows}
    return emit_result(as_json, answer, *lines)


def result_of(name: str, posterior: Any, page: Path) -> dict[str, Any]:
    """Return the entry of a run in the table and the JSON."""
    numbers = posterior.diagnostics
    keys = ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "kl", "khat", "ess_fraction")
    return {
        "target": name,
        **{key: numbers[key] for key in keys},
        "log_z": None if posterior.target is None else posterior.target.log_z,
        "verdict": posterior.verdict,
        "reasons": posterior.reasons,
        "seconds": posterior.record.get("seconds"),
        "out": display_path(page.parent),
        "page": display_path(page),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table with a line for each run."""
    body = [
        [
            row["target"],
            f"{row['elbo']:.4f} ± {row['elbo_se']:.4f}",
            f"{row['log_evidence']:.4f} ± {row['log_evidence_se']:.4f}",
            f"{row['log_z']:.4f}",
            f"{row['kl']:.4f}",
            f"{row['khat']:.2f}",
            f"{100 * row['ess_fraction']:.1f} %",
            row["verdict"],
            f"{row['seconds']:.1f}",
        ]
        for row in rows
    ]
    return text_table(HEAD, body)

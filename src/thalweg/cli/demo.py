"""`thalweg demo`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.paths import absolute, shown
from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit, emit_json, say
from thalweg.cli.text_table import text_table

TARGETS = ("u1", "u2", "u3", "u4")
FLOW, LAYERS = "planar", 32
HEAD = ("target", "ELBO", "ln Z", "exact ln Z", "KL", "k̂", "ESS", "verdict", "seconds")


@click.command("demo")
@json_option
def command(as_json: bool) -> int:
    """The main job on the four energies of Rezende & Mohamed (2015), with planar flows.

    Each fit leaves a run folder with its page under runs/demo-…; three minutes at most on two
    cores, and less the second time, when everything is compiled.
    """
    start_jax()
    from thalweg.inference import infer
    from thalweg.report import write_report

    interruption.says("interrupted; the runs that are complete stay in the folder runs")
    parent = new_folder(absolute(Path("runs")))
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(TARGETS, 1):
        say(f"{place}/{len(TARGETS)} {name}: {FLOW} flow, {LAYERS} layers")
        folder = parent / name
        posterior = infer(name, flow=FLOW, layers=LAYERS, out=folder)
        if posterior.interrupted:
            raise KeyboardInterrupt
        page = write_report(posterior, folder / "report.html")
        rows.append(row_of(name, posterior, page))
    if as_json:
        emit_json({"job": "demo", "flow": FLOW, "layers": LAYERS, "runs": rows})
        return 0
    pages = [f"  {row['page']}" for row in rows]
    emit("\n".join([table(rows), "\nKL = exact ln Z − ELBO, in nats. Pages:", *pages]))
    return 0


def new_folder(parent: Path) -> Path:
    """A folder that is not there yet: an earlier demonstration is never touched."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    count = 1
    while True:
        folder = parent / (f"demo-{stamp}" if count == 1 else f"demo-{stamp}-{count}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            count += 1
        else:
            return folder


def row_of(name: str, posterior: Any, page: Path) -> dict[str, Any]:
    """What the table and the JSON say of a run."""
    numbers = posterior.diagnostics
    keys = ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "kl", "khat", "ess_fraction")
    return {
        "target": name,
        **{key: numbers[key] for key in keys},
        "log_z": None if posterior.target is None else posterior.target.log_z,
        "verdict": posterior.verdict,
        "reasons": posterior.reasons,
        "seconds": posterior.record.get("seconds"),
        "out": shown(page.parent),
        "page": shown(page),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line a run."""
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

"""The page of a posterior."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.precision import computing_in
from thalweg.report import advice, numbers, repeat
from thalweg.report.pictures import Picture, pictures
from thalweg.report.render import render_page, write_page
from thalweg.report.tables import (
    chains_table,
    comparison,
    flow_tiles,
    parameter_table,
    restart_table,
    tiles,
)
from thalweg.runs import RECORD

if TYPE_CHECKING:
    from thalweg.inference import Posterior

TEMPLATE = "report.html.j2"


def write_report(posterior: Posterior, path: str | Path) -> Path:
    """Write a page about a posterior: one file that needs no network.

    It is readable on a phone, in light and dark and on paper. Parts without data are left out.

    Args:
        posterior: the result of `thalweg.infer`.
        path: the file, or a folder, in which it is `report.html`.

    Returns:
        The path of the file.

    Raises:
        ValueError: where the file cannot be written.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.report import write_report
        >>> write_report(tw.infer("u1"), "u1.html")  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_dir():
        path = path / "report.html"
    run = path.parent.name if (path.parent / RECORD).is_file() else None
    return write_page(path, render(posterior, run))


def render(posterior: Posterior, run: str | None = None) -> str:
    """Return the page as text; `run` is the name of its run folder, if any."""
    with computing_in(posterior.precision):
        return render_page(TEMPLATE, _context(posterior, run))


def _context(posterior: Posterior, run: str | None) -> dict[str, Any]:
    record = posterior.record
    shown: list[Picture] = pictures(posterior)
    converged = posterior.converged
    return {
        "title": _target_name(posterior),
        "subtitle": _subtitle(posterior),
        # The headline is of chains that have converged, else of the flow.
        "verdict": posterior.verdict if converged is None else converged.verdict,
        "badge": f"Verdict: {posterior.verdict}" if converged is None else "Chains: converged",
        "headline": advice.headline(posterior),
        "reasons": [_sentence(r) for r in (posterior if converged is None else converged).reasons],
        "flow_verdict": None if converged is None else posterior.verdict,
        "flow_reasons": [_sentence(reason) for reason in posterior.reasons],
        "flow_tiles": [] if converged is None else flow_tiles(posterior),
        "next_steps": advice.next_steps(posterior),
        "sample_command": _sample_command(posterior, run),
        "tiles": tiles(posterior),
        "comparison": comparison(posterior),
        "restarts": restart_table(posterior),
        "densities": [picture for picture in shown if picture.group == "density"],
        "density_note": shown[0].note if shown else "",
        "curves": [picture for picture in shown if picture.group == "curve"],
        "explanations": advice.explanations(posterior),
        "table_data": parameter_table(posterior),
        "chains": chains_table(posterior) if converged is None else None,
        "chains_reasons": [] if posterior.refined is None else posterior.refined.reasons,
        "command": repeat.command_line(record),
        "call": repeat.python_call(record),
        "in_memory": (record.get("target") or {}).get("reference", "") is None,
        "facts": repeat.facts(record),
    }


def _target_name(posterior: Posterior) -> str:
    if posterior.target is not None:
        return posterior.target.name
    return str((posterior.record.get("target") or {}).get("name") or "target")


def _subtitle(posterior: Posterior) -> str:
    request = posterior.record.get("request") or {}
    parts = [f"{numbers.count(posterior.dim)} parameter{'s' if posterior.dim > 1 else ''}"]
    flow = request.get("flow") or "a custom flow"
    layers = (request.get("flow_options") or {}).get("layers")
    of_flow = f"{flow}, {layers} layers" if layers is not None else str(flow)
    without_flow = posterior.diagnostics.without_flow
    kept = posterior.diagnostics.kept_name
    own = "full-rank Gaussian" if kept == "Gaussian" else kept
    parts.append(own if without_flow else of_flow)
    if posterior.diagnostics.kept == "gaussian" and not without_flow:
        parts.append("the Gaussian was kept")
    if posterior.diagnostics.out_of_time:
        parts.append("ended by its time limit")
    if posterior.interrupted:
        parts.append("interrupted")
    return " · ".join(parts)


def _sentence(text: str) -> str:
    text = text.strip()
    # "k̂ = …" and "ln Z …" keep their letters; only ordinary words are capitalised.
    if text.startswith(("the ", "no ", "draws ")):
        text = text[0].upper() + text[1:]
    return text


def _sample_command(posterior: Posterior, run: str | None) -> str | None:
    converged = posterior.converged is not None
    if run is None or (posterior.verdict == "reject" and not converged):
        return None
    import shlex

    corrected = " --corrected" if posterior.verdict == "reweight" and not converged else ""
    return f"thalweg sample {shlex.quote(run)} -n 1000 -o draws.npz{corrected}"

"""The tables and tiles of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from thalweg.diagnostics.importance import WeightDiagnostics, khat_threshold
from thalweg.report.numbers import (
    MISSING,
    as_floats,
    count,
    duration,
    fixed,
    percent,
    plus_minus,
    significant,
    with_error,
)

if TYPE_CHECKING:
    from thalweg.chains.refined import Table as Summary
    from thalweg.inference import Posterior

ROWS = 40  # parameters in the table
RESTARTS = 16


class Tile(NamedTuple):
    """A number with its name, its error and a remark."""

    name: str
    value: str
    error: str
    remark: str


class Table(NamedTuple):
    """Column heads, rows of cells (the first is the row's head), and a note."""

    heads: list[str]
    rows: list[list[str]]
    note: str = ""
    marked: int = -1
    title: str = ""


def tiles(posterior: Posterior) -> list[Tile]:
    """Return the most important numbers: of chains that have converged, else of the flow."""
    return flow_tiles(posterior) if posterior.converged is None else chains_tiles(posterior)


def chains_tiles(posterior: Posterior) -> list[Tile]:
    """Return evidence, R̂ and effective sample sizes of the chains."""
    chains = posterior.refined
    if chains is None:
        return []
    d = chains.diagnostics
    log_z = with_error(d.get("log_evidence"), d.get("log_evidence_se"))
    chain_count, length = chains.draws.shape[:2]
    found = [
        Tile("ln Z", *log_z, "by a bridge between chains and proposals"),
        Tile("R̂", fixed(max(d["rhat"]), 4), "", f"at most, of {chain_count} chains"),
        Tile("ESS bulk", fixed(min(d["ess_bulk"]), 0), "", "at least, of any parameter"),
        Tile("ESS tail", fixed(min(d["ess_tail"]), 0), "", "at least, of any parameter"),
        Tile("Draws", count(chains.count), "", f"{chain_count} chains of {length}"),
    ]
    seconds = posterior.record.get("refine_seconds")
    if seconds is not None:
        found.append(Tile("Time", duration(seconds), "", "of the chains, beside the fit"))
    return found


def flow_tiles(posterior: Posterior) -> list[Tile]:
    """Return ELBO, evidence, k̂ and effective sample size of the flow."""
    d, record = posterior.diagnostics, posterior.record
    known = None if posterior.target is None else posterior.target.log_z
    if known is None:
        known = (record.get("target") or {}).get("log_z")
    elbo = with_error(d.elbo, d.elbo_se)
    log_z = with_error(d.log_evidence, d.log_evidence_se)
    remark = "estimated with importance weights"
    if known is not None:
        remark = f"known: {significant(known, 7)}"
    found = [
        Tile("ELBO", *elbo, "nats; at most ln Z"),
        Tile("ln Z", *log_z, remark),
    ]
    if d.kl is not None:
        kl = with_error(d.kl, d.elbo_se)
        found.append(Tile("KL(q ‖ p)", *kl, "nats; 0 is perfect"))
    khat, limit = d.khat, khat_threshold(d.draws)
    side = "within" if khat <= limit else "above"
    found += [
        Tile("Pareto k̂", fixed(khat, 2), "", f"{side} the limit of {limit:.2f}"),
        Tile(
            "ESS",
            percent(d.ess_fraction),
            "",
            f"effective, of {count(d.get('draws'))} draws",
        ),
    ]
    if record.get("seconds") is not None:
        compiling = record.get("compile_seconds_total")
        remark = "in all"
        if compiling is not None:
            remark = f"of which {duration(compiling)} compiling"
        found.append(Tile("Time", duration(record["seconds"]), "", remark))
    return found


def comparison(posterior: Posterior) -> Table | None:
    """Compare the flow with the Gaussian that was fitted beside it."""
    d = posterior.diagnostics
    beside = d.gaussian
    if beside is None:
        return None

    kept = d.kept == "gaussian"
    columns: list[WeightDiagnostics] = [beside] if kept else [d, beside]

    def row(name: str, show: Callable[[WeightDiagnostics], str]) -> list[str]:
        return [name, *(show(numbers) for numbers in columns)]

    def pair(key: str) -> Callable[[WeightDiagnostics], str]:
        return lambda n: plus_minus(n.get(key), n.get(f"{key}_se"))

    rows = [
        row("ELBO", pair("elbo")),
        row("ln Z", pair("log_evidence")),
        row("Pareto k̂", lambda n: fixed(n.khat, 2)),
        row("ESS", lambda n: percent(n.ess_fraction)),
    ]
    if not kept:
        name = d.kept_name.capitalize()
        return Table(["", name, "Gaussian"], rows, title="Beside a full-rank Gaussian")
    note = "No restart of the flow had a higher ELBO than the Gaussian, so that was kept."
    if d.without_flow:
        note = "It is exact enough, so no flow was fitted."
        if d.out_of_time:
            note = "The time limit was over before a flow was fitted."
    return Table(["", "Gaussian (kept)"], rows, note, title="The full-rank Gaussian")


def restart_table(posterior: Posterior) -> Table | None:
    """Return the final free energy of each restart; the chosen one is marked."""
    restarts = posterior.diagnostics.restarts
    values, skipped = as_floats(restarts.objective), as_floats(restarts.skipped_steps)
    if len(values) < 2:
        return None
    best = restarts.best
    order = [i for i in range(len(values)) if i < RESTARTS or i == best]
    rows = [
        [
            f"{i + 1}" + (" · best" if i == best else ""),
            fixed(values[i], 4),
            count(skipped[i]) if i < len(skipped) else MISSING,
        ]
        for i in order
    ]
    left = len(values) - len(rows)
    note = "The lowest mean over a hundredth of the training steps, in nats."
    note += f" {left} more restarts are left out." if left else ""
    marked = order.index(best) if best in order else -1
    return Table(["Restart", "Free energy", "Skipped steps"], rows, note, marked, "Restarts")


def parameter_table(posterior: Posterior) -> Table:
    """Return at most 40 rows of `posterior.summary()`."""
    summary = posterior.summary()
    rows, note = _by_parameter(summary, "posterior.summary()")
    return Table(["Parameter", *summary.columns], rows, note, title="Summary of the parameters")


def chains_table(posterior: Posterior) -> Table | None:
    """Return rows of `posterior.refined.summary()`; None where there are no chains."""
    chains = posterior.refined
    if chains is None:
        return None
    summary = chains.summary()
    rows, note = _by_parameter(summary, "posterior.refined.summary()")
    return Table(["Parameter", *summary.columns], rows, note, title=summary.header)


def _by_parameter(summary: Summary, call: str) -> tuple[list[list[str]], str]:
    rows = [
        [name, *(significant(value) for value in row)]
        for name, row in zip(summary.names[:ROWS], summary.values.tolist(), strict=False)
    ]
    left = len(summary.names) - len(rows)
    return rows, f"{left} more parameters are left out; {call} has all." if left > 0 else ""

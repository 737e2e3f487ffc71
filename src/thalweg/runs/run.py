"""The life of a run, the same for each job: running, then interrupted, failed or complete."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.runs.folder import (
    CHECKPOINT,
    CHECKPOINTS,
    check_contents,
    check_sources,
    clean,
    contents,
    open_folder,
    stopped,
)
from thalweg.runs.record import environment, environment_of, read_record, reading, write_record
from thalweg.tree import x64_enabled


class Run:
    """One run while it lasts, with its record, in a folder or (`folder` None) in memory alone.

    Args:
        job: Name of the job.
        request: Arguments of the run, as `run.json` holds them.
        folder: Folder to open, or with `fresh` false the folder of the stopped run that goes on.
        notes: Entries for whoever resumes the run.
        facts: Further entries of the record.
    """

    def __init__(
        self,
        job: str,
        request: Any,
        folder: Path | None,
        notes: Mapping[str, Any] | None = None,
        *,
        fresh: bool = True,
        **facts: Any,
    ):
        self.folder, self._fresh, self._begun = folder, fresh, time.monotonic()
        self.record: dict[str, Any] = {"job": job, "request": request, "notes": notes, **facts}

    @property
    def checkpoint(self) -> Path | None:
        """Path of the checkpoint; None without a folder."""
        return None if self.folder is None else self.folder / CHECKPOINT

    @property
    def seconds(self) -> float:
        """Seconds since this process began the run."""
        return time.monotonic() - self._begun

    @contextmanager
    def going(self, *passing: type[BaseException]) -> Iterator[None]:
        """Open the folder and mark it running; update it where an exception ends the block.

        Exceptions of the classes `passing` end no run: the block is entered again.
        """
        self.record["environment"] = environment()
        if self.folder is not None and self._fresh:
            self.folder = open_folder(self.folder)
        self._fresh = False
        self.write("running")
        try:
            yield
        except passing:
            raise
        except BaseException as error:
            stopped(self.folder, self.record, error)
            raise

    def write(self, status: str, **entries: Any) -> None:
        """Write the record with this status, and with further entries, to the folder if any."""
        if self.folder is not None:
            write_record(self.folder, {**self.record, **entries, "status": status})


def complete(folder: Path, record: Mapping[str, Any], *files: str) -> None:
    """Mark a folder complete, with digests of its files; checkpoints are removed.

    Called last, so that "complete" means that all is there.
    """
    entries = {"environment": environment(), **record}
    write_record(folder, {**entries, "status": "complete", "contents": contents(folder, *files)})
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)
    clean(folder)


def read_complete(folder: Path, job: str) -> dict[str, Any]:
    """Return the record of a complete run of a job, whose files are those that it wrote.

    Raises `ValueError` in one sentence for any other folder.
    """
    record = _record_of(folder, job)
    if record.get("status") != "complete":
        raise ValueError(f"{folder} is not finished; go on with: thalweg resume {folder}")
    check_contents(folder, record)
    return record


def read_unfinished(folder: Path, job: str) -> dict[str, Any] | None:
    """Return the record of a run to go on with, its folder cleaned; None where it is complete.

    Raises `ValueError` in one sentence for a folder of another job.
    """
    record = _record_of(folder, job)
    if record.get("status") == "complete":
        return None
    clean(folder)
    return record


def _record_of(folder: Path, job: str) -> dict[str, Any]:
    record = read_record(folder)
    if record.get("job") != job:
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    return record


def check_precision(folder: Path, record: Mapping[str, Any]) -> None:
    """Raise `ValueError` where a run in float64 is opened by a process in float32."""
    if environment_of(record).get("x64") and not x64_enabled():
        raise ValueError(f"{folder} was run in float64; set JAX_ENABLE_X64=1 to open it")


def request_to_resume(
    folder: Path, record: dict[str, Any], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Return the request of an unfinished run.

    Raises `ValueError` where the record is incomplete, a file that the run reads has changed, or
    the run was in another precision than this process.
    """
    with reading(folder):
        request = {key: record["request"][key] for key in keys}
        wanted = record["environment"]["x64"]
    check_sources(folder, record)
    if wanted != x64_enabled():
        raise ValueError(f"{folder} was run with JAX_ENABLE_X64={wanted:d}")
    return request

"""Folders of runs: opened, emptied after a failure, cleaned, compared with what was written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from thalweg.files.digests import check_unchanged, digest
from thalweg.files.reading import as_path, shown
from thalweg.files.writing import remove_leftovers
from thalweg.runs.record import RECORD, read_record, write_record

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINTS = (CHECKPOINT, f"after.{CHECKPOINT}")  # the second is of earlier versions
PAGE = "report.html"
SCRATCH = "rows"  # begins the name of the folder in which rows of a large table are shuffled
TENSORS = ("model", "gaussian", "draws", "chains", "rows", "preparation")
# All files of a run, of which a killed process may leave temporary ones.
_WRITTEN = (
    *(RECORD, "history.json", PAGE, *CHECKPOINTS, SCRATCH),
    *(f"{name}.safetensors" for name in TENSORS),
)


def open_folder(path: str | Path) -> Path:
    """Make (or take an empty) folder for a new run.

    The folder of a run that failed before it learned anything counts as empty. Raises `ValueError`
    where the folder holds something else already or cannot be made or written.
    """
    path = as_path(path)
    try:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        if _has_learned_nothing(path):
            _empty(path)
        clean(path)
        taken = any(path.iterdir())
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"cannot use {path} as a run folder: {reason}") from None
    if (path / RECORD).exists():
        raise ValueError(f"{path} already holds a run; resume it or choose another folder")
    if taken:
        raise ValueError(f"{path} is not empty; choose another folder")
    _made[path] = missing
    return path


# Run folders opened by this process, with the folders that were made for them, innermost first.
_made: dict[Path, list[Path]] = {}


def give_up(folder: Path | None, record: dict[str, Any]) -> None:
    """Remove or mark the folder of a run that failed.

    Where this process began the run and it has no checkpoint, the folder is removed; otherwise its
    status becomes "failed". Never raises, so that the failure itself is reported.
    """
    if folder is None:
        return
    made = _made.pop(folder, None)
    with contextlib.suppress(OSError):
        if made is None or (folder / CHECKPOINT).exists():
            write_record(folder, {**record, "status": "failed"})
            return
        _empty(folder)
        for each in made:
            each.rmdir()


def stopped(folder: Path | None, record: dict[str, Any], error: BaseException) -> None:
    """Update the folder of a run that an exception has ended.

    After Ctrl-C, a full disk or too little memory the run can be resumed; else see `give_up`. Never
    raises, so that the exception itself is reported.
    """
    if not isinstance(error, (KeyboardInterrupt, OSError, MemoryError)):
        give_up(folder, record)
        return
    if folder is None:
        return
    _made.pop(folder, None)
    with contextlib.suppress(OSError):
        write_record(folder, {**record, "status": "interrupted"})


def _has_learned_nothing(folder: Path) -> bool:
    """Return whether a folder is of a failed run without a checkpoint."""
    if not (folder / RECORD).is_file() or (folder / CHECKPOINT).exists():
        return False
    try:
        return bool(read_record(folder).get("status") == "failed")
    except ValueError:
        return False


def _empty(folder: Path) -> None:
    """Remove the record of a run that has left nothing else, and temporary files."""
    for each in folder.iterdir():
        if each.name == RECORD:
            each.unlink()
        elif each.name.startswith("."):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def clean(folder: Path) -> None:
    """Remove temporary files of killed processes from a run folder."""
    remove_leftovers(folder, _WRITTEN)


def contents(folder: Path, *names: str) -> dict[str, str]:
    """Return digests of files of a run, for its record, to detect files of another run."""
    return {name: digest(folder / name) for name in names if (folder / name).is_file()}


def check_contents(folder: Path, record: dict[str, Any]) -> None:
    """Raise `ValueError` that names a file of a complete run that is not the one it wrote."""
    for name, expected in (record.get("contents") or {}).items():
        if name not in _WRITTEN:
            raise ValueError(f"{shown(folder)} is damaged: its record speaks of {name[:60]!r}")
        if digest(folder / name) != expected:
            raise ValueError(
                f"{shown(folder / name)} is damaged or of another run: it is not the file that "
                "this run wrote"
            )


def check_sources(folder: Path, record: dict[str, Any]) -> None:
    """Raise `ValueError` that names a file that has changed since the run was made from it."""
    files = {**(record.get("target") or {}).get("files", {}), **(record.get("files") or {})}
    check_unchanged(files, shown(folder))


def identity(folder: Path) -> str:
    """Return a digest of the request and the data of a folder's run.

    Empty where the folder holds no record. A checkpoint keeps it, so that one of another run is
    not taken for its own.
    """
    try:
        record = read_record(folder)
    except ValueError:
        return ""
    kept = {key: record.get(key) for key in ("job", "request", "target", "files")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

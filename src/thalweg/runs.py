"""Run folders: the request, the data and the results of one run; consistent at any moment.

`run.json` is written first and rewritten whole at each change of `status`, so that a folder always
has its state: "running", "interrupted", "failed" or "complete".
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import math
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.files.digests import check_unchanged, digest
from thalweg.files.reading import as_path, is_folder, read_json, shown
from thalweg.files.writing import remove_leftovers, write_text
from thalweg.run_schema import check_record
from thalweg.tree import x64_enabled

FORMAT = "thalweg-run-1"
RECORD = "run.json"
CHECKPOINT = "checkpoint.safetensors"
PAGE = "report.html"
SCRATCH = "rows"  # begins the name of the folder in which rows of a large table are shuffled
TENSORS = ("model", "gaussian", "draws", "chains", "rows", "preparation")
# All files of a run, of which a killed process may leave temporary ones.
_WRITTEN = (
    *(RECORD, "history.json", PAGE, CHECKPOINT, f"after.{CHECKPOINT}", SCRATCH),
    *(f"{name}.safetensors" for name in TENSORS),
)


def _plain(node: Any) -> Any:
    """Return a JSON value: infinities and NaN, which JSON lacks, become None."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return _plain(dataclasses.asdict(node))
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    if hasattr(node, "tolist"):
        return _plain(node.tolist())
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node


def to_json(node: Any, indent: int | None = None) -> str:
    """Return strict JSON of plain values and arrays.

    File names that are no text in the system's encoding are escaped.
    """
    plain = _plain(node)
    text = json.dumps(plain, indent=indent, allow_nan=False, ensure_ascii=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return json.dumps(plain, indent=indent, allow_nan=False)
    return text


def environment() -> dict[str, Any]:
    """Return versions and device, for the record of a run."""
    import jax

    packages = ("thalweg", "jax", "equinox", "optax", "numpy")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "unknown"
    device = jax.devices()[0]
    return {
        "versions": versions,
        "device": f"{device.platform}: {device.device_kind}",
        "machine": f"{platform.system()} {platform.machine()}",
        "x64": x64_enabled(),
    }


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


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json` whole."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_text(folder / RECORD, to_json({"format": FORMAT, **record, "written": now}, indent=2))


def read_record(folder: str | Path) -> dict[str, Any]:
    """Read `run.json`; `ValueError` in one sentence where there is none or it is damaged."""
    folder = as_path(folder)
    if not is_folder(folder):
        raise ValueError(f"there is no run folder {shown(folder)}")
    path = folder / RECORD
    if not path.exists():
        raise ValueError(f"{shown(folder)} is not a run folder: it has no {RECORD}")
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{shown(path)} is not the record of a thalweg run")
    try:
        if "job" in record:
            check_record(record)
    except ValueError as error:
        raise ValueError(f"{shown(path)} is damaged: {error}") from None
    return record


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


def environment_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return versions and device from a record; `ValueError` where these are damaged."""
    found = record.get("environment", {})
    if not isinstance(found, dict):
        raise ValueError(f"the run's record is damaged: its environment is {found!r:.40}")
    return found


def read_finished(folder: Path, job: str) -> dict[str, Any]:
    """Return the record of a complete run of a job; `ValueError` in one sentence for any other."""
    record = read_record(folder)
    if record.get("job") != job:
        raise ValueError(f"{folder} is a run of another job: {record.get('job')!r}")
    if record.get("status") != "complete":
        raise ValueError(f"{folder} is not finished; go on with: thalweg resume {folder}")
    if environment_of(record).get("x64") and not x64_enabled():
        raise ValueError(f"{folder} was run in float64; set JAX_ENABLE_X64=1 to open it")
    return record


def request_to_resume(
    folder: Path, record: dict[str, Any], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Return the request of an unfinished run.

    Raises `ValueError` where the record is incomplete, or the run was in another precision than
    this process.
    """
    with reading(folder):
        request = {key: record["request"][key] for key in keys}
        wanted = record["environment"]["x64"]
    check_sources(folder, record)
    if wanted != x64_enabled():
        raise ValueError(f"{folder} was run with JAX_ENABLE_X64={wanted:d}")
    return request


# Errors that entries of wrong types cause.
_WRONG_KIND = (
    *(KeyError, TypeError, AttributeError, IndexError, OverflowError, ZeroDivisionError),
    *(OSError, json.JSONDecodeError, UnicodeError, AssertionError),
)


@contextmanager
def reading(folder: str | Path) -> Iterator[None]:
    """Convert errors for absent entries and files, or wrong types, into one sentence.

    For code that only reads a run: in a computation those errors would be bugs of this package.
    """
    try:
        yield
    except _WRONG_KIND as error:
        what = f"{type(error).__name__} {error}".splitlines()[0]
        raise ValueError(f"{shown(folder)} is damaged: {what:.200}") from None

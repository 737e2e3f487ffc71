"""Run folders: what was asked, on what, and what came out. One folder a run, safe at any moment.

`run.json` is written first and rewritten whole at each change of `status`, so that a folder
always says what it is: "running", "interrupted", "failed" or "complete".
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import math
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.serialization import write_text
from thalweg.tree import x64_enabled

FORMAT = "thalweg-run-1"
RECORD = "run.json"
CHECKPOINT = "checkpoint.safetensors"


def _plain(node: Any) -> Any:
    """A JSON value: infinities and NaN, which JSON lacks, become None."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    if hasattr(node, "tolist"):
        return _plain(node.tolist())
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node


def to_json(node: Any, indent: int | None = None) -> str:
    """Strict JSON of plain values and arrays.

    Names of files that are no text in the system's encoding are escaped.
    """
    plain = _plain(node)
    text = json.dumps(plain, indent=indent, allow_nan=False, ensure_ascii=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return json.dumps(plain, indent=indent, allow_nan=False)
    return text


def environment() -> dict[str, Any]:
    """Versions and device, for the record of a run."""
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

    That of a run which failed before anything was learned counts as empty. Raises `ValueError`
    where the folder holds something else already or cannot be made or written.
    """
    path = Path(path)
    try:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        if _has_learned_nothing(path):
            _empty(path)
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
    """Leave of a run that failed what it is worth.

    Where it was begun here and has no checkpoint that is nothing, not even the folder; otherwise
    the record says "failed". Never raises: the failure is what is to be told.
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


def _has_learned_nothing(folder: Path) -> bool:
    """Whether a folder is that of a failed run without a checkpoint."""
    if not (folder / RECORD).is_file() or (folder / CHECKPOINT).exists():
        return False
    try:
        return bool(read_record(folder).get("status") == "failed")
    except ValueError:
        return False


def _empty(folder: Path) -> None:
    """Remove the record of a run that has left nothing else, and what it was in the middle of."""
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
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no run folder {folder}")
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} is not a run folder: it has no {RECORD}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{folder / RECORD} is damaged ({error})") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{folder / RECORD} is not the record of a thalweg run")
    return record


def environment_of(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says of versions and device; `ValueError` where that is damaged."""
    found = record.get("environment", {})
    if not isinstance(found, dict):
        raise ValueError(f"the run's record is damaged: its environment is {found!r:.40}")
    return found


def read_finished(folder: Path, job: str) -> dict[str, Any]:
    """The record of a complete run of a job; `ValueError` in one sentence for any other."""
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
    """What an unfinished run was asked; `ValueError` where the record lacks a part of it, or the
    run was in another precision than this process.
    """
    with reading(folder):
        request = {key: record["request"][key] for key in keys}
        wanted = record["environment"]["x64"]
    if wanted != x64_enabled():
        raise ValueError(f"{folder} was run with JAX_ENABLE_X64={wanted:d}")
    return request


@contextmanager
def reading(folder: str | Path) -> Iterator[None]:
    """Entries and files of a run that are absent or of another kind, in one sentence.

    For what reads a run and does nothing else: in a computation those errors would be our own.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} is damaged: {type(error).__name__} {error}") from None

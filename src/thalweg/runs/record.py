"""`run.json`, the record of a run: written whole at each change, read with every entry checked."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import math
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.files.reading import as_path, is_folder, read_json, shown
from thalweg.files.writing import write_text
from thalweg.runs.schema import check_record
from thalweg.tree import x64_enabled

FORMAT = "thalweg-run-1"
RECORD = "run.json"


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


def environment_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return versions and device from a record; `ValueError` where these are damaged."""
    found = record.get("environment", {})
    if not isinstance(found, dict):
        raise ValueError(f"the run's record is damaged: its environment is {found!r:.40}")
    return found


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

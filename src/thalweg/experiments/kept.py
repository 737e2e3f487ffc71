"""Cells of an experiment that are kept as files: what was asked for, and what was found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thalweg.runs import to_json
from thalweg.serialization import write_text


def mark(asked: Mapping[str, Any]) -> str:
    """A few characters that stand for what is asked: part of a name, so that no other is read."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def kept(
    folder: Path, name: str, asked: Mapping[str, Any], make: Callable[[Path], Any]
) -> dict[str, Any]:
    """The fields of the dataclass that `make(checkpoint)` returns: read where they were written.

    Numbers and lists come as JSON has them, whether they were read or made. The checkpoint is
    removed in the end. Raises `ValueError` where the file is damaged.
    """
    asked = json.loads(to_json(asked))
    path = folder / f"{name}-{mark(asked)}.json"
    if not path.is_file():
        checkpoint = path.with_suffix(".checkpoint")
        found = dataclasses.asdict(make(checkpoint))
        write_text(path, to_json({"asked": asked, "found": found}))
        checkpoint.unlink(missing_ok=True)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["found"])
    except (OSError, ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is damaged; without it the model is made anew") from None

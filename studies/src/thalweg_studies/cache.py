"""A cache of fits in files: a study reads those that are stored and makes the others.

`NAME-DIGEST.json` holds settings and results. It is small enough to be kept with a table, so that
a study of many hours continues from these files on another machine. Arrays of floats, which JSON
would bloat, are beside it in `NAME-DIGEST.safetensors`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import write_text
from thalweg.runs import to_json

Fit = TypeVar("Fit")


@dataclass(frozen=True)
class FitSpec:
    """A fit: the `name` that begins its files, and `settings`, all that it depends on.

    A digest of the settings is part of the names, so no fit with other settings is read instead.
    `title` is its name in messages.
    """

    name: str
    settings: Mapping[str, Any]
    title: str = ""

    def plain_settings(self) -> dict[str, Any]:
        """Return the settings as JSON gives them back."""
        return dict(json.loads(to_json(dict(self.settings))))

    def path(self, folder: Path) -> Path:
        """Return the file of the fit in a folder."""
        settings = json.dumps(self.plain_settings(), sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return folder / f"{self.name}-{digest}.json"


def load(spec: FitSpec, folder: Path, kind: type[Fit]) -> Fit | None:
    """Read a stored fit; None where there is none, or where its arrays are missing.

    Args:
        spec: The fit.
        folder: The folder of stored fits.
        kind: The dataclass of the result. Numbers and lists are as JSON has them.

    Raises:
        ValueError: Where the file is damaged or holds another fit.
    """
    path = spec.path(folder)
    if not path.is_file():
        return None
    tensors = path.with_suffix(".safetensors")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        # Earlier versions stored the record of `thalweg fit-vae` with its request.
        bare = "asked" not in stored
        asked, found = (stored["request"], stored) if bare else (stored["asked"], stored["found"])
        if stored.get("arrays"):
            if not tensors.is_file():
                return None
            found = {**found, **read_tensors(tensors)[0]}
        same = spec.plain_settings().items() <= asked.items()
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        needed = {f.name for f in fields if f.default is dataclasses.MISSING}
        if same and needed <= found.keys():
            return kind(**{f.name: found[f.name] for f in fields if f.name in found})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} is damaged; remove it and the model is fitted again") from None
    raise ValueError(f"{path} is no record of {spec.title or spec.name}; remove it")


def load_or_run(spec: FitSpec, folder: Path, kind: type[Fit], fit: Callable[[Path], Fit]) -> Fit:
    """Read a stored fit, or run `fit` and store its result.

    Args:
        spec: The fit.
        folder: The folder of stored fits, made where it is missing.
        kind: The dataclass of the result.
        fit: Makes the fit. It gets the path of the file without suffix, and may leave checkpoints
            there, `PATH*.checkpoint`, which are removed at the end.

    Raises:
        ValueError: Where the file is damaged or holds another fit.
    """
    found = load(spec, folder, kind)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    path = spec.path(folder)
    made = dataclasses.asdict(fit(path.with_suffix("")))  # type: ignore[call-overload]
    arrays = {k: v for k, v in made.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    if arrays:
        write_tensors(path.with_suffix(".safetensors"), arrays, {})
    plain = {k: v for k, v in made.items() if k not in arrays}
    # The description is written last: where it exists, the fit is complete.
    write_text(path, to_json({"asked": spec.plain_settings(), "found": plain, "arrays": [*arrays]}))
    for checkpoint in folder.glob(f"{path.stem}*.checkpoint"):
        checkpoint.unlink()
    # Read back, so that a table is the same whether its fits were made or read.
    found = load(spec, folder, kind)
    assert found is not None
    return found

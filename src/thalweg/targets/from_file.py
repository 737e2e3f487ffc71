"""Targets from a Python file: a function or a `Target` in it, by name."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from thalweg.files.regular import shorten
from thalweg.targets.from_function import from_function, with_article
from thalweg.targets.target import Target
from thalweg.targets.user_code import load_module, printing_to_stderr


def from_file(spec: str, dim: int | None = None) -> Target:
    """A target from `"path/to/file.py:NAME"`, where NAME is a function or a `Target`.

    A function is ln p̃ (nats) of one point of shape (dim,). Where the file has a dictionary
    `parameters` (and one of `supports`), it is one of named parameters, as in `from_function`, and
    `dim` is not needed; nor is it for a `Target`.

    The file runs once, as a module of a private name, and can import its neighbours while it
    runs; neither it nor they stay in `sys.modules`, no bytecode is written, the working folder and
    `sys.argv` are put back, and what is printed goes to stderr. Raises `ValueError` where there is
    no such file or name (listing those there are), where the file raises (with the line), or where
    `dim` is missing or not positive.
    """
    path_text, colon, name = spec.rpartition(":")
    if not colon:
        path_text = spec
    if not path_text or not path_text.strip("/"):
        raise ValueError(f"a target in a file is written file.py:NAME, got {spec!r:.80}")
    path = Path(os.path.expanduser(path_text))
    # Not by the path's own `is_file`, which raises for names that no file can have.
    if not os.path.isfile(path):
        raise ValueError(f"no such file: {shorten(path_text)}")
    module, files = load_module(path.resolve(), path_text)
    if not colon or not name:
        raise ValueError(
            f"write {path_text}:NAME, where NAME is a function or a Target in it; "
            f"{_candidates(module)}"
        )
    found = getattr(module, name, None)
    if found is None and name not in vars(module):
        close = difflib.get_close_matches(name, [*_functions(module), *_targets(module)], 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{path_text} has no function {name!r}{hint}; {_candidates(module)}")
    reference = f"{path.resolve()}:{name}"
    if isinstance(found, Target):
        if dim is not None and dim != found.dim:
            raise ValueError(f"dim={dim} was given for {spec}, a target of dimension {found.dim}")
        return replace(found, reference=reference, files={**found.files, **files})
    if not callable(found):
        kind = with_article(type(found).__name__)
        pymc = type(found).__module__.startswith("pymc.")
        hint = "; make one of it by thalweg.targets.from_pymc and name that" if pymc else ""
        raise ValueError(f"{name!r} in {path_text} is {kind}, not a function or a Target{hint}")
    declared = getattr(module, "parameters", None)
    if declared is None and dim is None:
        raise ValueError(
            f"{spec} needs dim, the number of coordinates of a point, or the dictionary "
            f"`parameters` in {path_text}"
        )
    supports = None if declared is None else getattr(module, "supports", None)
    function = printing_to_stderr(found)
    target = from_function(function, dim, name, parameters=declared, supports=supports)
    return replace(target, reference=reference, files=files)


def _functions(module: ModuleType) -> list[str]:
    def own(value: Any) -> bool:
        here = getattr(value, "__module__", None) == module.__name__
        return callable(value) and not isinstance(value, type) and here

    return sorted(n for n, value in vars(module).items() if own(value) and not n.startswith("_"))


def _targets(module: ModuleType) -> list[str]:
    return sorted(n for n, value in vars(module).items() if isinstance(value, Target))


def _candidates(module: ModuleType) -> str:
    """What a file has that a target can be made of, as the end of a sentence."""
    kinds = {"functions": _functions(module), "Targets": _targets(module)}
    listed = [f"its {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    return "; ".join(listed) or "it defines no functions"

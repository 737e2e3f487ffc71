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
from thalweg.targets.user_code import load_module, print_to_stderr


def from_file(spec: str, dim: int | None = None) -> Target:
    """A target from `"path/to/file.py:NAME"`, where NAME is a function or a `Target`.

    The file runs once, as a module of a private name, and can import its neighbours while it runs;
    neither it nor they stay in `sys.modules`, no bytecode is written, the working folder and
    `sys.argv` are put back, and what is printed goes to stderr.

    Args:
        spec: The path of the file and a name in it. A function is ln p̃ (nats) of one point (dim,),
            or, where the file has a dictionary `parameters` (and one of `supports`), of named
            parameters, as in `from_function`.
        dim: The number of coordinates; not needed for named parameters and for a `Target`.

    Returns:
        The target, with the digests of the files that it was made from.

    Raises:
        ValueError: There is no such file or name (listing those there are), the file raises (with
            the line), or `dim` is missing or not positive.

    Example:
        >>> import pathlib, tempfile
        >>> import thalweg as tw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.py")
        ...     _ = path.write_text("bowl = lambda x: -(x**2).sum()")
        ...     target = tw.targets.from_file(f"{path}:bowl", dim=3)
        >>> target.name, target.dim
        ('bowl', 3)
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
    candidates = _candidates(module)
    listed = [f"its {kind}: {', '.join(names)}" for kind, names in candidates.items() if names]
    known = "; ".join(listed) or "it defines no functions"
    if not colon or not name:
        raise ValueError(
            f"write {path_text}:NAME, where NAME is a function or a Target in it; {known}"
        )
    found = getattr(module, name, None)
    if found is None and name not in vars(module):
        close = difflib.get_close_matches(
            name, [*candidates["functions"], *candidates["Targets"]], 1
        )
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{path_text} has no function {name!r}{hint}; {known}")
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
    function = print_to_stderr(found)
    target = from_function(function, dim, name, parameters=declared, supports=supports)
    return replace(target, reference=reference, files=files)


def _candidates(module: ModuleType) -> dict[str, list[str]]:
    """The functions and the targets of a file, by name."""

    def is_function(name: str, value: Any) -> bool:
        here = getattr(value, "__module__", None) == module.__name__
        return here and callable(value) and not isinstance(value, type) and name[0] != "_"

    found = sorted(vars(module).items())
    return {
        "functions": [name for name, value in found if is_function(name, value)],
        "Targets": [name for name, value in found if isinstance(value, Target)],
    }

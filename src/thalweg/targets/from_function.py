"""Targets from a user's own log density: a function, or a function in a file."""

from __future__ import annotations

import difflib
import importlib
import sys
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from thalweg.targets.options import whole
from thalweg.targets.target import LogDensity, Target
from thalweg.targets.tracebacks import line_in, what


def from_function(log_density: LogDensity, dim: int, name: str | None = None) -> Target:
    """A target from ln p̃ (nats, any constant) of one point of shape (dim,), written in JAX.

    `name` is the function's own name by default. Nothing is evaluated here: `check_target` does.
    Raises `ValueError` where `log_density` cannot be called or `dim` is not positive.
    """
    if not callable(log_density):
        raise ValueError(
            f"the log density must be a function, got {_article(type(log_density).__name__)}"
        )
    dim = whole("dim", dim)
    own = getattr(log_density, "__name__", type(log_density).__name__)
    return Target(name or own, dim, log_density, source="user")


def from_file(spec: str, dim: int | None = None) -> Target:
    """A target from `"path/to/file.py:function"`: ln p̃ (nats) of one point of shape (dim,).

    The file runs once, as a module of a private name, and can import its neighbours while it
    runs; neither it nor they stay in `sys.modules`, and no bytecode is written. Raises
    `ValueError` where there is no such file or function, where the file raises (with the line),
    or where `dim` is missing or not positive.
    """
    path_text, colon, function_name = spec.rpartition(":")
    if not colon or not path_text or not function_name:
        raise ValueError(f"a target in a file is written file.py:function, got {spec!r}")
    path = Path(path_text).expanduser()
    if not path.is_file():
        raise ValueError(f"no such file: {path_text}")
    if dim is None:
        raise ValueError(f"{spec} needs dim, the number of coordinates of a point")
    dim = whole("dim", dim)
    module = _load(path.resolve(), path_text)
    function = getattr(module, function_name, None)
    if function is None and function_name not in vars(module):
        known = _functions(module)
        close = difflib.get_close_matches(function_name, known, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        listed = f"its functions: {', '.join(known)}" if known else "it defines no functions"
        raise ValueError(f"{path_text} has no function {function_name!r}{hint}; {listed}")
    if not callable(function):
        kind = _article(type(function).__name__)
        raise ValueError(f"{function_name!r} in {path_text} is {kind}, not a function")
    target = from_function(function, dim, function_name)
    return replace(target, reference=f"{path.resolve()}:{function_name}")


def _load(path: Path, shown: str) -> ModuleType:
    module = ModuleType(f"_thalweg_target_{path.stem}")
    module.__file__ = str(path)
    # Reading and compiling it here, not through an import loader, is what keeps the folder clean.
    with _importable(path.parent, module):
        try:
            with tokenize.open(path) as file:
                source = file.read()
            exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a script may well call sys.exit()
            line = line_in(error, str(path))
            where = "" if line is None else f" at line {line}"
            raise ValueError(f"{shown} could not be run{where}: {what(error)}") from error
    return module


@contextmanager
def _importable(folder: Path, module: ModuleType) -> Iterator[None]:
    """`folder` first on the path and `module` registered, with everything put back after."""
    before, path, silent = dict(sys.modules), list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    # Dataclasses and the like look their own module up while it runs.
    sys.modules[module.__name__] = module
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = silent
        for name in [n for n in sys.modules if n not in before]:
            # Libraries stay; a neighbour must go, or the next file with a neighbour of that name
            # would get this one. `__file__` is None for namespace packages.
            file = getattr(sys.modules[name], "__file__", None)
            if name == module.__name__ or (file and Path(file).parent == folder):
                del sys.modules[name]


def _functions(module: ModuleType) -> list[str]:
    def own(value: Any) -> bool:
        here = getattr(value, "__module__", None) == module.__name__
        return callable(value) and not isinstance(value, type) and here

    return sorted(n for n, value in vars(module).items() if own(value) and not n.startswith("_"))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

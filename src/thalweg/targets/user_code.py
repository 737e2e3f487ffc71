"""A user's Python code, run so that it changes nothing around it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from thalweg.files.digests import digests
from thalweg.targets.opened_files import belongs_to_user, record_files_read
from thalweg.targets.tracebacks import line_in, what

Function = TypeVar("Function", bound=Callable[..., Any])


def print_to_stderr(function: Function) -> Function:
    """Return the function, with its output on stderr."""

    @functools.wraps(function)
    def quiet(*args: Any, **kwargs: Any) -> Any:
        with contextlib.redirect_stdout(sys.stderr):
            return function(*args, **kwargs)

    return cast(Function, quiet)


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed meanwhile
        return None


def load_module(path: Path, shown: str) -> tuple[ModuleType, dict[str, str]]:
    """Return the module, and the digests of the file and of all that it reads: data, neighbours."""
    module = ModuleType(f"_thalweg_target_{path.stem}")
    module.__file__ = str(path)
    # Reading and compiling it here, not through an import loader, is what keeps the folder clean.
    with record_files_read() as opened, _undone(path, module, opened):
        try:
            with tokenize.open(path) as file:
                source = file.read()
            exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:  # a script may well call sys.exit()
            line = line_in(error, str(path))
            where = "" if line is None else f" at line {line}"
            raise ValueError(f"{shown} could not be run{where}: {what(error)}") from error
    read = sorted({Path(name).resolve() for name in opened})
    return module, digests([path, *(one for one in read if belongs_to_user(one, path.parent))])


@contextlib.contextmanager
def _undone(path: Path, module: ModuleType, opened: set[str]) -> Iterator[None]:
    """Let a script import its neighbours, alone on its command line; put everything back after.

    What is printed goes to stderr: standard output is for results, which other programs read. The
    files of modules that come in meanwhile are added to those that are `opened`: of one that was
    compiled before Python reads no source.
    """
    before, folder = dict(sys.modules), _working_folder()
    kept = {name: getattr(sys, name) for name in ("argv", "path", "dont_write_bytecode")}
    sys.argv, sys.path, sys.dont_write_bytecode = [str(path)], [str(path.parent), *sys.path], True
    # Dataclasses and the like look their own module up while it runs.
    sys.modules[module.__name__] = module
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        for name, value in kept.items():
            setattr(sys, name, value)
        if folder is not None and _working_folder() != folder:
            os.chdir(folder)
        for name in [n for n in sys.modules if n not in before]:
            # Libraries stay; a neighbour must go, or the next file with a neighbour of that name
            # would get this one. `__file__` is None for namespace packages.
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(path.parent):
                opened.add(str(Path(file)))
            if name == module.__name__ or (file and Path(file).parent == path.parent):
                del sys.modules[name]

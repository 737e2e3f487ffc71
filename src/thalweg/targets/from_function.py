"""Targets from a user's own log density: a function, or a function in a file."""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from thalweg.digests import digests
from thalweg.parameters import Parameters
from thalweg.supports import Support
from thalweg.targets.opened_files import belongs_to_user, files_read
from thalweg.targets.options import whole
from thalweg.targets.target import LogDensity, Target
from thalweg.targets.tracebacks import line_in, what


def from_function(
    log_density: Callable[[Any], Any],
    dim: int | None = None,
    name: str | None = None,
    *,
    parameters: Mapping[str, Any] | Parameters | None = None,
    supports: Mapping[str, str | Support] | None = None,
) -> Target:
    """A target from ln p̃ (nats, any constant) of one point, written in JAX.

    The point is a vector of shape (dim,), or, with `parameters`, a dictionary of arrays by name,
    each within its support; see `Parameters.declare`. The determinant of the map from
    unconstrained coordinates is added here, so ln p̃ is the density of the parameters as they are.
    `name` is the function's own name by default. Nothing is evaluated here: `check_target` does.
    Raises `ValueError` where `log_density` cannot be called, `dim` is not positive, or the
    parameters are not well declared.
    """
    if not callable(log_density):
        raise ValueError(
            f"the log density must be a function, got {_article(type(log_density).__name__)}"
        )
    own = getattr(log_density, "__name__", type(log_density).__name__)
    if parameters is None:
        if supports:
            raise ValueError("supports go with parameters={name: shape}, which are not given")
        if dim is None:
            raise ValueError("a function needs dim=…, the number of its parameters")
        return Target(name or own, whole("dim", dim), log_density, source="user")
    if isinstance(parameters, Parameters):
        if supports:
            raise ValueError("these parameters have their supports already")
        declared = parameters
    else:
        declared = Parameters.declare(parameters, supports)
    if dim is not None and dim != declared.dim:
        raise ValueError(f"dim={dim} was given for parameters of {declared.dim} free numbers")
    return Target(
        name or own,
        declared.dim,
        unconstrained(log_density, declared),
        source="user",
        parameters=declared,
    )


def unconstrained(log_density: Callable[[Any], Any], parameters: Parameters) -> LogDensity:
    """ln p̃ of unconstrained coordinates: that of the parameters, plus ln|det| of the map."""

    @functools.wraps(log_density)
    def of_coordinates(u: Array) -> Array:
        tree, log_det = parameters.constrain(u)
        value = log_density(tree)
        # What is not one real number goes on as it is: `check_target` says so in words.
        array = isinstance(value, (float, np.ndarray, np.generic, jax.Array))
        single = (
            array
            and jnp.shape(value) == ()
            and jnp.issubdtype(jnp.result_type(value), jnp.floating)
        )
        return value + log_det if single else value

    return of_coordinates


def from_file(spec: str, dim: int | None = None) -> Target:
    """A target from `"path/to/file.py:function"`: ln p̃ (nats) of one point of shape (dim,).

    The file runs once, as a module of a private name, and can import its neighbours while it
    runs; neither it nor they stay in `sys.modules`, and no bytecode is written. Where the file has
    a dictionary `parameters` (and one of `supports`), the function is one of named parameters, as
    in `from_function`, and `dim` is not needed. Raises `ValueError` where there is no such file or
    function, where the file raises (with the line), or where `dim` is missing or not positive.
    """
    path_text, colon, function_name = spec.rpartition(":")
    if not colon or not path_text or not function_name:
        raise ValueError(f"a target in a file is written file.py:function, got {spec!r}")
    path = Path(path_text).expanduser()
    if not path.is_file():
        raise ValueError(f"no such file: {path_text}")
    module, files = _load(path.resolve(), path_text)
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
    declared = getattr(module, "parameters", None)
    if declared is None and dim is None:
        raise ValueError(
            f"{spec} needs dim, the number of coordinates of a point, or the dictionary "
            f"`parameters` in {path_text}"
        )
    supports = None if declared is None else getattr(module, "supports", None)
    target = from_function(function, dim, function_name, parameters=declared, supports=supports)
    return replace(target, reference=f"{path.resolve()}:{function_name}", files=files)


def _load(path: Path, shown: str) -> tuple[ModuleType, dict[str, str]]:
    """The module, and the digests of the file and of all that it has read: data, neighbours."""
    module = ModuleType(f"_thalweg_target_{path.stem}")
    module.__file__ = str(path)
    # Reading and compiling it here, not through an import loader, is what keeps the folder clean.
    with files_read() as opened, _importable(path.parent, module, opened):
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
    read = sorted({Path(name).resolve() for name in opened})
    return module, digests([path, *(one for one in read if belongs_to_user(one, path.parent))])


@contextmanager
def _importable(folder: Path, module: ModuleType, opened: set[str]) -> Iterator[None]:
    """`folder` first on the path and `module` registered, with everything put back after.

    The files of modules that come in meanwhile are added to those that are `opened`: of one that
    was compiled before Python reads no source.
    """
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
            if file and Path(file).is_relative_to(folder):
                opened.add(str(Path(file)))
            if name == module.__name__ or (file and Path(file).parent == folder):
                del sys.modules[name]


def _functions(module: ModuleType) -> list[str]:
    def own(value: Any) -> bool:
        here = getattr(value, "__module__", None) == module.__name__
        return callable(value) and not isinstance(value, type) and here

    return sorted(n for n, value in vars(module).items() if own(value) and not n.startswith("_"))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

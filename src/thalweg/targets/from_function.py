"""Targets from a user's own log density: a function, or a function in a file."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
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

from thalweg.files.digests import digests
from thalweg.files.regular import shorten
from thalweg.parameters import Parameters
from thalweg.supports import Support
from thalweg.targets.opened_files import belongs_to_user, files_read
from thalweg.targets.size import dimension
from thalweg.targets.surroundings import kept_surroundings, printing_to_stderr
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
        return Target(name or own, dimension(dim), log_density, source="user")
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
    module, files = _load(path.resolve(), path_text)
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
        kind = _article(type(found).__name__)
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


def _load(path: Path, shown: str) -> tuple[ModuleType, dict[str, str]]:
    """The module, and the digests of the file and of all that it has read: data, neighbours."""
    module = ModuleType(f"_thalweg_target_{path.stem}")
    module.__file__ = str(path)
    # Reading and compiling it here, not through an import loader, is what keeps the folder clean.
    with (
        kept_surroundings(path),
        files_read() as opened,
        _importable(path.parent, module, opened),
    ):
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


def _targets(module: ModuleType) -> list[str]:
    return sorted(n for n, value in vars(module).items() if isinstance(value, Target))


def _candidates(module: ModuleType) -> str:
    """What a file has that a target can be made of, as the end of a sentence."""
    kinds = {"functions": _functions(module), "Targets": _targets(module)}
    listed = [f"its {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    return "; ".join(listed) or "it defines no functions"


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

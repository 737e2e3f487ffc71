"""A Stan program: what it declares, its C++, and the library that is compiled from it, once.

The package httpstan carries all that this needs: stanc, Stan's headers and its libraries. Its own
extension modules are not used: they leave out the constants of the density, which the evidence
needs, and read the data again for every value.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import platformdirs

_BEHIND = ("rows.cpp", "interface.cpp", "handlers.cpp")  # what is compiled behind a program
_COMPILERS = ("g++", "clang++", "c++")
_DEFINED = (
    "BOOST_DISABLE_ASSERTS",
    "BOOST_PHOENIX_NO_VARIADIC_EXPRESSION",
    "STAN_THREADS",
    "_REENTRANT",
    "_GLIBCXX_USE_CXX11_ABI=0",  # as in the libraries of the package
    # Simplices and correlations that were float32 on their way must not be refused.
    "STAN_MATH_CONSTRAINT_TOLERANCE=1e-5",
)
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-w")


@dataclass(frozen=True)
class Program:
    """A program as stanc reads it: its file, its C++, its data and parameters with their types."""

    path: Path
    cpp: str
    inputs: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Mapping[str, Any]]
    included: tuple[Path, ...]


def stan_folder() -> Path:
    """Return the folder of httpstan; `ValueError` where it is not installed."""
    # Looked up and not imported: the package would bring a web server and a build system along.
    found = importlib.util.find_spec("httpstan")
    if found is None or found.origin is None:
        raise ValueError("a Stan program needs httpstan: pip install 'thalweg[stan]'")
    return Path(found.origin).parent


def read_program(path: Path, folder: Path) -> Program:
    """Have stanc read a file; raise `ValueError` with its line where it is no program."""
    info = json.loads(_stanc(folder, path, "--info"))
    cpp = _stanc(folder, path, "--name", "thalweg_model", "--print-cpp")
    included = tuple(path.parent / name for name in info["included_files"])
    return Program(path, cpp, info["inputs"], info["parameters"], included)


def _stanc(folder: Path, path: Path, *options: str) -> str:
    # From within the folder: options and names go into the C++, and the same program in another
    # place need not be compiled again.
    command = [str(folder / "stanc"), *options, "--include-paths=.", path.name]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", check=False, cwd=path.parent
        )
    except OSError as error:
        raise ValueError(f"stanc of httpstan does not run here: {error.strerror}") from None
    if done.returncode != 0:
        raise ValueError(_one_sentence(path.name, done.stderr))
    return done.stdout


def _one_sentence(name: str, said: str) -> str:
    """Return where stanc stopped and why; it shows the lines around between the two, ruled off."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if "rror in" in line), 0)
    rules = [i for i, line in enumerate(lines) if i > first and line.startswith("-----")]
    where = lines[first].rstrip(":") if lines else "stanc gives no reason"
    why = " ".join(lines[rules[1] + 1 :] if len(rules) > 1 else lines[first + 1 :])
    return f"{name} is no Stan program: {where}" + (f": {why.rstrip('.')}" if why else "")


def compile_library(program: Program, folder: Path) -> Path:
    """Return the shared library of a program, from the user's cache or compiled into it.

    Compiling takes a minute or more and is announced on stderr. The name in the cache goes by all
    that is compiled and how. Raises `ValueError` where there is no compiler, it fails, or the
    cache cannot be written.
    """
    own = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _BEHIND]
    source = "\n".join([program.cpp, *own])
    options = [*_FLAGS, *(f"-D{one}" for one in _DEFINED), f"-I{folder / 'include'}"]
    options.append(f"-I{jax.ffi.include_dir()}")
    linked = ["-lsundials_cvodes", "-lsundials_idas", "-lsundials_nvecserial", "-ltbb"]
    linked = [f"-L{folder / 'lib'}", *linked, f"-Wl,-rpath,{folder / 'lib'}"]
    # Another jaxlib has other headers in the same folder.
    machine = [platform.system(), platform.machine(), importlib.metadata.version("jaxlib")]
    everything = [source, *options, *linked, *machine]
    digest = hashlib.sha256("\0".join(everything).encode()).hexdigest()[:32]
    cache = Path(platformdirs.user_cache_dir("thalweg")) / "stan"
    library = cache / f"{digest}.so"
    if library.is_file():
        return library
    compiler = find_compiler(program.path.name)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            code, made = Path(scratch) / "model.cpp", Path(scratch) / "model.so"
            code.write_text(source, encoding="utf-8")
            print(
                f"thalweg: compiling {program.path.name}, once; this takes a minute or more",
                file=sys.stderr,
                flush=True,
            )
            command = [compiler, *options, "-o", str(made), str(code), *linked]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
            if done.returncode != 0:
                errors = [line.strip() for line in done.stderr.splitlines() if "rror" in line]
                first = errors[0] if errors else "it gives no reason (is there enough memory?)"
                used, name = Path(compiler).name, program.path.name
                raise ValueError(f"{used} cannot compile {name}: {first:.200}")
            os.replace(made, library)
    except OSError as error:
        raise ValueError(f"cannot compile into {cache}: {error.strerror}") from None
    return library


def find_compiler(name: str) -> str:
    """The C++ compiler, $CXX first; `ValueError` with advice where there is none."""
    for candidate in (os.environ.get("CXX"), *_COMPILERS):
        if candidate and (found := shutil.which(candidate)):
            return found
    raise ValueError(
        f"{name} must be compiled and this machine has no C++ compiler: install g++ (Debian: apt "
        "install g++) or write the density in JAX"
    )

"""`thalweg doctor`: what a machine has, what it lacks, and whether the compilation cache works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
import time
from typing import Any, cast

import click

from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit_result

VERSIONS = ("thalweg", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy")
NO_EXTRAS = frozenset({"dev", "test"})


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Tell versions, devices and precision, whether the cache hits, and which extras are missing.

    The cache is tried: a small program is compiled, forgotten, and asked for again. Where it does
    not hit, every process compiles all programs anew.
    """
    start_jax()
    import jax

    from thalweg.precision import current_precision

    found: dict[str, Any] = {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
        "devices": [str(device) for device in jax.devices()],
        "precision": current_precision(),
        "cache": try_cache(),
        "extras": missing_of_extras(),
    }
    return emit_result(as_json, found, *lines(found))


def lines(found: dict[str, Any]) -> list[str]:
    """Return what was found in sentences."""
    cache, versions = found["cache"], found["versions"]
    others = ", ".join(f"{name} {versions[name]}" for name in VERSIONS[1:])
    shown = [
        f"thalweg {versions['thalweg']}, Python {found['python']} ({sys.executable})",
        others,
        f"devices: {', '.join(found['devices'])}; default precision: {found['precision']}",
        _cache_line(cache),
    ]
    for extra, missing in sorted(found["extras"].items()):
        said = f"pip install 'thalweg[{extra}]' (missing: {', '.join(missing)})"
        shown.append(f"{extra}: {said if missing else 'installed'}")
    return shown


def _cache_line(cache: dict[str, Any]) -> str:
    if cache["folder"] is None:
        return "compilation cache: none (THALWEG_CACHE is off, or its folder is not writable)"
    size = f"{cache['programs']} programs, {cache['bytes'] / 1e6:.0f} MB in {cache['folder']}"
    if cache["hits"]:
        return f"compilation cache: works; {size}"
    return (
        "compilation cache: DOES NOT HIT, so every process compiles anew (some versions of JAX "
        f"refuse cached programs on some processors); {size}"
    )


def try_cache() -> dict[str, Any]:
    """Compile a program that is new, forget it, and ask for it again: is it read from disk?"""
    from pathlib import Path

    import jax
    import jax.numpy as jnp
    from jax import monitoring

    config = cast(Any, jax.config)
    folder = config.jax_compilation_cache_dir
    if not folder:
        return {"folder": None, "programs": 0, "bytes": 0, "hits": False}
    files = [entry.stat().st_size for entry in Path(folder).glob("*") if entry.is_file()]
    heard: list[str] = []
    new = time.time()  # in the program, so that no earlier trial has left the same one
    monitoring.register_event_listener(lambda event, **_: heard.append(event))
    least = config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    try:
        for _ in range(2):
            jax.jit(lambda x: x + new)(jnp.zeros(2)).block_until_ready()
            jax.clear_caches()
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    hits = any(name.endswith("/cache_hits") for name in heard)
    return {"folder": folder, "programs": len(files), "bytes": sum(files), "hits": hits}


def missing_of_extras() -> dict[str, list[str]]:
    """Return what each extra of the package asks for and this environment lacks."""
    found: dict[str, list[str]] = {}
    for wanted in importlib.metadata.requires("thalweg") or []:
        requirement, _, condition = wanted.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", condition)
        if extra is None or extra[1] in NO_EXTRAS or not _applies(condition):
            continue
        name = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
        missing = found.setdefault(extra[1], [])
        if not _is_installed(name):
            missing.append(name)
    return found


def _applies(condition: str) -> bool:
    """Whether a condition on the version of Python, the only kind that we use, holds."""
    of_python = re.search(r"python_version\s*(<|>=)\s*['\"](\d+)\.(\d+)['\"]", condition)
    if of_python is None:
        return True
    limit = int(of_python[2]), int(of_python[3])
    return (sys.version_info[:2] < limit) == (of_python[1] == "<")


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.util.find_spec(name.replace("-", "_")) is not None
    return True

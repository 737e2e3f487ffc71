"""Compiled programs kept on disk, so that what one process has compiled the next only reads."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, cast

import jax
import platformdirs
from jax.experimental.compilation_cache import compilation_cache

SWITCH = "THALWEG_CACHE"  # "off" turns it off
MOST_BYTES = 2**30  # of all programs; beyond it the oldest are deleted
KEPT_PART = 0.75  # of these, after a deletion
LEAST_SECONDS = 0.01  # a program that compiles faster is not kept


def use_compilation_cache() -> Path | None:
    """Let JAX keep compiled programs in the user's cache folder; return it, or None.

    A folder that the user chose (`JAX_COMPILATION_CACHE_DIR`, `jax_compilation_cache_dir`) stays
    as it is, and `THALWEG_CACHE=off` leaves the cache off. Each kind of processor, each jaxlib and
    each thalweg has a folder of its own: a program of one may not run on the other. Where the
    folder cannot be written there is none, which costs a compilation and nothing else.
    """
    chosen = cast(Any, jax.config).jax_compilation_cache_dir
    if chosen:
        return Path(chosen)
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    every = Path(platformdirs.user_cache_dir("thalweg")) / "compiled"
    folder = every / _kind_of_program()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        delete_oldest(every, MOST_BYTES)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # Whoever compiled before has made JAX settle that there is no cache.
    compilation_cache.reset_cache()
    return folder


def delete_oldest(folder: Path, most: int) -> None:
    """Delete the oldest files below a folder where all together have more bytes than `most`.

    Another process may do the same at the same time.
    """
    found = []
    for entry in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if entry.is_file():
                found.append((entry, entry.stat()))
    size = sum(facts.st_size for _, facts in found)
    if size <= most:
        return
    for entry, facts in sorted(found, key=lambda one: one[1].st_mtime):
        if size <= KEPT_PART * most:
            break
        entry.unlink(missing_ok=True)
        size -= facts.st_size


def _kind_of_program() -> str:
    """Return a word for the processor and the versions that a program is compiled for and by."""
    versions = (importlib.metadata.version(name) for name in ("jaxlib", "thalweg"))
    facts = "\n".join([platform.machine(), *_processor_flags(), *versions])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _processor_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return [platform.processor()]
    named = ("flags", "Features", "model name")
    return sorted({line for line in lines if line.startswith(named)})

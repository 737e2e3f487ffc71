"""What a verb that computes sets up first: precision and the compilation cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def start_jax(x64: bool = False) -> None:
    """Import JAX with the persistent compilation cache in the user's cache folder.

    The second run of a program then starts at once. `JAX_COMPILATION_CACHE_DIR` moves the cache;
    `THALWEG_CACHE=off` turns it off.
    """
    # The factorisations of a fit are tiny; threads of the BLAS only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax
    import platformdirs

    from thalweg.backend import check_backend

    if x64:
        jax.config.update("jax_enable_x64", True)
    check_backend()
    if os.environ.get("THALWEG_CACHE", "").lower() == "off":
        return
    if not cast(Any, jax.config).jax_compilation_cache_dir:
        folder = Path(platformdirs.user_cache_dir("thalweg")) / "compiled"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # a home that cannot be written costs a compilation, nothing else
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def json_option(command: Command) -> Command:
    """`--json`: one JSON object on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")(
        command
    )


def force_option(command: Command) -> Command:
    """`--force`: what is there may be replaced."""
    return click.option("--force", is_flag=True, help="Replace FILE where there is one.")(command)


def x64_option(command: Command) -> Command:
    """`--x64`: float64."""
    return click.option("--x64", is_flag=True, help="Compute in float64.")(command)

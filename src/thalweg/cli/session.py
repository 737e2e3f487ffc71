"""Set-up of JAX, precision and compilation cache for a verb, and options that verbs share."""

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


def combine(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator that adds several options in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
force_option = click.option("--force", is_flag=True, help="Replace FILE where there is one.")

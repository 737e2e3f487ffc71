"""Set-up of JAX, precision and compilation cache for a verb, and options that verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def start_jax(x64: bool = False) -> None:
    """Import JAX with the compilation cache of `thalweg.compilation_cache`."""
    # The factorisations of a fit are tiny; threads of the BLAS only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax

    from thalweg.backend import check_backend
    from thalweg.compilation_cache import use_compilation_cache

    if x64:
        jax.config.update("jax_enable_x64", True)
    check_backend()
    use_compilation_cache()


def combine(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator that adds several options in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
force_option = click.option("--force", is_flag=True, help="Replace FILE where there is one.")

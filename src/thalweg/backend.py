"""Whether JAX can compute in this process: its device, and a fork after it began."""

from __future__ import annotations

import os
import sys

import jax

_forked_in_use = False


def _note_fork() -> None:
    """Note in a forked child whether JAX had computed in the parent process."""
    global _forked_in_use
    bridge = sys.modules.get("jax._src.xla_bridge")
    _forked_in_use = _forked_in_use or bool(getattr(bridge, "_backends", None))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def check_backend() -> None:
    """Raise `ValueError` where JAX cannot compute in this process, instead of waiting for ever.

    A forked process is a copy of one thread, without those by which JAX computes; and the platform
    that `JAX_PLATFORMS` names may be missing.
    """
    if _forked_in_use:
        raise ValueError(
            "this process was forked from one in which JAX had computed already, and JAX cannot "
            "work in it; start workers with multiprocessing.get_context('spawn')"
        )
    try:
        jax.devices()
    except Exception as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"JAX finds no device to compute on (JAX_PLATFORMS is {asked!r}; {said}); "
            "unset JAX_PLATFORMS or set it to cpu"
        ) from error

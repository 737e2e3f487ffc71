"""The compile time that JAX reports."""

from __future__ import annotations

from typing import Any, cast

import jax

_EVENTS = {
    "/jax/core/compile/backend_compile_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/jaxpr_trace_duration",
}
_total = 0.0
_listening = False


def _listen(event: str, duration: float, **_: object) -> None:
    global _total
    if event in _EVENTS:
        _total += duration


def compile_seconds() -> float:
    """Return the seconds of tracing, lowering and compiling since the first call.

    JAX counts a function traced inside another in both, so this errs on the high side.

    Returns:
        Seconds, of which to take differences.

    Example:
        >>> import jax, thalweg as tw
        >>> before = tw.training.compile_seconds()
        >>> jax.jit(lambda x: 2 * x)(1.0).item()
        2.0
        >>> tw.training.compile_seconds() > before
        True
    """
    global _listening
    if not _listening:
        # The listener's type demands keywords that JAX does not always pass.
        jax.monitoring.register_event_duration_secs_listener(cast(Any, _listen))
        _listening = True
    return _total

"""What went wrong in somebody else's code, in one sentence."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LONGEST = 200


def what(error: BaseException) -> str:
    """`TypeName: first line of the message`, shortened."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip().rstrip(".") if lines else ""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def failure(error: BaseException) -> str | None:
    """What code that runs outside of a compiled program said when it failed there.

    None where the program failed by itself, for want of memory for example.
    """
    text = str(error)
    if "callback" not in text.lower() and "Equinox" not in type(error).__name__:
        return None
    said = [line for line in text.splitlines() if "Error: " in line]
    return said[-1].rpartition("Error: ")[2].strip().rstrip(".") if said else what(error)


def line_in(error: BaseException, file: str) -> int | None:
    """The line of `file` that the error came through last, or None."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return lines[-1] if lines else None


def place(error: BaseException, function: Callable[..., Any]) -> str:
    """` (line 4 of model.py)`, or nothing where the function's source is not known."""
    inner = inspect.unwrap(function)
    inner = getattr(inner, "func", inner)  # functools.partial
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    if code is None:
        return ""
    line = line_in(error, code.co_filename)
    return "" if line is None else f" (line {line} of {Path(code.co_filename).name})"

"""Errors in a user's code, in one sentence."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LONGEST = 200
# Where code lies that the user of thalweg did not write.
_PACKAGES = ("site-packages", "dist-packages")
_OWN = Path(__file__).parents[1]
_STANDARD = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
# Code without a file that is a person's all the same.
_TYPED_IN = ("<stdin>", "<string>", "<ipython", "<cell", "<doctest")


def what(error: BaseException) -> str:
    """Return `TypeName: first line of the message`, shortened; raise a user's interrupt again."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    kind = type(error).__name__
    try:
        lines = str(error).strip().splitlines()
    except KeyboardInterrupt:
        raise
    except BaseException:  # a message that fails is not worth another error
        return kind
    text = lines[0].strip().rstrip(".") if lines else ""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return f"{kind}: {text}" if text else kind


def failure(error: BaseException) -> str | None:
    """Return the message of code that a compiled program called, and that failed.

    None where the program failed by itself, for want of memory for example.
    """
    text = str(error)
    if "callback" not in text.lower() and "Equinox" not in type(error).__name__:
        return None
    said = [line for line in text.splitlines() if "Error: " in line]
    return said[-1].rpartition("Error: ")[2].strip().rstrip(".") if said else what(error)


def line_in(error: BaseException, file: str) -> int | None:
    """Return the line of `file` that the error came through last, or None."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return lines[-1] if lines else None


def came_through(error: BaseException, file: str) -> bool:
    """Whether the error came through a file whose path ends like this."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).as_posix().endswith(file) for frame in frames)


def place(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """Return ` (line 4 of model.py)`: the last line of the user's code in the traceback, or "".

    The user's code is that in the file of `function`, and all that is neither a library's nor ours.
    """
    own = None if function is None else source_file(function)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        (frame.lineno, frame.filename)
        for frame in frames
        if frame.filename == own or written_by_user(frame.filename)
    ]
    return format_line(*lines[-1]) if lines else ""


def format_line(line: int | None, file: str) -> str:
    """Return ` (line 4 of model.py)`."""
    return f" (line {line} of {Path(file).name})"


def unwrap(function: Callable[..., Any]) -> Any:
    """Return the function behind a partial, a wrapper or a handler of NumPyro."""
    inner: Any = function
    for _ in range(20):  # wrappers within wrappers, none of them endless
        further = getattr(inner, "__wrapped__", None) or getattr(inner, "func", None)
        if further is None and not inspect.isroutine(inner):
            further = getattr(inner, "fn", None)
        if further is None:
            break
        inner = further
    return inner


def source_file(function: Callable[..., Any]) -> str | None:
    """The file of the code behind a function, a partial, a method or a callable object."""
    inner = unwrap(function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    return None if code is None else code.co_filename


def written_by_user(file: str) -> bool:
    """Whether a file is neither of a library nor of Python nor of thalweg."""
    if file.startswith("<"):
        return file.startswith(_TYPED_IN)
    path = Path(file)
    if path.is_relative_to(_OWN) or any(part in _PACKAGES for part in path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _STANDARD)

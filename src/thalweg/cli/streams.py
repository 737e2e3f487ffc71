"""Standard streams that may be closed, full, or of an encoding without the letters of formulas."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

TYPE_CHECKING = False  # without importing `typing`, which this module precedes
if TYPE_CHECKING:
    from typing import Any


class OutputError(Exception):
    """Results could not be printed."""


def occupy_closed_descriptors() -> None:
    """Open the null device in place of standard streams that are closed.

    The next file to be opened would get their number otherwise, and messages of native libraries,
    which write to number 2 without asking, would end up in it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            try:
                os.open(os.devnull, os.O_RDWR)
            except OSError:
                return


def say(sentence: str) -> None:
    """Print a sentence on stderr, if that can be written."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{_encodable(sentence, sys.stderr)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def emit(text: str) -> None:
    """Print results on stdout, with a question mark for each letter that its encoding lacks.

    Raises `OutputError` where they cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("the result cannot be printed: standard output is closed")
    try:
        sys.stdout.write(_encodable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"the result could not be printed: {reason}") from error


def emit_json(node: Any) -> None:
    """Print one JSON value on stdout; letters that its encoding lacks are escaped."""
    from thalweg.runs import to_json

    text = to_json(node)
    if sys.stdout is not None and _encodable(text, sys.stdout) != text:
        import json

        text = json.dumps(json.loads(text))
    emit(text)


def emit_result(as_json: bool, node: Any, *lines: str) -> int:
    """Print one JSON value, or else lines for a terminal; returns the exit code of success."""
    if as_json:
        emit_json(node)
    else:
        emit("\n".join(lines))
    return 0


def _encodable(text: str, stream: Any) -> str:
    """Replace letters that the stream's encoding lacks by question marks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        return text.encode(encoding, "replace").decode(encoding)
    return text


def leave(code: int) -> None:
    """End the process as the interpreter would, without destroying the interpreter.

    That would take time, during which Ctrl-C is no longer ours to handle, and has crashed where
    native threads were still running.
    """
    import atexit
    import threading

    for last in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            last()
        except BaseException as error:
            say(f"thalweg: at the end of the process: {error!r:.200}")
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def text_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    table = [list(head), *(list(row) for row in body)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = []
    for row in table:
        rest = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *rest]).rstrip())
    return "\n".join(lines)

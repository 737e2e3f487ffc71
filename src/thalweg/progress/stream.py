"""A stream for progress: one that is absent, closed or full is given up."""

from __future__ import annotations

from typing import TextIO

PLAIN = str.maketrans({"−": "-", "…": "...", "×": "x"})  # where the encoding lacks the letters


class Stream:
    """A text stream that never raises; after an error nothing more is written to it.

    Letters that its encoding lacks are replaced.

    Args:
        stream: where text goes; None for nowhere.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    @property
    def usable(self) -> bool:
        """Whether what is written goes anywhere."""
        return self._stream is not None

    def write(self, text: str) -> int:
        """Write as far as that can be done."""
        if self._stream is not None:
            try:
                self._stream.write(self._encodable(text))
            except (OSError, ValueError):  # a closed file raises the latter
                self._stream = None
        return len(text)

    def flush(self) -> None:
        """Flush as far as that can be done."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(getattr(self._stream, "isatty", lambda: False)())

    def wraps(self, stream: object) -> bool:
        """Whether this is where text goes."""
        return stream is not None and stream is self._stream

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding)
        except UnicodeError:
            known = "".join(c if self._has(c) else c.translate(PLAIN) for c in text)
            return known.encode(self.encoding, "replace").decode(self.encoding)
        return text

    def _has(self, letter: str) -> bool:
        try:
            letter.encode(self.encoding)
        except UnicodeError:
            return False
        return True

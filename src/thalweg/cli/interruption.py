"""Ctrl-C in a process of the command line: it ends with 130, whatever the process is doing.

`KeyboardInterrupt` is not enough for that. Python swallows it in callbacks and finalisers, an
import in the middle of which it arrives turns it into an `ImportError`, it waits for native code
(which compiles for many seconds), and an interpreter that shuts down while XLA's threads run may
crash. So nothing is unwound: the signal's handler, or a thread that hears of the signal while
native code keeps the handler waiting, brings the run's folder in order, says how to go on, and
ends the process there and then.

Work that can stop in order (`thalweg.training.interrupt`) takes the handler's place while it
lasts. It has the first Ctrl-C to itself and passes it on when it has stopped; a second one ends
the process at once.

Nothing heavy is imported here: the handler is to stand before anything else is done.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

CODE = 130
PATIENCE = 0.1  # seconds that the main thread has for its own handler, which is the better place
LIMIT = 3.0  # seconds after which a process that is being ended is ended without more ado


class Interruption:
    """How a process of the command line ends on Ctrl-C. There is one: `interruption`."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._file: Path | None = None
        self._ours = False
        self._sentence: Callable[[], str] = lambda: "interrupted"
        self._first = [None]  # taken by whoever ends the process: `pop` is atomic

    # --- the work that would be interrupted -------------------------------------------------------

    def forget(self) -> None:
        """Nothing is running that has a folder or writes a file."""
        self._folder, self._file, self._ours = None, None, False
        self._sentence = lambda: "interrupted"

    def runs_in(self, folder: Path, go_on: Callable[[], str], *, resumed: bool = False) -> None:
        """A run begins in a folder, which is told on Ctrl-C; `go_on` is what is then said.

        Where there is a record already and the run is not `resumed`, the command is about to be
        refused: the folder is someone else's, and is left alone.
        """
        before = _status(folder)
        self._folder, self._ours = folder, resumed or before in (None, "failed")
        self._sentence = go_on

    def says(self, go_on: str) -> None:
        """What is said on Ctrl-C where no run folder is concerned."""
        self.forget()
        self._sentence = lambda: go_on

    def writes(self, file: Path) -> None:
        """A file begins to be written, of which nothing is to be left on Ctrl-C."""
        self._file = file

    # --- the signal -------------------------------------------------------------------------------

    def install(self) -> None:
        """Take the signal over, for the rest of the process."""
        signal.signal(signal.SIGINT, self._handle)
        # All that the end needs is imported now: it may come in the middle of any other import.
        import json  # noqa: F401
        import select  # noqa: F401
        import threading
        import time  # noqa: F401

        os.register_at_fork(after_in_child=_as_python_has_it)
        hears, told = os.pipe()
        os.set_blocking(told, False)
        try:
            signal.set_wakeup_fd(told, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, args=(hears,), daemon=True).start()
        except (RuntimeError, ValueError):
            signal.set_wakeup_fd(-1)  # no more threads to be had: the handler alone must do

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.end()

    def _listen(self, hears: int) -> None:
        """Hear of signals also while the main thread runs native code."""
        import time

        stopping = False
        while heard := _next_byte(hears):
            if signal.SIGINT not in heard:
                continue
            if not stopping and signal.getsignal(signal.SIGINT) != self._handle:
                stopping = True
                _write("stopping as soon as the state is saved; Ctrl-C again ends it at once")
                continue
            time.sleep(PATIENCE)
            _end_within(LIMIT)
            self.end()

    def end(self) -> None:
        """End the process."""
        try:
            self._first.pop()
        except IndexError:
            return  # someone else is at it
        try:
            _remove_unfinished_files(self._folder if self._file is None else self._file.parent)
            _write(self._told())
        finally:
            os._exit(CODE)

    def _told(self) -> str:
        if self._folder is None or not self._ours or _status(self._folder) is None:
            return "interrupted" if self._folder is not None else self._sentence()
        _mark_interrupted(self._folder)
        return self._sentence()


interruption = Interruption()


def _next_byte(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1)
    except OSError:  # closed by someone
        return b""


def _end_within(seconds: float) -> None:
    """End the process after so many seconds, should the orderly way hang."""
    import threading
    import time

    def end() -> None:
        time.sleep(seconds)
        os._exit(CODE)

    try:
        threading.Thread(target=end, daemon=True).start()
    except RuntimeError:
        return


def _as_python_has_it() -> None:
    """In a forked child, which shares the pipe but not the thread: Python's own handling."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _status(folder: Path) -> str | None:
    """What the record in a folder says of the run; None where there is no record to be read."""
    import json

    path = os.path.join(folder, "run.json")
    try:
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8") as stream:
            return str(json.load(stream)["status"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _mark_interrupted(folder: Path) -> None:
    """Say "interrupted" in a record that says "running".

    With nothing but system calls: the main thread may have been stopped anywhere, also within what
    the package writes its files with.
    """
    import json

    path = os.path.join(folder, "run.json")
    temporary = os.path.join(folder, ".run.json.interrupted")
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
        if record["status"] != "running":
            return
        record["status"] = "interrupted"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=2)
        os.replace(temporary, path)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return  # it says "running", from where a run can be resumed as well


def _remove_unfinished_files(folder: Path | None) -> None:
    """What this process was writing in a folder, under the names that files have until whole."""
    try:
        names = [] if folder is None else os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.startswith(".") and f".{os.getpid()}-" in name:
            try:
                os.unlink(os.path.join(folder or ".", name))
            except OSError:
                continue


def _write(sentence: str) -> None:
    """A sentence on stderr, past Python's buffers, which the main thread may hold locked."""
    import select

    try:
        if not select.select([], [2], [], 0.5)[1]:
            return  # a pipe that is full and that nobody reads
        line = ("\n" if os.isatty(2) else "") + f"thalweg: {sentence}\n"
        os.write(2, line.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "replace"))
    except (OSError, ValueError, LookupError):
        return

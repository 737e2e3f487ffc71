"""Ctrl-C in a process of the command line: the process ends with 130, whatever it is doing.

`KeyboardInterrupt` is not enough for that. Python swallows it in callbacks and finalisers, an
import in the middle of which it arrives turns it into an `ImportError`, it waits for native code
(which compiles for many seconds), and an interpreter that shuts down while XLA's threads run may
crash. So nothing is unwound: the signal's handler, or a thread that hears of the signal while
native code keeps the handler waiting, tidies the run's folder, prints how to resume, and ends the
process at once.

Work that can stop in order (`thalweg.training.interrupt`) replaces the handler while it lasts. It
receives the first Ctrl-C and passes it on when it has stopped; a second one ends the process at
once.

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
PATIENCE = 0.1  # seconds that the main thread has for its own handler, which is preferred
LIMIT = 3.0  # seconds after which a process that is ending is killed


class Interruption:
    """Ends a process of the command line on Ctrl-C. There is one instance: `interruption`."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._file: Path | None = None
        self._ours = False
        self._sentence: Callable[[], str] = lambda: "interrupted"
        self._first = [None]  # taken by whoever ends the process: `pop` is atomic

    # --- the work that may be interrupted ---------------------------------------------------------

    def reset(self) -> None:
        """Forget the run, the file and the sentence of earlier work."""
        self._folder, self._file, self._ours = None, None, False
        self._sentence = lambda: "interrupted"

    def register_run(
        self, folder: Path, sentence: Callable[[], str], *, resumed: bool = False
    ) -> None:
        """Register the folder of a run that begins; `sentence` gives what Ctrl-C prints.

        Where the folder holds a record and the run is not `resumed`, the command is about to be
        refused: the folder belongs to another run and is left alone.
        """
        before = _status(folder)
        self._folder, self._ours = folder, resumed or before in (None, "failed")
        self._sentence = sentence

    def register_sentence(self, sentence: str) -> None:
        """Register what Ctrl-C prints for work without a run folder."""
        self.reset()
        self._sentence = lambda: sentence

    def register_file(self, file: Path) -> None:
        """Register a file that is being written; Ctrl-C removes what is unfinished."""
        self._file = file

    # --- the signal -------------------------------------------------------------------------------

    def install(self) -> None:
        """Handle the signal for the rest of the process."""
        signal.signal(signal.SIGINT, self._handle)
        # All that `end` needs is imported now: the signal may come during any other import.
        import json  # noqa: F401
        import select  # noqa: F401
        import threading
        import time  # noqa: F401

        os.register_at_fork(after_in_child=_restore_default)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, args=(reader,), daemon=True).start()
        except (RuntimeError, ValueError):
            signal.set_wakeup_fd(-1)  # no further thread can be started: the handler alone must do

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.end()

    def _listen(self, reader: int) -> None:
        """Receive signals also while the main thread runs native code."""
        import time

        stopping = False
        while received := _next_byte(reader):
            if signal.SIGINT not in received:
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
            return  # another thread ends the process
        try:
            _remove_unfinished_files(self._folder if self._file is None else self._file.parent)
            _write(self._final_sentence())
        finally:
            os._exit(CODE)

    def _final_sentence(self) -> str:
        if self._folder is None or not self._ours or _status(self._folder) is None:
            return "interrupted" if self._folder is not None else self._sentence()
        _mark_interrupted(self._folder)
        return self._sentence()


interruption = Interruption()


def _next_byte(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1)
    except OSError:  # closed by other code
        return b""


def _end_within(seconds: float) -> None:
    """End the process after so many seconds, in case the orderly end hangs."""
    import threading
    import time

    def end() -> None:
        time.sleep(seconds)
        os._exit(CODE)

    try:
        threading.Thread(target=end, daemon=True).start()
    except RuntimeError:
        return


def _restore_default() -> None:
    """Restore Python's handler in a forked child, which shares the pipe but not the thread."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _status(folder: Path) -> str | None:
    """Return the status in the record of a folder; None where no record can be read."""
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
    """Change the status of a record from "running" to "interrupted".

    Only system calls are used: the main thread may have been stopped anywhere, also within the
    functions that write the package's files.
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
        return  # a run whose status is "running" can be resumed as well


def _remove_unfinished_files(folder: Path | None) -> None:
    """Remove the temporary files that this process was writing in a folder."""
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
    """Print on stderr without Python's buffers, which the main thread may have locked."""
    import select

    try:
        if not select.select([], [2], [], 0.5)[1]:
            return  # a full pipe without a reader
        line = ("\n" if os.isatty(2) else "") + f"thalweg: {sentence}\n"
        os.write(2, line.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "replace"))
    except (OSError, ValueError, LookupError):
        return

"""`python -m thalweg` is the `thalweg` command."""

# Before anything else: Ctrl-C in the middle of an import would be a traceback, or not be heard at
# all. `_signal` is built in, where `signal` takes milliseconds to import.
from _signal import SIGINT, signal  # type: ignore[import-not-found,unused-ignore]
from os import _exit, write


def _end(*_: object) -> None:
    try:
        write(2, b"thalweg: interrupted\n")
    finally:
        _exit(130)


signal(SIGINT, _end)

from thalweg.cli.main import script  # noqa: E402

if __name__ == "__main__":
    script()

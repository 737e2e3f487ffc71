"""Run a verb of the command line; every error becomes an exit code and one sentence."""

from __future__ import annotations

import sys

from thalweg.cli.display import close_display
from thalweg.cli.interruption import CODE as INTERRUPTED
from thalweg.cli.interruption import interruption
from thalweg.cli.streams import OutputError, leave, occupy_closed_descriptors, say
from thalweg.cli.verbs import VERBS as VERBS

BAD_INPUT, MISUSED = 1, 2
LONGEST = 1200  # letters of a sentence: words that it quotes may be of any length
MEMORY = "out of memory; try fewer draws, a smaller batch or fewer restarts"


def script() -> None:
    """Run the console script, which owns the process: it handles Ctrl-C before any import."""
    interruption.install()
    occupy_closed_descriptors()
    leave(main())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line in this process.

    Returns 0 on success, 1 for bad input, 2 for wrong usage, 130 on Ctrl-C. An error is one
    sentence on stderr, and with `--traceback` the traceback before it.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    interruption.reset()
    try:
        from thalweg.cli.group import thalweg
        from thalweg.cli.paths import remember_working_directory

        remember_working_directory()
        result = thalweg.main(words, prog_name="thalweg", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except BaseException as error:
        close_display()
        if "--traceback" in words:
            _print_traceback(error)
        sentence, code = _describe(error)
        say(f"thalweg: {sentence}")
        return code
    finally:
        close_display()


def _describe(error: BaseException) -> tuple[str, int]:
    """Return the sentence for an exception and the exit code."""
    import click

    no_verb = getattr(click.exceptions, "NoArgsIsHelpError", ())  # since click 8.2
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        return "interrupted", INTERRUPTED
    if isinstance(error, no_verb):
        return f"a verb is missing\n{error.ctx.get_help()}", MISUSED
    if isinstance(error, click.UsageError):
        return _one_line(error.format_message()), MISUSED
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message()), BAD_INPUT
    text = _text(error)
    if isinstance(error, OutputError | ValueError) and text:
        return text, BAD_INPUT
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return MEMORY, BAD_INPUT
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return _one_line(f"{error.strerror}{where}"), BAD_INPUT
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SystemExit):
        return f"code that was called asked to end the process ({what})", BAD_INPUT
    return (
        f"something unforeseen happened ({what}); please report it to the authors of thalweg, "
        "with what the same command shows when --traceback is added",
        BAD_INPUT,
    )


def _text(error: BaseException) -> str:
    """Return the message of an exception in one line; "" where it has none that can be had."""
    try:
        return _one_line(str(error))
    except Exception:
        return ""


def _one_line(text: str) -> str:
    """Join the lines, and escape what a terminal would obey or cannot show."""
    line = " ".join(text.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST * 3 // 4]} … {line[-LONGEST // 4 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _print_traceback(error: BaseException) -> None:
    import traceback

    try:
        say("".join(traceback.format_exception(error)).rstrip())
    except Exception as failure:  # an exception whose text cannot be had
        say(f"{type(error).__name__}, whose traceback cannot be shown ({type(failure).__name__})")

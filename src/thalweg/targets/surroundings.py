"""Running a user's code so that it changes nothing around it."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


@contextlib.contextmanager
def kept_surroundings(script: Path) -> Iterator[None]:
    """The working folder and `sys.argv` are after it what they were; prints go to stderr.

    Within it `sys.argv` is what a script has that is called without arguments: those of the command
    line are ours. Standard output is for results, which other programs read.
    """
    arguments, folder = list(sys.argv), _working_folder()
    sys.argv[:] = [str(script)]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv[:] = arguments
        if folder is not None and _working_folder() != folder:
            os.chdir(folder)


def printing_to_stderr(function: Function) -> Function:
    """The function, with what it prints on stderr."""

    @functools.wraps(function)
    def quiet(*args: Any, **kwargs: Any) -> Any:
        with contextlib.redirect_stdout(sys.stderr):
            return function(*args, **kwargs)

    return cast(Function, quiet)


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed meanwhile
        return None

"""Hundreds of commands that must be refused: one sentence each, no traceback, nothing left."""

import contextlib
import io
import os
import signal
import time
from types import SimpleNamespace

import pytest
from cli.bad_commands import COMMANDS
from cli.conftest import DENSITIES
from cli.things import make_files

from thalweg.cli.main import main

SECONDS = 600  # after which a command that does not end is stopped, and has failed
PIECES = 12  # of the list of each verb; one of them is in the quick suite, all in the slow one


class Hangs(BaseException):
    """A command that was to be refused is still running."""


@pytest.fixture(scope="session")
def things(tmp_path_factory):
    """Runs of each job, and files: paths by name."""
    place = tmp_path_factory.mktemp("things")
    found = make_files(place)
    found["densities"] = str(place / "densities.py")
    (place / "densities.py").write_text(DENSITIES)
    jobs = {
        "run": f"infer {found['densities']}:bent --dim 2 --flow planar --layers 2 --steps 20",
        "density": f"estimate {found['csv']} --flow planar --layers 2 --steps 20 --members 1",
        "latent": f"fit-vae {found['images']} --layers 1 --latent 2 --hidden 4 --steps 5 --draws 5",
    }
    for name, words in jobs.items():
        found[name] = str(place / name)
        code, _, err = run([*words.split(), "--no-report", "--out", found[name]])
        assert code == 0, err
    return found


def run(words):
    """The exit code and what was printed, or what went wrong."""

    def stop(*_):
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, out.getvalue(), err.getvalue()


def fault(words, things, place):
    """Return what is wrong with the answer to a command that must be refused, else None."""
    words = [word.format_map(things) for word in words]
    begun, before = time.monotonic(), everything_under(place)
    code, out, err = run(words)
    seconds = time.monotonic() - begun
    lines = [line for line in err.splitlines() if not _is_progress(line)]
    faults = [
        name
        for name, wrong in {
            f"exit code {code}": code not in (1, 2),
            "prints results": out != "",
            "not one sentence": len(lines) != 1 and words != [],
            "no sentence": not err.strip().removeprefix("thalweg: "),
            "traceback": "Traceback" in err,
            "unforeseen": "unforeseen" in err,
            "leaves something behind": everything_under(place) != before,
        }.items()
        if wrong
    ]
    said = SimpleNamespace(words=[w[:60] for w in words], faults=faults, err=err[-400:])
    said.seconds = round(seconds, 1)
    return said if faults else None


def _is_progress(line):
    return (
        ": step " in line
        or line.startswith(("looking for a start", "several modes", "1/", "2/", "3/", "4/", "5/"))
        or (" rows of " in line and not line.startswith("thalweg: "))
    )


def everything_under(place):
    return sorted(
        os.path.join(folder, name) for folder, _, files in os.walk(place) for name in files
    )


def pieces():
    for verb, commands in COMMANDS.items():
        for i in range(PIECES):
            marks = [] if i == 0 else [pytest.mark.slow]
            yield pytest.param(commands[i::PIECES], id=f"{verb}-{i}", marks=marks)


def test_there_are_hundreds_of_bad_commands():
    assert sum(map(len, COMMANDS.values())) >= 500
    distinct = {tuple(words) for commands in COMMANDS.values() for words in commands}
    assert len(distinct) >= 500


@pytest.mark.parametrize("commands", list(pieces()))
def test_bad_commands_are_refused_in_one_sentence(commands, things, tmp_path):
    faults = [found for words in commands if (found := fault(words, things, tmp_path))]
    assert not faults, "\n".join(map(str, faults))

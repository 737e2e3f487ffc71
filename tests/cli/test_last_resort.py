"""Whatever goes wrong at the command line is one sentence, and a traceback only where asked for."""

import click
import pytest

from thalweg.cli import main as cli
from thalweg.cli.main import main


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Odd(BaseException):
    pass


@pytest.fixture
def failing(monkeypatch):
    """Let the verb `flows` raise something."""

    def let(error):
        @click.command("flows")
        @click.option("--json", is_flag=True)
        def command(json):
            raise error

        monkeypatch.setattr("thalweg.cli.flows.command", command)

    return let


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("of our own\nmaking"), "(RuntimeError: of our own making)"),
        (ZeroDivisionError(), "(ZeroDivisionError)"),
        (Mute(), "(Mute)"),
        (Odd("odd"), "(Odd: odd)"),
        (TypeError("f() takes 1 argument"), "(TypeError: f() takes 1 argument)"),
        (KeyError("x"), "(KeyError: 'x')"),
        (ValueError(""), "(ValueError)"),
        (RecursionError("maximum recursion depth exceeded"), "(RecursionError: maximum"),
        (OSError(), "(OSError)"),
        (RuntimeError("\x1b[31mred\x00\u202e"), "(RuntimeError: \\x1b[31mred\\x00\\u202e)"),
    ],
)
def test_an_unexpected_error_is_one_sentence(call, failing, error, said):
    failing(error)
    answer = call("flows")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("thalweg: something unforeseen happened ")
    assert said in answer.err
    assert "report it" in answer.err
    assert "--traceback" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (ValueError("rows are missing"), "rows are missing", 1),
        (MemoryError(), cli.MEMORY, 1),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), cli.MEMORY, 1),
        (OSError(28, "No space left on device", "a.csv"), "No space left on device (a.csv)", 1),
        (SystemExit(7), "code that was called asked to end the process (SystemExit: 7)", 1),
        (SystemExit(), "code that was called asked to end the process (SystemExit)", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (click.UsageError("no such thing"), "no such thing", 2),
        (click.ClickException("cannot"), "cannot", 1),
    ],
)
def test_an_expected_error_keeps_its_sentence(call, failing, error, said, code):
    failing(error)
    answer = call("flows")
    # Click ends the line of ^C first.
    assert (answer.code, answer.out, answer.err.lstrip()) == (code, "", f"thalweg: {said}\n")


def test_quoted_words_are_shortened(call):
    answer = call("infer", "no" * 100_000)
    assert answer.code == 1
    assert len(answer.err) < 1500


@pytest.mark.parametrize("words", [["--traceback", "flows"], ["flows", "--traceback", "--json"]])
def test_the_traceback_is_printed_on_request(call, failing, words):
    for error in (RuntimeError("of our own"), ValueError("of the user's"), Mute()):
        failing(error)
        answer = call(*words)
        assert answer.code == 1
        assert type(error).__name__ in answer.err
        assert answer.err.splitlines()[-1].startswith("thalweg: ")
        assert "Traceback (most recent call last)" in answer.err


def test_every_verb_has_the_traceback_option(call):
    from thalweg.cli.verbs import VERBS

    for verb in VERBS:
        assert "--traceback" in call(verb, "--help").out


def test_a_missing_platform_is_one_sentence(environment):
    import subprocess
    import sys

    words = [sys.executable, "-m", "thalweg", "infer", "u1"]
    found = subprocess.run(
        words, env={**environment, "JAX_PLATFORMS": "cuda"}, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (1, "")
    last = found.stderr.splitlines()[-1]
    assert last.startswith("thalweg: JAX finds no device to compute on (JAX_PLATFORMS is 'cuda'")
    assert "Traceback" not in found.stderr


def test_main_returns_what_a_verb_returns():
    assert main(["--version"]) == 0

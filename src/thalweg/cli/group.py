"""The command `thalweg`: finds the module of a verb and adds the options that every verb has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from thalweg import __version__
from thalweg.cli.streams import say
from thalweg.cli.verbs import OLD_OPTIONS, OLD_VERBS, VERBS

TRACEBACK = "--traceback"


def traceback_option() -> click.Option:
    """Return `--traceback`, which may stand before or after a verb.

    `thalweg.cli.main` looks for the word itself: it must count where other words cannot be read.
    """
    about = "Show the whole traceback of an error."
    return click.Option([TRACEBACK], is_flag=True, expose_value=False, help=about)


class Verbs(click.Group):
    """A group whose commands are imported on use: `--help` needs no JAX."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"thalweg.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        if not any(TRACEBACK in parameter.opts for parameter in command.params):
            command.params.append(traceback_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verb = replace_old_name(args[0], OLD_VERBS)
        name, command, rest = super().resolve_command(ctx, [verb, *args[1:]])
        old = OLD_OPTIONS.get(verb, {})
        return name, command, [replace_old_name(word, old) for word in rest]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


def replace_old_name(word: str, names: Mapping[str, str]) -> str:
    """Return the present name of a verb or an option (`--old` or `--old=value`), and report it."""
    old, equals, value = word.partition("=")
    if old not in names:
        return word
    say(f"thalweg: {old} is deprecated; it is now called {names[old]}")
    return f"{names[old]}{equals}{value}"


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="thalweg")
def thalweg() -> None:
    """Variational inference and density estimation with normalizing flows.

    A run prints its results and leaves a folder with the model and a page of figures.
    Progress goes to stderr; --json prints one JSON object on stdout.
    """


thalweg.params.append(traceback_option())

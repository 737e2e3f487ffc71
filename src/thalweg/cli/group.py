"""`thalweg VERB …`: what every verb shares."""

from __future__ import annotations

import importlib

import click

from thalweg import __version__
from thalweg.cli.verbs import VERBS

TRACEBACK = "--traceback"


def traceback_option() -> click.Option:
    """`--traceback`, before or after a verb; `thalweg.cli.main` looks for the word itself, so that
    it counts where the others cannot be read.
    """
    about = "Where something fails, show the whole traceback."
    return click.Option([TRACEBACK], is_flag=True, expose_value=False, help=about)


class Verbs(click.Group):
    """A group whose commands are imported on use: `--help` needs no JAX."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"thalweg.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        if not any(TRACEBACK in parameter.opts for parameter in command.params):
            command.params.append(traceback_option())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="thalweg")
def thalweg() -> None:
    """Variational inference and density estimation with normalizing flows.

    A run prints its verdict and leaves a folder with the model, draws and a page of pictures.
    Progress goes to stderr; --json prints one JSON object on stdout.
    """


thalweg.params.append(traceback_option())

"""`thalweg VERB …`: what every verb shares, and the verbs by name."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from thalweg import __version__

# Each verb lives in its own module and is imported when it is called: `--help` needs no JAX.
VERBS = {
    "datasets": "the image data sets there are",
    "demo": "the main job on the four energies of the paper, in a short table",
    "encode": "images in, a generative model with a flow posterior out",
    "estimate": "a table in, the density of its rows out, beside simpler ones",
    "flows": "the flows there are, with paper, costs and best use",
    "infer": "an unnormalised log density in, a posterior with a verdict out",
    "report": "write the page of a run",
    "reproduce": "the experiments of the papers, each a table and a picture",
    "resume": "go on where a run stopped",
    "sample": "draws from a run into a file",
    "score": "log densities of the rows of a file",
    "targets": "the built-in densities, with what is known of them",
}


class Verbs(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"thalweg.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Exit 0 on success, 1 for bad input, 130 on Ctrl-C."""
    try:
        result: Any = thalweg.main(arguments, prog_name="thalweg", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        return _say("interrupted", 130)
    except click.ClickException as error:
        return _say(error.format_message(), 1)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (ValueError, TypeError) as error:
        return _say(_one_sentence(error), 1)
    except MemoryError:
        return _say("out of memory; try fewer draws, a smaller batch or fewer restarts", 1)
    except OSError as error:
        what = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        return _say(f"{what}{where}", 1)
    except Exception as error:
        if type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error):
            return _say("out of memory; try fewer draws, a smaller batch or fewer restarts", 1)
        raise


def _one_sentence(error: Exception) -> str:
    return " ".join(str(error).split())


def _say(text: str, code: int) -> int:
    print(f"thalweg: {text}", file=sys.stderr)
    return code


def script() -> None:
    """The console script."""
    sys.exit(main())

"""The command line of mashpix: one function a command. Starts without torch."""

import os
import sys
from typing import Annotated

import typer

from mashpix import __version__
from mashpix.cli.add_noise import add_noise
from mashpix.cli.bench.command import bench
from mashpix.cli.blend import blend
from mashpix.cli.console import complain
from mashpix.cli.demo import demo
from mashpix.cli.denoise import denoise
from mashpix.cli.doctor import doctor
from mashpix.cli.inspect import inspect
from mashpix.cli.model import apply, fit
from mashpix.cli.study.command import study
from mashpix.errors import MashpixError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as typer gives it."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (denoise, inspect, blend, fit, apply, add_noise, bench, study, demo, doctor):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mashpix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Denoise one picture from that picture alone: no training data, no weights, no network."""


def main() -> None:
    """Run the command line; end with the exit codes of docs/command-line.md."""
    try:
        app()
    except MashpixError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            complain("interrupted; nothing is half-written")
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # a network update may still be running in its thread: do not wait for it
        raise

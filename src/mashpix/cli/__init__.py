"""The command line of mashpix: one function per command. It starts without importing torch."""

import contextlib
import os
import signal
import sys
from typing import Annotated

import typer

from mashpix import __version__
from mashpix.cli.add_noise import add_noise
from mashpix.cli.bench import bench
from mashpix.cli.blend import blend
from mashpix.cli.console import complain
from mashpix.cli.demo import demo
from mashpix.cli.denoise import denoise
from mashpix.cli.doctor import doctor
from mashpix.cli.inspect import inspect
from mashpix.cli.model import apply, fit
from mashpix.cli.serve import serve
from mashpix.cli.study import study
from mashpix.errors import MashpixError
from mashpix.files.atomic import remove_all_in_work

ENDINGS = {130: "interrupted", 143: "terminated", 129: "left by its terminal"}
"""Exit codes after Ctrl-C, as Typer reports it, SIGTERM and SIGHUP, with their messages."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (denoise, inspect, blend, fit, apply, add_noise, bench, study, demo, serve, doctor):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mashpix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Denoise an image from that image alone: no training data, no weights, no network."""


def main() -> None:
    """Run the command line; exit with the codes of docs/command-line.md."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:
            signal.signal(getattr(signal, name), _leave)
    try:
        app()
    except MashpixError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:  # stdout, closed or full: errors of files are handled where they occur
        with contextlib.suppress(OSError):
            remove_all_in_work()
            if not isinstance(error, BrokenPipeError):
                complain(f"cannot go on ({error.strerror or error})")
        for stream in filter(None, (sys.stdout, sys.stderr)):  # flushing their buffers would fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(1)
    except SystemExit as ending:
        if ending.code in ENDINGS:
            remove_all_in_work()  # left by a job that was in a long stage at Ctrl-C and could not be closed in time
            complain(f"{ENDINGS[ending.code]}; nothing is half-written")
            if sys.stderr:
                sys.stderr.flush()
            os._exit(ending.code)  # that stage may still run in its thread: do not wait for it
        raise


def _leave(number: int, _: object) -> None:
    """End as after Ctrl-C: remove partly written files."""
    raise SystemExit(128 + number)

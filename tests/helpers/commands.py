"""The command line in a process of its own, as a user starts it, with settings that take a moment."""

import csv
import signal
import subprocess
import sys

import numpy as np
from PIL import Image

COMMAND = (sys.executable, "-P", "-c", "from mashpix.cli import main; main()")
QUICK = (
    "--masking-ratio",
    "0.5",
    "--steps",
    "3",
    "--network-channels",
    "6",
    "--depth",
    "2",
    "--masks",
    "2",
    "--threads",
    "1",
    "--no-refine",
)


def start_cli(*arguments, cwd, stderr=subprocess.PIPE, text=True, **options):
    """A child that hears Ctrl-C even where the tests themselves run in the background, which ignore it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        stderr=stderr,
        text=text,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def run_cli(*arguments, cwd, **options):
    """Exit code and output of `mashpix` with these arguments."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, **options)


def read_csv(path):
    """The rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    """All files in a folder and in those below it, relative to it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path):
    """An image as Pillow reads it."""
    with Image.open(path) as image:
        return np.asarray(image)

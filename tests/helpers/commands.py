"""The command line in this process or in one of its own, with settings that take a moment."""

import csv
import math
import shlex
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from mashpix.cli import console, main

COMMAND = (sys.executable, "-P", "-m", "mashpix")
QUICK = shlex.split("--masking-ratio 0.5 --steps 3 --network-channels 6 --depth 2 --masks 2 --threads 1 --no-refine")


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
    """Exit code and output of `mashpix` with these arguments, in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, **options)


def read_csv(path):
    """The rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run_here(*arguments, cwd=None):
    """As `run_cli` in this process, which saves the seconds in which torch is loaded; no lines of progress."""
    out, err = StringIO(), StringIO()
    words = ["mashpix", *map(str, arguments)]
    with (
        patch.object(console, "LOG_EVERY", math.inf),
        patch.object(sys, "argv", words),
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return subprocess.CompletedProcess(words, end.value.code or 0, out.getvalue(), err.getvalue())


def names(folder):
    """All files in a folder and in those below it, relative to it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path):
    """An image as Pillow reads it."""
    with Image.open(path) as image:
        return np.asarray(image)

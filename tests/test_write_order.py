"""A run writes its files in one order, whatever Python's hash seed: a full disk leaves the same files each time."""

import json
import os
import subprocess
import sys

import numpy as np

from commands import QUICK

SAVED = ("--axes", "ZYX", "--save", "spread,residual,report", "--compare", "look.png", "--no-refine")
TRACED = """
import errno, json, os, re, sys
from pathlib import Path
from mashpix.cli import main

def watch(event, arguments):
    if event in ("os.rename", "os.link"):
        target = arguments[1]
    elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        target = arguments[0]
    else:
        return
    path = Path(os.path.abspath(target)) if isinstance(target, str | Path) else Path()
    if path.is_relative_to(Path.cwd()):
        seen.append(re.sub(r"[^.]+(?=[.]mashpix-tmp)", "", path.name))
        if len(seen) == full_from or (len(seen) > full_from > 0):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

def run(name):
    os.makedirs(name)
    os.chdir(name)
    sys.argv = ["mashpix", "denoise", "../a.npy", "-o", "out.npy", *arguments]
    seen.clear()
    try:
        main()
    except SystemExit as ending:
        print(ending.code)
    os.chdir("..")
    return sorted(os.listdir(name))

arguments, seen, full_from = sys.argv[1:], [], 0
sys.addaudithook(watch)
whole = run("whole")
order = list(seen)
left = []
for full_from in (len(order) // 2, len(order) - 2):
    left.append(run(f"full{full_from}"))
print(json.dumps([order, whole, left]))
"""
"""Denoises a stack, then on a disk that is full from some write on; prints the order of writes and what is left."""


def traced(folder, seed):
    """What `TRACED` prints in a process with this hash seed."""
    folder.mkdir()
    np.save(folder / "a.npy", np.random.default_rng(0).normal(size=(3, 24, 32)))
    command = [sys.executable, "-c", TRACED, *QUICK, *SAVED]
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_a_full_disk_leaves_does_not_depend_on_the_hash_seed(tmp_path):
    first, *others = (traced(tmp_path / str(seed), seed) for seed in (0, 1, 2))
    order, whole, left = first
    assert len(order) > len(whole) > 5
    assert all(len(files) < len(whole) for files in left)
    assert others == [first, first]

"""Kill processes that write pictures, and look at what is left: the old file or the new one, whole."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from faults.attempts import Attempt
from mashpix.files import ImageFile, atomic, atomic_write, read_image, write_image

KILLS, QUICK_KILLS = 200, 3
WRITER = """
import sys
from pathlib import Path
from mashpix.files import read_image, write_image
pictures = [read_image(Path(name)) for name in sys.argv[2:]]
print("ready", flush=True)
while True:
    for picture in pictures:
        write_image(Path(sys.argv[1]), picture, overwrite=True)
"""


def kill_writers(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a kill of a process that replaces one file again and again by one of two pictures, and one at the end
    for what the killed ones left beside it, which goes with the next write once it is old."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / "first.png", folder / "second.png"]
        for source in sources:
            write_image(source, ImageFile(rng.integers(0, 256, (256, 256, 3)).astype(np.uint8), "png"))
        valid, target = [source.read_bytes() for source in sources], folder / "target.png"
        write_image(target, read_image(sources[0]))
        for index in range(QUICK_KILLS if quick else KILLS):
            child = subprocess.Popen([sys.executable, "-c", WRITER, target, *sources], stdout=subprocess.PIPE)
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            yield Attempt(f"kill {index + 1}", "survived" if target.read_bytes() in valid else "lost")
        for path in folder.glob(f".*{atomic.MARK}"):  # as if they were old
            os.utime(path, (0, 0))
        atomic_write(target, valid[0], overwrite=True)
        stale = [path.name for path in folder.glob(f".*{atomic.MARK}")]
        yield Attempt("temporary files of killed processes", "wrong" if stale else "survived", str(stale))

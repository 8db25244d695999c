"""Kill processes that write pictures, and look at what is left: torn outputs must be 0.

    python benchmarks/kill_writes.py --kills 50

Each child replaces one file again and again by one of two pictures and is killed (SIGKILL) at a random moment.
Afterwards the file must be one of the two, whole.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mashpix.files import ImageFile, atomic, atomic_write, read_image, write_image

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, rng = random.Random(args.seed), np.random.default_rng(args.seed)
    torn = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / "first.png", folder / "second.png"]
        for source in sources:
            write_image(source, ImageFile(rng.integers(0, 256, (256, 256, 3)).astype(np.uint8), "png"))
        valid, target = [source.read_bytes() for source in sources], folder / "target.png"
        write_image(target, read_image(sources[0]))
        for _ in range(args.kills):
            child = subprocess.Popen([sys.executable, "-c", WRITER, target, *sources], stdout=subprocess.PIPE)
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            torn += target.read_bytes() not in valid
        left = list(folder.glob(f".*{atomic.MARK}"))
        for path in left:  # as if they were old
            os.utime(path, (0, 0))
        atomic_write(target, valid[0], overwrite=True)
        stale = len(list(folder.glob(f".*{atomic.MARK}")))
    print(
        f"kills: {args.kills}, torn outputs: {torn}, temporary files left by them: {len(left)}, after the next: {stale}"
    )
    sys.exit(torn + stale > 0)


if __name__ == "__main__":
    main()

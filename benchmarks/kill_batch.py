"""Kill a batch again and again and resume it, and look at what is left: every output must be whole and nothing lost.

    python benchmarks/kill_batch.py --kills 200
    python benchmarks/kill_batch.py --kills 2 --files 60 --bad 5 --most 30

A folder of small pictures of mixed formats, some of them bad, is denoised by the command line, which is killed
(SIGKILL) at a random moment and resumed, until it has been killed so often; whenever the folder is finished, a new
one is begun. After each kill every output must be a whole picture, and every line of the manifest that says "done"
must be true; at the end, each good picture is done, with the bytes that a run without kills gives. A second run into
the folder is tried while the last one works on it; it is refused, or finds all done.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mashpix.errors import MashpixError
from mashpix.files import ImageFile, read_image, write_image

SETTINGS = ("--preset", "fast", "--steps", "2", "--masks", "1", "--channels", "6", "--depth", "2", "--threads", "1")
COMMAND = (sys.executable, "-P", "-c", "from mashpix.cli import main; main()", "denoise")
ENDINGS = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "npy": ".npy"}


def make_folder(folder: Path, *, files: int, bad: int, rng: np.random.Generator) -> None:
    """Small pictures of four formats in three folders; the last ones are cut in half."""
    for index in range(files):
        form = list(ENDINGS)[index % 4]
        shape = (32, 40, 3) if index % 3 or form == "jpeg" else (40, 32)
        dtype = np.uint16 if form in ("tiff", "npy") else np.uint8
        path = folder / f"part{index % 3}" / f"{index:02}{ENDINGS[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, ImageFile(rng.integers(0, 256, shape).astype(dtype), form))
        if index >= files - bad:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def start(folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [*COMMAND, folder, "-o", out, *SETTINGS, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_lines(out: Path) -> list[dict[str, str]]:
    manifest = out / "mashpix.jsonl"
    return [json.loads(line) for line in manifest.read_bytes().split(b"\n")[:-1]] if manifest.exists() else []


def count_wrong(out: Path) -> int:
    """Outputs that are no whole pictures, and lines of the manifest that are not true."""
    wrong = 0
    for path in out.rglob("*_denoised.*"):
        if path.suffix != ".json" and not path.name.startswith("."):
            try:
                read_image(path)
            except MashpixError as error:
                print(f"torn: {path.name}: {error}")
                wrong += 1
    for line in read_lines(out):
        if line["status"] == "done":
            path = out / line["output"]
            wrong += not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != line["output_sha256"]
    return wrong


def pictures(out: Path) -> dict[str, bytes]:
    """Names and content of all outputs but the recipes, which hold times."""
    found = (path for path in out.rglob("*_denoised.*") if path.suffix != ".json" and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def wait_for_lines(out: Path, child: subprocess.Popen[str], more: int) -> None:
    """Wait until a run has begun a picture and the manifest has so many lines more, or the run has ended."""
    lock, before = out / ".mashpix.lock", len(read_lines(out))
    size = lock.stat().st_size if lock.exists() else 0
    while child.poll() is None:
        if lock.exists() and lock.stat().st_size > size and len(read_lines(out)) >= before + more:
            return
        time.sleep(0.01)


def is_killed(child: subprocess.Popen[str], out: Path, chance: random.Random, *, most: int) -> bool:
    """Kill a run at a random moment, one time in five while it starts; False if it came to its end before."""
    if chance.random() > 0.2:
        wait_for_lines(out, child, chance.randint(0, most))
    try:
        child.communicate(timeout=chance.uniform(0, 1))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.communicate()
        return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--bad", type=int, default=2)
    parser.add_argument("--most", type=int, default=3, help="files that a run gets through at most before it is killed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, wrong, kills, refused, folders = random.Random(args.seed), 0, 0, 0, 0
    options = ("--resume", "--jobs", str(args.jobs))
    with tempfile.TemporaryDirectory() as name:
        folder, plain = Path(name, "in"), Path(name, "plain")
        make_folder(folder, files=args.files, bad=args.bad, rng=np.random.default_rng(args.seed))
        text = start(folder, plain, *options).communicate()
        expected = pictures(plain)
        assert len(expected) == args.files - args.bad, text
        print(f"without kills: {len(expected)} of {args.files} files are done", flush=True)
        while kills < args.kills:
            out, folders = Path(name, f"out{folders}"), folders + 1
            while True:
                child = start(folder, out, *options)
                if kills >= args.kills or not is_killed(child, out, chance, most=args.most):
                    break
                kills += 1
                wrong += count_wrong(out)
                done = sum(line["status"] == "done" for line in read_lines(out))
                print(f"kill {kills}: {done} done in folder {folders}, wrong so far: {wrong}", flush=True)
            wait_for_lines(out, child, 0)
            refused += "another run is writing there" in start(folder, out, *options).communicate()[1]
            child.communicate()
            last = {line["input"]: line["status"] for line in read_lines(out)}
            done = list(last.values()).count("done")
            wrong += count_wrong(out) + (pictures(out) != expected) + (done != args.files - args.bad)
            wrong += child.returncode != int(args.bad > 0)
            print(f"folder {folders}: {done} done, {len(last) - done} failed, wrong so far: {wrong}", flush=True)
    print(f"kills: {kills}, folders: {folders}, second runs refused: {refused}, wrong: {wrong}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()

"""The zoo, third part: names, folders, rights, signals, terminals, devices and memory."""

import os
import resource
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bad_files import saved
from faults.attempts import SECONDS, wait_until
from faults.case import Case

NOISE = np.random.default_rng(0).integers(0, 256, (24, 40)).astype(np.uint8)
PICTURE = saved(NOISE, "png")
NOBODY = 65_534
LONG = ("--steps", "1000000")
"""Options that keep a run busy until it is stopped."""


def with_files(**files: bytes) -> Callable[[Path], None]:
    """The picture as `a.png`, and other files: `sub__b_png` stands for `sub/b.png`."""

    def build(folder: Path) -> None:
        for name, data in {"a_png": PICTURE, **files}.items():
            path = folder / name.replace("__", "/").replace("_png", ".png")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)

    return build


def then(*changes: Callable[[Path], object], **files: bytes) -> Callable[[Path], None]:
    """`with_files`, and then changes to the folder."""

    def build(folder: Path) -> None:
        with_files(**files)(folder)
        for change in changes:
            change(folder)

    return build


def named(name: bytes | str) -> Callable[[Path], None]:
    """The picture under a name."""
    return lambda folder: Path(folder, os.fsdecode(name)).write_bytes(PICTURE) and None


def refuse_rights() -> None:
    """Go on as a user without rights: root may do everything."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def let_in(folder: Path) -> None:
    """Let that user look into the folder, which belongs to him."""
    folder.chmod(0o755)
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


def send(number: int, *, after: float = 0.5) -> Callable[[Path, int], None]:
    """Send a signal to a run that has used so many seconds of a processor: it is busy with updates then."""

    def meanwhile(folder: Path, process: int) -> None:
        wait_until(lambda: processor_seconds(process) >= after, seconds=SECONDS)
        os.kill(process, number)

    return meanwhile


def processor_seconds(process: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_work(folder: Path) -> None:
    """Wait until a batch has begun a picture."""
    lock = folder / "out" / ".mashpix.lock"
    wait_until(lambda: lock.exists() and lock.stat().st_size > 0, seconds=SECONDS)


def end_batch(folder: Path, process: int) -> None:
    """Send SIGTERM to a batch that is at work."""
    wait_for_work(folder)
    os.kill(process, signal.SIGTERM)


def allow(what: int, most: int) -> None:
    """Limit this process further."""
    resource.setrlimit(what, (most, most))


def reopen(name: str, *handles: int) -> None:
    """Let handles of this process lead somewhere else."""
    for handle in handles:
        os.dup2(os.open(name, os.O_WRONLY), handle)


def break_pipe() -> None:
    """Let stdout be a pipe that nobody reads."""
    ours, theirs = os.pipe()
    os.dup2(theirs, 1)
    os.close(ours)
    os.close(theirs)


def remove_last(folder: Path, process: int) -> None:
    """Remove an input as soon as the batch has begun another."""
    wait_for_work(folder)
    (folder / "in" / "z.png").unlink()


ODD_NAMES = {
    "spaces": "a b  c.png", "a newline": "a\nb.png", "an emoji": "\N{SNOWMAN}\N{GRINNING FACE}.png",
    "quotes": "'\".png",
    "a backslash": "a\\b.png", "an escape sequence": "\x1b[31ma.png", "stars": "a*[1]?.png",
    "255 bytes": "x" * 251 + ".png",
    "no UTF-8": b"\xff\xfe.png", "no ending": "picture", "a right-to-left mark": "\u202egnp.png", "two dots": "..png",
}  # fmt: skip
LINKS = {
    "the same path": lambda folder: None,
    "a hard link": lambda folder: os.link(folder / "a.png", folder / "b.png"),
    "a symbolic link": lambda folder: (folder / "b.png").symlink_to("a.png"),
    "a link to the folder": lambda folder: (folder / "sub").symlink_to("."),
}
SAME = {"the same path": "./a.png", "a link to the folder": "sub/a.png"}
NAMES, TARGETS, INPUT, EXISTS, BATCH, STOP, TERMINAL, MEMORY = (
    "names and links",
    "output that cannot be",
    "output = input",
    "output exists",
    "many inputs",
    "interrupted",
    "pipes and terminals",
    "memory and devices",
)
NEXT = {"build": PICTURE, "code": 1}
WRITES = "cannot write there|cannot be written"
PATHS = [
    *[Case(row=NAMES, name=what, build=named(name), code=0, source=os.fsdecode(name), target="out.png")
      for what, name in ODD_NAMES.items()],
    Case(row=NAMES, name="a leading dash", build=named("-a.png"), code=0, source="-a.png",
         arguments=("-o", "out.png", "--", "-a.png")),
    Case(row=NAMES, name="255 bytes, output beside it", build=named("x" * 251 + ".png"), source="x" * 251 + ".png",
         arguments=("x" * 251 + ".png",), message="File name too long"),
    Case(row=NAMES, name="256 bytes", build=PICTURE, arguments=("x" * 252 + ".png", "-o", "out.png"),
         message="File name too long"),
    Case(row=NAMES, name="symbolic link to a picture", build=then(lambda f: (f / "l.png").symlink_to("a.png")), code=0,
         source="l.png"),
    Case(row=NAMES, name="symbolic link to itself", build=lambda f: (f / "a.png").symlink_to("a.png"),
         message="cannot be read"),
    Case(row=NAMES, name="symbolic link to nothing", build=lambda f: (f / "a.png").symlink_to("none"),
         message="cannot be read"),
    Case(row=NAMES, name="folders in a circle", build=then(lambda f: (f / "in" / "in").symlink_to("."),
         in__b_png=PICTURE),
         code=0, source="in/b.png", arguments=("in", "-o", "out"), target="out/b_denoised.png", environment={}),
    Case(**NEXT, row=TARGETS, name="folder missing", target="none/out.png", message=WRITES),
    Case(**NEXT, row=TARGETS, name="folder missing, named as one", target="none/", message="no such folder"),
    Case(row=TARGETS, name="folder read-only", build=then(lambda f: (f / "sub").mkdir(0o555), let_in),
         prepare=refuse_rights,
         target="sub/out.png", message="Permission denied"),
    Case(row=TARGETS, name="folder that is a file", build=with_files(b_png=b"x"), target="b.png/out.png",
         message="Not a directory"),
    Case(row=TARGETS, name="folder of that name in the folder", arguments=("a.png", "-o", "sub"), message="is a folder",
         build=then(lambda f: (f / "sub" / "a_denoised.png").mkdir(parents=True))),
    Case(row=TARGETS, name="pipe", build=then(lambda f: os.mkfifo(f / "out.png")), message="a device, a pipe"),
    Case(row=TARGETS, name="link to itself", build=then(lambda f: (f / "out.png").symlink_to("out.png")),
         message="a link to itself"),
    Case(**NEXT, row=TARGETS, name="device", target="/dev/null", message="a device, a pipe"),
    Case(**NEXT, row=TARGETS, name="name of 256 bytes", always=True, target="x" * 252 + ".png",
         message="File name too long"),
    Case(**NEXT, row=TARGETS, name="name whose recipe has 260 bytes", target="x" * 251 + ".png",
         message="File name too long"),
    Case(**NEXT, row=TARGETS, name="unknown ending", target="out.gif", message="no format to write"),
    Case(row=TARGETS, name="input that may not be read", always=True, build=then(lambda f: (f / "a.png").chmod(0),
         let_in),
         prepare=refuse_rights, message="Permission denied"),
    Case(**NEXT, row=TARGETS, name="a quota of 1000 bytes", message="File too large", left=True,
         prepare=partial(allow, resource.RLIMIT_FSIZE, 1000)),
    Case(**NEXT, row=TARGETS, name="no file more may be open", message="Too many open files",
         prepare=partial(allow, resource.RLIMIT_NOFILE, 3)),
    *[Case(row=INPUT, name=what, build=then(link), target=SAME.get(what, "b.png"),
         message="the output is the input itself",
           arguments=("a.png", "-o", SAME.get(what, "b.png"), "--overwrite")) for what, link in LINKS.items()],
    Case(row=INPUT, name="--in-place", build=PICTURE, code=0, arguments=("a.png", "--in-place"), replaced=("a.png",),
         target="a.png"),
    Case(row=EXISTS, name="picture", build=with_files(out_png=b"mine"), message="the output exists"),
    Case(row=EXISTS, name="recipe", build=then(lambda f: (f / "out.png.json").write_bytes(b"mine")),
         message="the output exists"),
    Case(row=EXISTS, name="link to nothing", build=then(lambda f: (f / "out.png").symlink_to("none")),
         message="the output exists"),
    Case(row=EXISTS, name="--overwrite", build=with_files(out_png=b"mine"), code=0, replaced=("out.png",),
         arguments=("a.png", "-o", "out.png", "--overwrite")),
    Case(row=EXISTS, name="in a batch", build=with_files(in__b_png=PICTURE, out__b_denoised_png=b"mine"),
         arguments=("in", "-o", "out"), message="1 outputs exist"),
    Case(row=EXISTS, name="in a batch, --resume", build=with_files(in__b_png=PICTURE, out__b_denoised_png=b"mine"),
         left=True,
         arguments=("in", "-o", "out", "--resume"), message="the output exists", environment={}),
    Case(row=BATCH, name="two with one output", build=with_files(sub__a_png=PICTURE), code=2,
         arguments=("a.png", "sub/a.png", "-o", "out"), message="two inputs have one output"),
    Case(row=BATCH, name="an input that is an output", build=with_files(a_denoised_png=PICTURE), code=2,
         arguments=("a.png", "a_denoised.png", "-o", "."), message="is the output of another"),
    Case(row=BATCH, name="no pictures", build=then(lambda f: (f / "in").mkdir()), arguments=("in", "-o", "out"),
         message="no images there"),
    Case(row=BATCH, name="a pattern without a match", build=PICTURE, arguments=("*.tif", "-o", "out"),
         message="nothing matches"),
    Case(row=BATCH, name="a file that vanishes", build=with_files(in__b_png=PICTURE, in__c_png=PICTURE,
         in__z_png=PICTURE),
         arguments=("in", "-o", "out"), message="No such file", left=True, environment={}, meanwhile=remove_last,
         replaced=("in/z.png",)),
    Case(**NEXT | {"code": 130}, row=STOP, name="Ctrl-C", arguments=("a.png", "-o", "out.png", *LONG),
         meanwhile=send(signal.SIGINT), message="interrupted; nothing is half-written"),
    Case(**NEXT | {"code": 130}, row=STOP, name="Ctrl-C, a process of its own", arguments=("a.png", "-o", "out.png",
         *LONG),
         environment={}, meanwhile=send(signal.SIGINT, after=4), message="interrupted; nothing is half-written"),
    Case(row=STOP, name="Ctrl-C in a stack", build=saved(np.stack([NOISE] * 3), "npy"), code=130, source="a.npy",
         arguments=("a.npy", "-o", "out.npy", *LONG), meanwhile=send(signal.SIGINT), message="interrupted"),
    Case(row=STOP, name="SIGTERM", always=True, build=PICTURE, code=143, arguments=("a.png", "-o", "out.png", *LONG),
         meanwhile=send(signal.SIGTERM), message="terminated; nothing is half-written"),
    Case(row=STOP, name="SIGTERM in a stack", build=saved(np.stack([NOISE] * 3), "npy"), code=143, source="a.npy",
         arguments=("a.npy", "-o", "out.npy", *LONG), meanwhile=send(signal.SIGTERM), message="terminated"),
    Case(row=STOP, name="SIGTERM of a batch", build=with_files(in__b_png=PICTURE), code=143, left=True, environment={},
         arguments=("in", "-o", "out", *LONG), meanwhile=end_batch, message="terminated"),
    Case(**NEXT, row=TERMINAL, name="stdout is a broken pipe", prepare=break_pipe, left=True),
    Case(**NEXT, row=TERMINAL, name="stdout is full", always=True, prepare=partial(reopen, "/dev/full", 1), left=True,
         message="No space left on device"),
    Case(row=TERMINAL, name="stderr is full", build=b"x", prepare=partial(reopen, "/dev/full", 2), lines=0),
    Case(row=TERMINAL, name="stdout and stderr are closed", build=PICTURE, code=0, prepare=lambda: os.closerange(1, 3),
         environment={}),
    Case(row=TERMINAL, name="a locale without snowmen", build=PICTURE, code=0,
         environment={"PYTHONIOENCODING": "ascii"},
         target="\N{SNOWMAN}.png"),
    Case(row=TERMINAL, name="NO_COLOR", build=PICTURE, code=0, environment={"NO_COLOR": "1"}, message=r"\A[^\x1b]*\Z"),
    Case(row=TERMINAL, name="TERM=dumb, no HOME", build=PICTURE, code=0, message=r"\A[^\x1b]*\Z",
         environment={"TERM": "dumb", "HOME": "/nonexistent", "COLUMNS": "1"}),
    Case(**NEXT | {"code": 3}, row=MEMORY, name="a device that is not there", message="no such device",
         arguments=("a.png", "-o", "out.png", "--device", "cuda:99")),
    Case(row=MEMORY, name="a batch on it", build=with_files(in__b_png=PICTURE), code=3, message="no such device",
         arguments=("in", "-o", "out", "--device", "cuda:99")),
    Case(row=MEMORY, name="less memory than a picture needs", always=True, build=saved(np.tile(NOISE, (40, 50)), "npy"),
         source="a.npy",
         memory=2**26, message="GiB needed"),
    Case(row=MEMORY, name="less memory than a plane needs", source="a.npy", memory=2**26, message="GiB needed",
         lines=2,
         build=saved(np.tile(NOISE, (3, 40, 50)), "npy")),
]  # fmt: skip

"""A case of the zoo: an input, how it is denoised, and what is to become of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.attempts import MEMORY


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bad or odd input, and what is to become of it.

    row : what kind of input it is, in docs/faults.md
    name : of the input
    build : puts it into an empty folder; the bytes of a file stand for that file, called like `source`
    code : exit code
    message : pattern of the one line on stderr, or of all that is said if the exit code is 0
    source, target : file that is denoised and its output, where there is one
    arguments : of the command line; None stands for `source -o target`
    is_same : whether the pixels come out as they went in
    replaced : names of files that may change
    lines : on stderr if it is refused: with stacks, a remark comes first
    left : whether a refused run may leave files, as a batch leaves a manifest
    memory : bytes that the child may take
    environment : of a process of its own, which has no libraries yet; None stands for a fork of this one
    prepare : called in the child before the command line
    meanwhile : called with folder and process while the child runs
    always : whether a quick run tries it too
    """

    row: str
    name: str
    build: Callable[[Path], Any] | bytes
    code: int = 1
    message: str = ""
    source: str = "a.png"
    target: str = ""
    arguments: tuple[str, ...] | None = None
    is_same: bool = False
    replaced: tuple[str, ...] = ()
    lines: int = 1
    left: bool = False
    memory: int = MEMORY
    environment: dict[str, str] | None = None
    prepare: Callable[[], None] | None = None
    meanwhile: Callable[[Path, int], None] | None = None
    always: bool = False

    @property
    def output(self) -> str:
        """Name of the output."""
        return self.target or "out" + Path(self.source).suffix

    @property
    def command(self) -> tuple[str, ...]:
        """What stands behind `mashpix denoise`, options for a quick run left out."""
        return (self.source, "-o", self.output) if self.arguments is None else self.arguments

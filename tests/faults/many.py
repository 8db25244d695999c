"""Many small inputs in one limited child, with a watchdog: one that ends the child, or hangs, costs itself only."""

import os
import select
import signal
import struct
from collections.abc import Callable, Iterator, Sequence

from faults.attempts import MEMORY, OUTCOMES, limit

Work = Callable[[int], tuple[str, str]]
"""Takes the number of an input; gives an outcome and what is to be said of it."""
HEAD = struct.Struct("<iI")


def try_many(
    numbers: Sequence[int], work: Work, *, seconds: float, memory: int = MEMORY
) -> Iterator[tuple[int, str, str]]:
    """Number, outcome and detail of each input; a child that dies, or hangs for `seconds`, is replaced."""
    place = 0
    while place < len(numbers):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            _serve(numbers[place:], work, theirs, memory=memory)
        os.close(theirs)
        died = ""
        while place < len(numbers) and not died:
            answer = _hear(ours, seconds)
            if isinstance(answer, tuple):
                yield numbers[place], *answer
                place += 1
            else:
                died = answer
        os.close(ours)
        if died == "hung":
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if died:
            yield numbers[place], died, f"exit code {code}"
            place += 1


def _hear(pipe: int, seconds: float) -> tuple[str, str] | str:
    """The next answer of the child, or how it ended without one."""
    if not select.select([pipe], [], [], seconds)[0]:
        return "hung"
    head = os.read(pipe, HEAD.size)
    if len(head) < HEAD.size:
        return "crashed"
    outcome, length = HEAD.unpack(head)
    text = b""
    while len(text) < length:
        text += os.read(pipe, length - len(text))
    return OUTCOMES[outcome], text.decode(errors="backslashreplace")


def _serve(numbers: Sequence[int], work: Work, pipe: int, *, memory: int) -> None:
    """The child's side: an answer for each input, as long as it lives."""
    code = 70
    try:
        limit(memory=memory, seconds=3600)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C may talk
        for number in numbers:
            try:
                outcome, detail = work(number)
            except BaseException as error:
                outcome, detail = "crashed", f"{type(error).__name__}: {error}"
            text = detail.encode(errors="backslashreplace")[:4000]
            os.write(pipe, HEAD.pack(OUTCOMES.index(outcome), len(text)) + text)
        code = 0
    finally:
        os._exit(code)

"""Run C and C++ readers in a separate process: if one crashes or hangs on a crafted file, only that file fails."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, MashpixError
from mashpix.files.image_file import in_short

TIME_LIMIT = 120.0
"""Time limit of a reader for one answer, seconds."""
GRACE = 10.0
"""Seconds after that when a reader ends itself, should nobody be there any more to end it."""

Answer = Callable[[dict[str, Any], bytearray], tuple[dict[str, Any], NDArray[Any] | None]]
"""Takes a request and its data; returns what was found, and an array."""

ReadPlane = Callable[[dict[str, int]], Any]
"""Takes a number for each axis outside of a plane, by its letter; returns the plane, (Y, X) or (Y, X, S)."""


class Child:
    """A process that answers requests: one line of JSON each way, and the bytes that it announces; no pickles."""

    def __init__(self, module: str, *, what: str) -> None:
        """Start `serve` of a module; `what` is the file's kind in messages."""
        self.what, self.time_limit = what, TIME_LIMIT
        self.process = subprocess.Popen(
            python_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: dict[str, Any], data: bytes = b"") -> tuple[dict[str, Any], NDArray[Any]]:
        """Send a request and wait for the answer: what was found, and an array, which may be empty.

        Raises
        ------
        FileError
            If the process reports an error, dies, or exceeds the time limit.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        timer = threading.Timer(self.time_limit, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            send(self.process.stdin, request, data)
            found, answered = receive(self.process.stdout)
        except (OSError, EOFError):
            if not timer.is_alive():
                raise FileError(
                    f"reading this {self.what} took longer than {self.time_limit:g} s (a damaged file?)"
                ) from None
            reason = f"exit code {self.process.wait()}"
            raise FileError(f"the reader of {self.what} crashed on it ({reason}; a damaged file?)") from None
        finally:
            timer.cancel()
        if "error" in found:
            raise FileError(found["error"])
        shape, dtype = found.pop("array", ([-1], "u1"))
        return found, np.frombuffer(answered, dtype).reshape(shape)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                with contextlib.suppress(OSError):  # unsent data is of no use now
                    end.close()


def python_command(module: str) -> list[str]:
    """Return the command that runs `main` of a module in a process with the same import path."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
    return [sys.executable, "-P", "-c", code]


def send(end: Any, head: dict[str, Any], data: bytes | memoryview) -> None:
    """Write one message."""
    end.write(json.dumps(head | {"bytes": len(data)}).encode() + b"\n")
    end.write(data)
    end.flush()


def receive(end: Any) -> tuple[dict[str, Any], bytearray]:
    """Read one message; `EOFError` if there is none."""
    line = end.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    data = bytearray(head.pop("bytes"))
    if end.readinto(data) < len(data):
        raise EOFError
    return head, data


def serve(answer: Answer, *, what: str) -> None:
    """Process's side: answer requests until the connection closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with answers
    while True:
        try:
            request, data = receive(sys.stdin.buffer)
        except EOFError:
            return
        _end_in(TIME_LIMIT + GRACE)
        try:
            found, array = answer(request, data)
        except MashpixError as error:
            found, array = {"error": str(error)}, None
        except Exception as error:  # readers raise arbitrary errors on damaged files
            found, array = {"error": f"damaged {what} ({in_short(error)})"}, None
        _end_in(0)
        if array is not None:
            array = np.ascontiguousarray(array)
            found |= {"array": (array.shape, array.dtype.str)}
        send(answers, found, array.data.cast("B") if array is not None and array.size else b"")


def _end_in(seconds: float) -> None:
    """Let the system end this process after a time, whatever C code is running; 0 cancels."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def serve_planes(open_file: Callable[[str], tuple[dict[str, Any], ReadPlane]], *, what: str) -> None:
    """Process's side, for one file read plane by plane: {"path"} opens it, {"index"} requests a plane."""
    readers: list[ReadPlane] = []

    def answer(request: dict[str, Any], _: bytes | bytearray) -> tuple[dict[str, Any], NDArray[Any] | None]:
        if "path" in request:
            found, read = open_file(request["path"])
            readers.append(read)
            return found, None
        return {}, np.asarray(readers[0](request["index"]))

    serve(answer, what=what)

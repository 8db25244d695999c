"""The server's end of a worker process: JSON lines to it and from it, its memory, its end. No pickle."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from mashpix.files.reader_process import python_command

LONGEST_LINE = 2**22
"""Largest length of a message in bytes."""
LAST_MOMENT = 1.0
"""Seconds that a process may take to die once it has closed its connection."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the memory of a worker."""


class WorkerDied(Exception):
    """The worker process has ended, with the reason in words."""


class WorkerProcess:
    """A running worker process; `start` makes one."""

    def __init__(self, process: asyncio.subprocess.Process, *, memory: int | None) -> None:
        self.process, self.memory, self.reason = process, memory, ""
        self.watch = asyncio.create_task(self._watch_memory())

    @classmethod
    async def start(cls, device: str, *, memory: int | None) -> "WorkerProcess":
        """Start a worker for a device; `memory` is the most that it may hold, bytes."""
        process = await asyncio.create_subprocess_exec(
            *python_command("mashpix.web.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LONGEST_LINE,
        )
        worker = cls(process, memory=memory)
        worker.send({"device": device, "memory": memory})
        return worker

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; if the worker is dead, `receive` will say so."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def receive(self, *, timeout: float) -> dict[str, Any]:
        """Wait for a message.

        Raises
        ------
        WorkerDied
            If the process ends, or says nothing for `timeout` seconds.
        """
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(timeout):  # `wait_for` of Python 3.11 can lose a cancellation
                line = await self.process.stdout.readline()
            if line.endswith(b"\n"):
                message: dict[str, Any] = json.loads(line)
                return message
            with contextlib.suppress(TimeoutError):  # a signal to a process that has just died loses its exit code
                async with asyncio.timeout(LAST_MOMENT):
                    await self.process.wait()
        except TimeoutError:
            self.reason = f"the worker gave no sign of life for {timeout:g} s and was ended"
        except ValueError:
            self.reason = "the worker sent something else than messages and was ended"
        await self.kill()
        raise WorkerDied(self.reason or f"the worker process died (exit code {self.process.returncode})")

    async def kill(self, reason: str = "") -> None:
        """End the process at once: its outputs are complete or absent."""
        self.reason = self.reason or reason
        self.watch.cancel()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.returncode is None

    async def _watch_memory(self) -> None:
        """Kill the process when it holds too much."""
        while self.memory is not None:
            await asyncio.sleep(LOOK_EVERY)
            held = resident(self.process.pid)
            if held > self.memory:
                self.reason = (
                    f"the worker needed too much memory ({held / 2**30:.1f} GiB; {self.memory / 2**30:.1f} allowed)"
                )
                self.process.kill()
                return


def resident(pid: int) -> int:
    """Return the memory that a process holds, bytes; 0 where the system does not say."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def total_memory() -> int | None:
    """Return the main memory of the machine, bytes; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

"""What happens to jobs, as a numbered stream that clients follow, and can take up again where they left it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

KEPT = 1000
"""Events that are kept for clients that come back."""
BEHIND = 500
"""Events that a client may be behind before its stream is ended: it comes back by itself."""
HEARTBEAT = 15.0
"""Seconds between two signs of life of a quiet stream."""


@dataclass(frozen=True)
class Event:
    """One event: `kind` is "state", "progress", "preview", "note", "done" or "failed"."""

    number: int
    job: str
    kind: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        """Return the event as server-sent events spell it."""
        data = json.dumps({"job": self.job} | self.data)
        return f"id: {self.number}\nevent: {self.kind}\ndata: {data}\n\n".encode()


@dataclass(eq=False)
class Events:
    """All events of a server. Numbers go on rising after a restart, since they begin with the time, in ms."""

    last: int = field(default_factory=lambda: time.time_ns() // 10**6)
    first: int = 0
    kept: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT))
    readers: "set[asyncio.Queue[Event]]" = field(default_factory=set)

    def publish(self, job: str, kind: str, data: dict[str, Any]) -> None:
        """Send an event to all who follow."""
        self.last += 1
        event = Event(self.last, job, kind, data)
        if kind != "progress":  # of which only the latest is of use
            if len(self.kept) == KEPT:
                self.first = self.kept[0].number
            self.kept.append(event)
        for reader in list(self.readers):
            try:
                reader.put_nowait(event)
            except asyncio.QueueFull:
                self.readers.discard(reader)

    def __post_init__(self) -> None:
        self.first = self.last

    async def follow(self, *, job: str | None, after: int | None, now: list[Event]) -> AsyncIterator[bytes]:
        """Yield the stream of one job, or of all: what was missed since `after`, or else `now`; then what comes."""
        reader: asyncio.Queue[Event] = asyncio.Queue(BEHIND)
        missed = self._missed(after) if after is not None else None
        self.readers.add(reader)
        try:
            yield b"retry: 1000\n\n"
            for event in now if missed is None else missed:
                if job in (None, event.job):
                    yield event.encode()
            while reader in self.readers or not reader.empty():
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        event = await reader.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if job in (None, event.job):
                    yield event.encode()
        finally:
            self.readers.discard(reader)

    def _missed(self, after: int) -> list[Event] | None:
        """Return the events after a number; None if some of them are no longer kept."""
        if not self.first <= after <= self.last:
            return None
        return [event for event in self.kept if event.number > after]

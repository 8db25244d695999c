"""Deadlines of connections, which uvicorn has none of: slow heads, slow bodies, clients that do not read, too many."""

import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mashpix.web.errors import answer
from mashpix.web.guard import HEADERS
from mashpix.web.limits import Limits

LOOK_EVERY = 0.5
"""Seconds between two looks at a connection."""
REST = 5.0
"""Seconds in which a client may still send what nobody wants any more: it has its answer."""
WRITE_BUFFER = 2**16
"""Bytes of an answer that wait in memory for a client to read."""


class GuardedProtocol(H11Protocol):
    """A connection that is closed when its phase takes too long: no data of the client is waited for without end."""

    limits: Limits

    def connection_made(self, transport: Any) -> None:
        """Begin to watch a new connection, or close it if there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.pauses, self.phase, self.since = 0, ("", 0), time.monotonic()
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._look()

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as the answer is written."""
        self.pauses += 1
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not a request in the form of all errors."""
        if self.conn.our_state is h11.IDLE:
            refused = answer(400, "bad_request", msg, HEADERS | {"connection": "close"})
            for event in (
                h11.Response(status_code=400, headers=refused.raw_headers),
                h11.Data(data=bytes(refused.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _look(self) -> None:
        """Close the connection if it has been in one phase for too long; else look again soon."""
        if self not in self.connections:
            return
        name, number, limit = self._find_phase()
        if (name, number) != self.phase:
            self.phase, self.since = (name, number), time.monotonic()
        if time.monotonic() - self.since >= limit:
            self.transport.abort()
        else:
            self.loop.call_later(LOOK_EVERY, self._look)

    def _find_phase(self) -> tuple[str, int, float]:
        """Return what the client has to do now, with a number that differs the next time, and its time limit."""
        limits, request = self.limits, id(self.cycle)
        if self.transport.is_closing():
            return "flush", 0, limits.stalled
        if self.flow.write_paused:
            return "read", self.pauses, limits.stalled
        if self.conn.their_state is h11.IDLE:
            return "head", request, limits.header
        if self.conn.their_state is h11.SEND_BODY:
            return ("rest", request, REST) if self.cycle.response_complete else ("body", request, limits.body)
        return "wait", request, float("inf")


def protocol_with(limits: Limits) -> Any:
    """Return the class of connections with these limits."""
    return type("LimitedProtocol", (GuardedProtocol,), {"limits": limits})

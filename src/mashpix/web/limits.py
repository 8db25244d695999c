"""What a server is started with: its address, and every limit that keeps it alive, with units."""

from dataclasses import dataclass
from pathlib import Path

from mashpix.errors import UsageError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine can reach."""
MIN_TOKEN = 16
"""Least length of a token, characters: a shorter one can be guessed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server. Seconds and bytes.

    max_upload, max_pixels : of one file; pixels are width x height of a plane
    queue, share : jobs that wait at a time, and how many of them one client may have, told apart by its address
    keep : how long a finished job stays after it was last used
    disk : of all jobs together
    idle : a worker process that has nothing to do ends after this time
    hang, memory : a worker that says nothing for so long, or holds more, is killed; None: 80 % of the machine's memory
    header, body, stalled : deadlines of a request's head and body, and of a client that does not read its answer
    connections : open at a time; more are closed at once
    """

    max_upload: int = 256 * 2**20
    max_pixels: int = 64_000_000
    queue: int = 32
    share: int = 24
    keep: float = 3600.0
    disk: int = 20 * 2**30
    idle: float = 600.0
    hang: float = 900.0
    memory: int | None = None
    header: float = 10.0
    body: float = 120.0
    stalled: float = 30.0
    connections: int = 256


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What `mashpix serve` is asked for.

    host, port : where to listen; port 0 takes any that is free
    folder : where jobs live
    token : what clients must know; None only on a host that no other machine can reach
    device : as in `mashpix.denoise`; several, separated by commas, work side by side
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8421
    token: str | None = None
    device: str = "auto"
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Refuse a server that anybody could use; `UsageError`."""
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise UsageError(f"`token`: too short to be safe ({len(self.token)} characters; {MIN_TOKEN} or more)")
        if self.token is None and self.host not in LOOPBACK:
            raise UsageError(f"`host`: {self.host!r} can be reached from elsewhere (set a `token_file`, or 127.0.0.1)")

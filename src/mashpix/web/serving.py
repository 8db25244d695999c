"""Run a server until Ctrl-C: listen, say where, and serve."""

import socket
from collections.abc import Callable

import uvicorn

from mashpix.errors import UsageError
from mashpix.jobs.lock import lock_folder
from mashpix.web.app import make_app
from mashpix.web.limits import ServerOptions
from mashpix.web.protocol import protocol_with

GRACE = 1
"""Seconds that answers get to end when the server does: streams of events would never."""


def serve(options: ServerOptions, *, tell: Callable[[str], None]) -> None:
    """Serve until a signal ends it; `tell` gets the address once clients may connect.

    Raises
    ------
    UsageError
        If the address is taken, or is not one of this machine.
    FileError
        If another server uses the folder.
    """
    options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_folder(options.folder), _listen(options.host, options.port) as listening:
        config = uvicorn.Config(
            make_app(options),
            http=protocol_with(options.limits),
            ws="none",
            lifespan="on",
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            proxy_headers=False,
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        tell(f"http://{host}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens: clients that come before the server is ready wait a moment."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(socket.SOMAXCONN)
    except OSError as error:
        raise UsageError(f"`host`, `port`: cannot listen there ({host}:{port}; {error.strerror})") from None
    return listening

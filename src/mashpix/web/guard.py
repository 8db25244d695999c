"""Who may ask, from where, and how much they may send: checked before anything else, and headers for every answer."""

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response

from mashpix.web.errors import ApiError, answer
from mashpix.web.limits import LOOPBACK, ServerOptions

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

COOKIE = "mashpix-session"
"""Name of the cookie that a page gets for the token."""
OPEN = ("/login", "/static/")
"""Paths that need no token."""
READING = ("GET", "HEAD")
"""Methods that change nothing."""
MAX_JSON = 2**18
"""Largest body of a request that brings no file, bytes."""
MAX_HEADERS = 100
"""Headers of a request."""
MAX_HEAD = 2**15
"""Largest length of all headers of a request, characters."""
AROUND_FILE = 2**20
"""Bytes that a body may have beside the file in it."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer that does not set its own."""


def session_of(token: str) -> str:
    """Return the value of the cookie for a token: it proves that the token was known, and does not give it away."""
    return hmac.new(token.encode(), b"mashpix session", hashlib.sha256).hexdigest()


class Guard:
    """An ASGI application around another, which sees only requests that are allowed."""

    def __init__(self, app: Any, options: ServerOptions) -> None:
        self.app, self.options = app, options
        self.is_local = options.host in LOOPBACK
        self.names = {"localhost"} if self.is_local else {"localhost", options.host, socket.gethostname()}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            refused = self._refuse(scope, Headers(scope=scope))
            app = refused or self.app
            most = self.options.limits.max_upload + AROUND_FILE if scope["path"] == "/api/jobs" else MAX_JSON
            await app(scope, _capped(receive, most), _with_headers(send))

    def _refuse(self, scope: Message, headers: Headers) -> Response | None:
        """Return the answer to a request that is not allowed."""
        if len(headers) > MAX_HEADERS or sum(map(len, headers.keys() + headers.values())) > MAX_HEAD:
            return answer(431, "head_too_large", f"too many headers ({MAX_HEADERS}, {MAX_HEAD} characters allowed)")
        if not self._is_own_host(headers.get("host", "")):
            return answer(403, "foreign_host", "this server does not answer to that host name")
        if not self._is_own_origin(scope["method"], headers):
            return answer(403, "foreign_origin", "a page of another origin may not use this server")
        if not self._is_known(scope["path"], headers):
            if scope["path"].startswith("/api/"):
                return answer(401, "no_token", "the token is needed", {"WWW-Authenticate": "Bearer"})
            return Response(status_code=303, headers={"location": "/login"})
        _, how = parse_options_header(headers.get("content-type"))
        if how.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):  # some are slow, or make broken text
            return answer(415, "not_utf_8", "send text as UTF-8")
        length = headers.get("content-length", "0")
        limit = self.options.limits.max_upload + AROUND_FILE if scope["path"] == "/api/jobs" else MAX_JSON
        if length.isdecimal() and int(length) > limit:
            return _too_large(limit)
        return None

    def _is_own_host(self, host: str) -> bool:
        """Return whether the Host names this machine: another name that leads here is an attack (DNS rebinding)."""
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name.lower() in self.names
        return address.is_loopback or not self.is_local

    @staticmethod
    def _is_own_origin(method: str, headers: Headers) -> bool:
        """Return whether a request comes from the server's own page, from an address bar, or from a program."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return False
        followed = method in READING and headers.get("sec-fetch-mode") == "navigate"  # a link on another page
        return site in ("same-origin", "none") or followed

    def _is_known(self, path: str, headers: Headers) -> bool:
        """Return whether the client knows the token, if there is one."""
        token = self.options.token
        if token is None or path.startswith(OPEN):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(), session_of(token).encode())


def _too_large(limit: int) -> Response:
    return answer(413, "too_large", f"the body is too large (at most {limit} bytes)")


def _capped(receive: Receive, most: int) -> Receive:
    """Count the bytes of a body, and end it where it becomes too large."""
    total = 0

    async def capped() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise ApiError(413, "too_large", f"the body is too large (at most {most} bytes)")
        return message

    return capped


def _with_headers(send: Send) -> Send:
    """Add the headers that every answer has."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers

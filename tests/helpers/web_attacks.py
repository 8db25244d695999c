"""Attacks on a web server over raw sockets, one for each row of the HTTP table of faults, with what it must answer."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from web_server import Server

LIMITS = {"max_upload": 4 * 2**20, "header": 1.0, "body": 3.0, "stalled": 1.0, "queue": 40, "share": 40}
"""Limits of a server that is attacked: deadlines that can be waited for."""
FORM_TYPE = "multipart/form-data; boundary=b"
FORM = f"POST /api/jobs HTTP/1.1\nHost: {{host}}\nContent-Type: {FORM_TYPE}\n"
GET = "GET {path} HTTP/1.1\nHost: {{host}}\n"


def part(data=b"x", name="file", **more):
    """Encode a part of a form."""
    said = "".join(f'; {key}="{value}"' for key, value in more.items())
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{said}\r\n\r\n'.encode() + data + b"\r\n"


FILE = part(filename="x.png")
END = b"--b--\r\n"
CHUNKED = "Transfer-Encoding: chunked\n"
OVER = b"%x\r\n%b\r\n" % (len(FILE) - 2, FILE[:-2]) + (b"100000\r\n" + bytes(2**20) + b"\r\n") * 6 + b"0\r\n\r\n"
"""A form in chunks, with a file of 6 MiB."""


@dataclass(frozen=True)
class Request:
    """A raw request, and the statuses that are right; 0 where the server closes the connection without an answer."""

    head: str
    body: bytes = b""
    statuses: tuple[int, ...] = (400,)

    def send(self, server: Server) -> tuple[int, bytes]:
        """Send it; return the status, and the beginning of the answer."""
        more = "" if "Length: " in self.head or CHUNKED in self.head else f"Content-Length: {len(self.body)}\n"
        head = self.head.format(host=f"127.0.0.1:{server.port}") + more + "\n"
        return server.ask(head.encode("latin-1"), self.body)


def form(*parts, head=FORM, statuses=(422,)):
    """Return a request that sends a form."""
    return Request(head, b"".join(parts) + END, statuses)


def get(path, *headers, statuses=(404,)):
    """Return a request that reads something."""
    return Request(GET.format(path=path) + "".join(f"{header}\n" for header in headers), statuses=statuses)


def post(path, *headers, body=b"", statuses=(403,)):
    """Return a request that changes something."""
    return Request(
        f"POST {path} HTTP/1.1\nHost: {{host}}\n" + "".join(f"{header}\n" for header in headers), body, statuses
    )


def ask_for(option):
    """Return a form whose request JSON is this."""
    return form(FILE, part(option.encode(), "request"))


REQUESTS = {
    "body over the cap by its Content-Length": Request(FORM + "Content-Length: 99999999\n", statuses=(413,)),
    "file over the cap in chunks": Request(FORM + CHUNKED, OVER, (413,)),
    "file over the cap, with a small Content-Length": Request(FORM + CHUNKED + "Content-Length: 9\n", OVER, (413,)),
    "JSON over the cap": post(f"/api/jobs/{'0' * 32}/start", body=b" " * 2**19, statuses=(413,)),
    "body longer than its Content-Length": Request(FORM + "Content-Length: 9\n", FILE + END, (422,)),
    "negative Content-Length": Request(FORM + "Content-Length: -1\n", FILE + END, (400,)),
    "two Content-Lengths": Request(FORM + "Content-Length: 1\nContent-Length: 99\n", FILE + END, (400,)),
    "not HTTP": Request("GET\n"),
    "head of 60,000 characters": get("/api/info", "X: " + "a" * 60_000, statuses=(431,)),
    "head of 400,000 characters": get("/api/info", "X: " + "a" * 400_000, statuses=(400, 431)),
    "1000 headers": get("/api/info", *["a: b"] * 1000, statuses=(431,)),
    "Last-Event-ID of 5000 digits": get("/api/events", "Last-Event-ID: " + "9" * 5000, statuses=(200,)),
    "foreign Host": Request("GET /api/jobs HTTP/1.1\nHost: evil.example\n", statuses=(403,)),
    "Host that begins well": Request("GET / HTTP/1.1\nHost: {host}.evil.example\n", statuses=(403,)),
    "no Host": Request("GET /api/jobs HTTP/1.0\n", statuses=(403,)),
    "two Hosts": get("/api/jobs", "Host: evil.example", statuses=(400,)),
    "foreign Origin": form(FILE, head=FORM + "Origin: http://evil.example\n", statuses=(403,)),
    "Origin of a sandbox": form(FILE, head=FORM + "Origin: null\n", statuses=(403,)),
    "foreign Origin that reads": get("/api/jobs", "Origin: http://evil.example", statuses=(403,)),
    "cross-site POST": post("/api/jobs/sample", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"),
    "cross-site script": get("/api/jobs", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", statuses=(403,)),
    "cross-site preflight": Request(
        "OPTIONS /api/jobs HTTP/1.1\nHost: {host}\nOrigin: http://evil.example\nAccess-Control-Request-Method: POST\n",
        statuses=(403,),
    ),
    "OPTIONS": Request("OPTIONS /api/jobs HTTP/1.1\nHost: {host}\n", statuses=(405,)),
    "TRACE": Request("TRACE /api/jobs HTTP/1.1\nHost: {host}\n", statuses=(405,)),
    "server as a proxy": get("http://evil.example/", statuses=(404,)),
    "CONNECT": Request("CONNECT evil.example:80 HTTP/1.1\nHost: {host}\n", statuses=(404,)),
    "path up": get("/static/../../../../../etc/passwd"),
    "path up from the root": get("/../../etc/passwd"),
    "path up, encoded": get("/static/%2e%2e%2f%2e%2e%2fapp.py"),
    "path up, encoded twice": get("/static/%252e%252e%252fapp.py"),
    "path up with backslashes": get("/static/..%5c..%5capp.py"),
    "path from the root": get("/static//etc/passwd"),
    "path with NUL": get("/static/page.css%00.png"),
    "path of 5000 characters": get("/static/" + "a" * 5000),
    "id that is a path": get("/api/jobs/..%2f..%2fetc/result"),
    "id that is not known": get(f"/api/jobs/{'0' * 32}/result"),
    "number of a plane that is not a number": get(f"/api/jobs/{'0' * 32}/preview?plane=../x", statuses=(404, 422)),
    "not a form": post("/api/jobs", "Content-Type: image/png", body=b"x", statuses=(415,)),
    "form in UTF-7": form(part(b"x", "+2AA-"), head=FORM.replace("b\n", "b; charset=utf-7\n"), statuses=(415,)),
    "form without a boundary": form(FILE, head=FORM.replace("; boundary=b", ""), statuses=(400,)),
    "form without a file": form(part(b"{}", "request")),
    "form with an unknown field": form(FILE, part(b"x", "url")),
    "form with two files": form(FILE, FILE, statuses=(400,)),
    "form with 1000 fields": form(FILE, *[part(b"x", "a")] * 1000, statuses=(400,)),
    "form that is cut": Request(FORM, FILE, (422,)),
    "empty file": form(part(b"", filename="x.png")),
    "file name of 100,000 characters": form(part(filename="a" * 100_000), statuses=(400,)),
    "request that is not JSON": ask_for("{"),
    "request with an unknown key": ask_for('{"source": "/etc/passwd"}'),
    "request with an unknown setting": ask_for('{"settings": {"target": "/etc/passwd"}}'),
    "request 5000 deep": ask_for('{"settings":' * 5000 + "1" + "}" * 5000),
    "request with NaN": ask_for('{"settings": {"learning_rate": NaN}}'),
    "request with a number of 5000 digits": ask_for(f'{{"seed": {"9" * 5000}}}'),
    "request with half a character": ask_for('{"preset": "\\ud800"}'),
}
"""Requests that are refused, by what is wrong with them."""


@dataclass(frozen=True)
class Ended:
    """How connections that take their time ended: how many, after how many seconds, how others fared meanwhile."""

    sent: int
    closed: int
    seconds: float
    others_are_well: bool


def hold(server: Server, begin: Callable[[socket.socket], None], n: int, *, seconds: float) -> Ended:
    """Open connections that then do nothing; wait until the server has closed them."""
    started, well, ports = time.monotonic(), [], []
    with ExitStack() as stack:
        for _ in range(n):
            line = stack.enter_context(server.connect())
            ports.append(line.getsockname()[1])
            line.setblocking(False)
            with suppress(BlockingIOError):
                begin(line)
        while (held := open_lines(server, ports)) and time.monotonic() < started + seconds:
            well.append(server.is_well())
            time.sleep(0.05)
        return Ended(n, n - held, time.monotonic() - started, all(well))


def begin_head(line):
    """Send a head without its end."""
    line.send(b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")


HALF = (FORM.format(host="127.0.0.1") + "Content-Length: 4000000\n\n").replace("\n", "\r\n").encode()
"""The head of a form of which the half is never sent."""


def begin_body(line):
    """Send a body without its end."""
    line.send(HALF + FILE)


def never_read(line):
    """Ask for much, and read none of it."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.send(b"GET /static/page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000)


SLOW = {"slow head": begin_head, "slow body": begin_body, "slow reader": never_read}
"""Ways to keep a connection busy, each with a deadline."""


def leave(server: Server, n: int) -> None:
    """Send half of a file, and leave; n times."""
    for _ in range(n):
        with server.connect() as line:
            line.sendall(HALF + FILE + bytes(2_000_000))


def open_lines(server: Server, ports: list[int]) -> int:
    """Count the connections of these clients that the server has not closed."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = {(row[1].rpartition(":")[2], row[2].rpartition(":")[2]) for row in rows if row[3] == "01"}  # established
    return len({(f"{server.port:04X}", f"{port:04X}") for port in ports} & ends)


def spools_of(server: Server) -> int:
    """Count the temporary files that a server has open: they have no name any more."""
    count = 0
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):
            count += os.readlink(entry).endswith("(deleted)")
    return count

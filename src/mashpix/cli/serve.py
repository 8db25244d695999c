"""`mashpix serve`: the page in the browser and its API, on this machine."""

import re
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from mashpix.cli.options import DEVICES
from mashpix.errors import FileError, UsageError
from mashpix.extras import need

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
BYTES = {"MB": 2**20, "GB": 2**30}


def serve(
    host: Annotated[str, typer.Option(metavar="NAME", help="Where to listen; others than this need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes any that is free.")] = 8421,
    token: Annotated[
        str | None, typer.Option(metavar="TEXT", envvar="MASHPIX_TOKEN", help="What clients must know.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The same, read from a file.")] = None,
    device: Annotated[
        str, typer.Option(metavar=DEVICES, help="Device to compute on; several, separated by commas.")
    ] = "auto",
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger planes.")] = 64_000_000,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where jobs live; default: the user's cache.")
    ] = None,
    queue: Annotated[int, typer.Option(metavar="N", min=1, help="Jobs that may wait.")] = 32,
    keep: Annotated[str, typer.Option(metavar="TIME", help="How long results are kept: 90s, 30min, 1h, 2d.")] = "1h",
    disk_limit: Annotated[str, typer.Option(metavar="SIZE", help="Of all jobs together: 500MB, 20GB.")] = "20GB",
    idle_minutes: Annotated[
        float, typer.Option(metavar="X", min=0.01, help="The worker ends after so long without work.")
    ] = 10.0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
) -> None:
    """Start the page in the browser: drop images, watch them clear, take them home."""
    need("fastapi", "uvicorn", "python_multipart", what="the page", extra="web")
    from mashpix.web.limits import Limits, ServerOptions
    from mashpix.web.serving import serve as run_server

    limits = Limits(
        max_pixels=max_pixels,
        queue=queue,
        share=max(queue * 3 // 4, 1),
        keep=_measure(keep, SECONDS, "`keep`"),
        disk=int(_measure(disk_limit, BYTES, "`disk_limit`")),
        idle=60 * idle_minutes,
    )
    folder = folder or Path(typer.get_app_dir("mashpix")) / "web"
    options = ServerOptions(
        folder=folder, host=host, port=port, token=_read(token_file) or token, device=device, limits=limits
    )

    def tell(address: str) -> None:
        typer.echo(f"mashpix: {address} (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(address)

    run_server(options, tell=tell)


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FileError(f"`token_file`: cannot be read ({str(path)!r}; {error.strerror})") from None


def _measure(text: str, units: dict[str, int], name: str) -> float:
    """Read a number with its unit."""
    found = re.fullmatch(rf"(\d+(?:\.\d+)?)({'|'.join(units)})", text)
    if found is None:
        raise UsageError(f"{name}: not understood ({text!r}; a number with {', '.join(units)})")
    return float(found[1]) * units[found[2]]

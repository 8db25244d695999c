"""`mashpix doctor`: report versions, devices, memory, and the device that `auto` chooses."""

import os
import platform

import typer

from mashpix.extras import version_of

PARTS = ("torch", "numpy", "scipy", "pillow", "tifffile", "imagecodecs", "typer")
"""Packages whose version can affect a result or a file."""
GIB = 2**30


def doctor() -> None:
    """Report versions, devices and memory, and which device --device auto uses."""
    import torch

    from mashpix import __version__
    from mashpix.devices import choose_device

    device, reason = choose_device("auto")
    lines = {"mashpix": __version__, "python": f"{platform.python_version()} on {platform.platform()}"}
    lines |= {part: version_of(part) for part in PARTS}
    lines["processor"] = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads used"
    lines["memory"] = _memory()
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        lines[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / GIB:.0f} GiB"
    if not torch.cuda.is_available():
        build = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        lines["cuda"] = f"not there ({build})"
    lines["mps"] = "there" if torch.backends.mps.is_available() else "not there"
    lines["auto"] = f"{device} ({reason})"
    for name, what in lines.items():
        typer.echo(f"{name:<12} {what}")


def _memory() -> str:
    from mashpix.devices import available_memory

    free = available_memory()
    return "unknown on this system" if free is None else f"{free / GIB:.1f} GiB free"

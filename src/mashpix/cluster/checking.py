"""Check the machines of a cluster before any work: versions, what they see, and their device."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from mashpix import __version__
from mashpix.errors import DeviceError
from mashpix.extras import version_of

COMPARED = ("torch", "numpy", "distributed")
"""Packages that must be alike besides mashpix: their versions affect results, or what is sent."""


@dataclass(frozen=True)
class Needs:
    """What a worker must have.

    paths : it must see these
    folders : it must be able to write there
    device : as in `DenoiseRequest`
    """

    paths: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    device: str = "auto"


@dataclass(frozen=True)
class Found:
    """What a worker says about itself.

    process : its number, which tells it from a later one at the same address
    versions : see `find_versions`
    lacks : what it needs and does not have, in words; "" if it has all
    """

    process: int
    versions: dict[str, str]
    lacks: str


def find_versions() -> dict[str, str]:
    """Return the versions that must be alike; of torch without its build, of Python without its last number."""
    versions = {"mashpix": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    return versions | {package: version_of(package).partition("+")[0] for package in COMPARED}


def differences(versions: dict[str, str]) -> str:
    """Return how the versions elsewhere differ from those here; "" if they do not."""
    return ", ".join(
        f"{name} {versions.get(name)}, here {here}"
        for name, here in find_versions().items()
        if versions.get(name) != here
    )


def check_worker(needs: Needs) -> Found:
    """Check the machine that runs this."""
    return Found(os.getpid(), find_versions(), _find_lack(needs))


def _find_lack(needs: Needs) -> str:
    for path in (*needs.paths, *needs.folders):
        if not os.path.lexists(path):
            return f"does not see {str(path)!r}; all machines need the same paths"
    for folder in needs.folders:
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"cannot write in {str(folder)!r}"
    if needs.device not in ("auto", "cpu"):
        from mashpix.devices import choose_device

        try:
            choose_device(needs.device)
        except DeviceError as error:
            return str(error)
    return ""

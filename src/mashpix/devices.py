"""The device of a run, and free memory: an explicit device never falls back."""

import ctypes
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch

from mashpix.errors import DeviceError, UsageError

Returned = TypeVar("Returned")

CHOICES = "auto, cpu, cuda, cuda:N or mps"


def choose_device(name: str) -> tuple[torch.device, str]:
    """Find the device for a name, and the reason for the choice in a few words; "auto" takes CUDA, MPS or the CPU.

    Another name than those of `CHOICES` raises `UsageError`, a device that is not there `DeviceError`.

    Examples
    --------
    >>> choose_device("cpu")
    (device(type='cpu'), 'asked for')
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", name):
        raise UsageError(f"unknown device ({name!r}; {CHOICES})")
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if name == "auto":
        if cuda:
            return torch.device("cuda"), "a CUDA device is there"
        if mps:
            return torch.device("mps"), "no CUDA device, but an Apple GPU"
        return torch.device("cpu"), "neither a CUDA device nor an Apple GPU"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= cuda:
        raise DeviceError(f"no such device ({name}; {cuda} CUDA devices here, choose another with `device`)")
    if device.type == "mps" and not mps:
        raise DeviceError(f"no such device ({name}; no Apple GPU here, choose another with `device`)")
    return device, "asked for"


def in_threads(function: Callable[..., Returned], *arguments: Iterable[Any]) -> list[Returned]:
    """As `map`, in as many threads as torch uses: numpy and scipy keep one of them busy each.

    Examples
    --------
    >>> in_threads(pow, (2, 3), (4, 2))
    [16, 9]
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, *arguments))


@contextmanager
def repeatable_sums() -> Iterator[None]:
    """Within it, `index_add_` sums in the same order every time on CUDA too; the global flags come back afterwards."""
    flags = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(flags[0], warn_only=flags[1])


def release_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library (glibc) keeps it for later.

    It keeps what is smaller than 32 MiB: the tensors of all tiles and strips so far, hundreds of MiB beside a large
    image. Takes milliseconds, so it is for the ends of stages.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library, or another system
        ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int | None:
    """Bytes of main memory that this process can still have, or None if the system does not report it.

    The lesser of what is free and what the limit of this process (`ulimit -v`) leaves.
    """
    left = []
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        left.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    with suppress(OSError, ImportError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            left.append(limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize())
    return max(min(left), 0) if left else None

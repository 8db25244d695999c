"""Denoise one image from that image alone, by MASH (CVPR 2024) and what grows out of it."""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
"""Read by torch: Linux gives large tensors pages of 2 MiB. In small ones, a third of a prediction was page faults."""

_LINE = re.compile(r"^from (mashpix\S*) import (\w+) as \2$", re.MULTILINE)
_HOMES = {name: home for home, name in _LINE.findall(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))}
"""The module of each public name, read off `__init__.pyi`: they are spelled nowhere else."""
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds to load, `mashpix --help` must not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"{home}.{name}") if home == __name__ else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

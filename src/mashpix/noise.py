"""The former name of `mashpix.simulation`: it works for one more version, with a warning."""

import warnings
from typing import Any

from mashpix import simulation


def __getattr__(name: str) -> Any:
    """A name of `mashpix.simulation`, with a warning that it has moved."""
    value = getattr(simulation, name)
    warnings.warn(f"mashpix.noise.{name} is now mashpix.simulation.{name}", DeprecationWarning, stacklevel=2)
    return value

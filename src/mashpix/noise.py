"""The former name of `mashpix.simulation`: it works for one more version, with a warning."""

from typing import Any

from mashpix import simulation
from mashpix.deprecation import warn_renamed


def __getattr__(name: str) -> Any:
    """A name of `mashpix.simulation`, with a warning that it has moved."""
    value = getattr(simulation, name)
    warn_renamed(f"mashpix.noise.{name}", f"mashpix.simulation.{name}")
    return value

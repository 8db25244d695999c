"""Former ways to call public functions that keep working for one version, with a `DeprecationWarning`."""

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any, Literal, TypeVar

from mashpix.axes import Networks
from mashpix.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
Choice = TypeVar("Choice", bound=str)

FITS: dict[str, Networks] = {"once": "shared", "each": "each"}
"""How recipes, and version 0.1 everywhere, name the choices of `Networks`."""


def warn_renamed(former: str, now: str) -> None:
    """Warn whoever called mashpix that an option has another name or place: at the line outside of the package."""
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "mashpix":
        frame, level = frame.f_back, level + 1
    warnings.warn(f"`{former}` is deprecated: use {now}", DeprecationWarning, stacklevel=level)


def networks_of(fit: str) -> Networks:
    """The choice that recipes and the former option `fit` name "once" or "each"; another name raises `UsageError`."""
    if fit not in FITS:
        raise UsageError(f"`fit`: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    return FITS[fit]


def networks_from(networks: Networks, fit: str | None) -> Networks:
    """The option `networks` of a stack, or the meaning of its former name `fit` if that is given."""
    if fit is None:
        return networks
    warn_renamed("fit", 'networks="shared" or "each"')
    return networks_of(fit)


def channels_from(channels: Choice, joint: bool | None, *, axes: str) -> Choice | Literal["joint"]:
    """The option `channels` of a stack, or the meaning of its former name `joint` if that is given."""
    if joint is not None:
        warn_renamed("joint", 'channels="joint"')
    return "joint" if joint and "C" in axes else channels


def third_by_name(name: str) -> Callable[[Function], Function]:
    """A function of two arrays whose option `name` may still be given as a third positional argument."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if len(arguments) == 3 and name not in options:
                warn_renamed(name, f"{name}= by name")
                return function(*arguments[:2], **options | {name: arguments[2]})
            return function(*arguments, **options)

        return call  # type: ignore[return-value]

    return decorate

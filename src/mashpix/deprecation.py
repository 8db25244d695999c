"""Former ways to call public functions that keep working for one version, with a `DeprecationWarning`."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeVar

from mashpix.axes import Networks
from mashpix.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
Choice = TypeVar("Choice", bound=str)

FITS: dict[str, Networks] = {"once": "shared", "each": "each"}
"""How recipes, and version 0.1 everywhere, name the choices of `Networks`."""


def warn_renamed(former: str, now: str, *, stacklevel: int) -> None:
    """Warn the caller of a public function that an option has another name or place."""
    warnings.warn(f"`{former}` is deprecated: use {now}", DeprecationWarning, stacklevel=stacklevel)


def networks_of(fit: str) -> Networks:
    """The choice that recipes and the former option `fit` name "once" or "each"; another name raises `UsageError`."""
    if fit not in FITS:
        raise UsageError(f"`fit`: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    return FITS[fit]


def networks_from(networks: Networks, fit: str | None) -> Networks:
    """The option `networks` of a stack, or the meaning of its former name `fit` if that is given."""
    if fit is None:
        return networks
    warn_renamed("fit", 'networks="shared" or "each"', stacklevel=4)
    return networks_of(fit)


def channels_from(channels: Choice, joint: bool | None, *, axes: str) -> Choice | Literal["joint"]:
    """The option `channels` of a stack, or the meaning of its former name `joint` if that is given."""
    if joint is not None:
        warn_renamed("joint", 'channels="joint"', stacklevel=4)
    return "joint" if joint and "C" in axes else channels


def third_by_name(name: str) -> Callable[[Function], Function]:
    """A function of two arrays whose option `name` may still be given as a third positional argument."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if len(arguments) == 3 and name not in options:
                warn_renamed(f"{name} by position", f"{name}=", stacklevel=3)
                return function(*arguments[:2], **options | {name: arguments[2]})
            return function(*arguments, **options)

        return call  # type: ignore[return-value]

    return decorate

"""Former ways to call public functions that keep working for one version, with a `DeprecationWarning`."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def warn_renamed(former: str, now: str, *, stacklevel: int = 4) -> None:
    """Warn the caller of a public function that an option has another name or place."""
    warnings.warn(f"`{former}` is deprecated: use {now}", DeprecationWarning, stacklevel=stacklevel)


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

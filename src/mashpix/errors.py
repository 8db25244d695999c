"""The errors mashpix raises: one tree, each with the exit code that the command line gives it.

A message is one line, `<what> (<got>; <limit or what to do>)`, and never names the file: whoever knows the
name (the command line, a batch) puts it in front. An option that helps is named in backquotes by its Python name, such
as `overwrite`: each front end spells it in its own way (`spelled`).

    MashpixError              1   base of all
    ├── InputError            1   pixels, shapes or values that cannot be denoised; also a ValueError
    ├── FileError             1   a file that cannot be read or written
    ├── UsageError            2   options that contradict each other; also a ValueError
    ├── DeviceError           3   the device asked for is not available, or its memory is too small
    └── ExtraError            3   an optional library is not installed; also an ImportError
"""

import re
from collections.abc import Callable


def spelled(message: str, spell: Callable[[str], str]) -> str:
    """A message with the options that it names in backquotes spelled by a front end.

    Examples
    --------
    >>> spelled("the output exists (`overwrite` replaces it)", lambda option: f"--{option}")
    'the output exists (--overwrite replaces it)'
    """
    return re.sub(r"`([a-z_]+)`", lambda found: spell(found[1]), message)


class MashpixError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(MashpixError, ValueError):
    """Pixels, shapes or values that cannot be denoised."""


class FileError(MashpixError):
    """A file that cannot be read or written as asked."""


class UsageError(MashpixError, ValueError):
    """Options that contradict each other or are outside their limits."""

    exit_code = 2


class DeviceError(MashpixError, RuntimeError):
    """The device asked for is not available, or has too little memory."""

    exit_code = 3


class ExtraError(MashpixError, ImportError):
    """A library that the request needs is not installed; the message names the extra that brings it."""

    exit_code = 3


def reason_of(error: Exception) -> str:
    """Return the reason why a job failed, in one line."""
    if isinstance(error, MashpixError):
        return str(error)
    if isinstance(error, OSError):  # it vanished
        return f"cannot be read ({error.strerror})"
    return f"{type(error).__name__}: {error}"

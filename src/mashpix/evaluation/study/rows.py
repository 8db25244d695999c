"""The rows of a study, and what is read from them: selections, means, words for a sentence."""

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, replace
from itertools import pairwise
from math import nan
from statistics import fmean
from typing import Any, Self, TypeVar


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement and one line of the CSV; the fields with a default are results.

    settings : differences from those of the preset
    set, name : of the folder and the file
    crop : side of the centre that was used, pixels; 0 for whole images
    """

    preset: str
    settings: str
    set: str
    name: str
    crop: int
    seed: int
    threads: int
    device: str
    version: str

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the measurement."""
        return tuple(getattr(self, item.name) for item in fields(self) if item.default is MISSING)

    def filled(self, **results: Any) -> Self:
        """Return a copy with the results filled in."""
        return replace(self, **results)


Measured = TypeVar("Measured", bound=Row)
Value = TypeVar("Value")


def only(rows: Iterable[Measured], **where: object) -> list[Measured]:
    """Return the rows with these values in some columns."""
    return [row for row in rows if all(getattr(row, name) == wanted for name, wanted in where.items())]


def mean_of(rows: Iterable[Row], value: str, **where: object) -> float:
    """Average a column over the rows with these values in other columns; NaN if there are none."""
    found = [getattr(row, value) for row in only(rows, **where)]
    return fmean(found) if found else nan


def distinct(values: Iterable[Value]) -> list[Value]:
    """Return the distinct values in order of first occurrence.

    Examples
    --------
    >>> distinct([2, 1, 2])
    [2, 1]
    """
    return list(dict.fromkeys(values))


def listing(values: Iterable[float], form: str) -> str:
    """Write numbers as they stand in a sentence.

    Examples
    --------
    >>> listing([1, 2.25, 3], ".1f")
    '1.0, 2.2 and 3.0'
    """
    *first, last = (format(value, form) for value in values)
    return f"{', '.join(first)} and {last}" if first else last


def grows(values: Iterable[float]) -> bool:
    """Return whether each value is larger than the one before.

    Examples
    --------
    >>> grows([1, 2, 3]), grows([1, 1, 2])
    (True, False)
    """
    values = list(values)
    return all(before < after for before, after in pairwise(values))

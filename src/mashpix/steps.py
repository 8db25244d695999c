"""Helpers for generators of `Step`: run one to its end, or pass its steps on with a change."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from mashpix.report import Step

Yielded = TypeVar("Yielded")
Changed = TypeVar("Changed")
Returned = TypeVar("Returned")


def drain(steps: Generator[object, None, Returned]) -> Returned:
    """Run a generator to its end and take what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Returned = stop.value
            return result


def relay(
    steps: Generator[Yielded, None, Returned], change: Callable[[Yielded], Changed]
) -> Generator[Changed, None, Returned]:
    """Pass on what a generator yields, changed by a function, and return what it returns.

    Closing this generator closes the one behind it.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: Returned = stop.value
                return result
            yield change(step)


def numbered(stage: str, index: int) -> str:
    """Name of a stage that is gone through several times.

    Examples
    --------
    >>> [numbered("fit", index) for index in range(3)]
    ['fit', 'fit 2', 'fit 3']
    """
    return f"{stage} {index + 1}" if index else stage


def numbered_steps(steps: Generator[Step, None, Returned], index: int) -> Generator[Step, None, Returned]:
    """The steps with the names of their stages numbered."""
    return relay(steps, lambda step: replace(step, stage=numbered(step.stage, index)))


def scaled(steps: Generator[Step, None, Returned], start: float, share: float) -> Generator[Step, None, Returned]:
    """The steps of one part of the work, with the fraction of the whole that is done."""
    return relay(steps, lambda step: replace(step, fraction=start + share * step.fraction))

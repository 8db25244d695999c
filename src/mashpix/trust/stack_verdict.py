"""The verdicts on the planes of a stack: how many are not good, and which plane is the worst."""

from collections.abc import Mapping
from dataclasses import replace

from mashpix.axes import WITHIN, Index
from mashpix.trust.verdict import GOOD, Verdict, severity


def name_plane(index: Index, axes: str) -> str:
    """What a plane is called: its place along each axis outside of it, counted from 0.

    Examples
    --------
    >>> name_plane((3, 0, slice(None), slice(None)), "TCYX")
    'T 3, C 0'
    """
    outside = [f"{letter} {place}" for letter, place in zip(axes, index, strict=True) if letter not in WITHIN]
    return ", ".join(outside) or "the picture"


def sum_up(verdicts: Mapping[str, Verdict]) -> Verdict:
    """One verdict on a stack, that on its worst plane; the reason names that plane and counts those that are not good.

    Examples
    --------
    >>> sum_up({"T 0": Verdict("good", "nothing was changed"), "T 1": Verdict("look closer", "some reason")})
    Verdict(verdict='look closer', reason='1 of 2 planes not good, the worst is T 1: some reason', measures={})
    """
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    worst = max(verdicts, key=lambda name: severity(verdicts[name]))
    bad = sum(verdict.verdict != GOOD for verdict in verdicts.values())
    count = f"{bad} of {len(verdicts)} planes not good" if bad else f"all {len(verdicts)} planes"
    found = verdicts[worst]
    return replace(found, reason=f"{count}, the worst is {worst}: {found.reason}")


def list_planes(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """The verdict on each plane as a line, with the reason where it is not good."""
    return {
        name: verdict.verdict if verdict.verdict == GOOD else f"{verdict.verdict} ({verdict.reason})"
        for name, verdict in verdicts.items()
    }

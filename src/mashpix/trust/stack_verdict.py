"""The verdicts on the planes of a stack: how many are not good, and which plane is the worst."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, decide_stack_channels
from mashpix.arrays.planes import mask_stack, read_picture
from mashpix.axes import Index, check_axes, middle_plane, plane_groups, samples_axis
from mashpix.errors import InputError
from mashpix.trust.comparison_sheet import compare
from mashpix.trust.verdict import GOOD, Verdict, check_changed, severity


def name_plane(index: Index, axes: str) -> str:
    """Name a plane, or a window of it: its place along each axis outside of it, counted from 0.

    Examples
    --------
    >>> name_plane((3, 0, slice(None), slice(None)), "TCYX")
    'T 3, C 0'
    >>> name_plane((3, slice(0, 2048), slice(2048, 4096)), "TYX")
    'T 3, rows 0-2047, columns 2048-4095'
    """
    names = {"Y": "rows", "X": "columns"}
    found = [
        f"{names[letter]} {place.start}-{place.stop - 1}" if isinstance(place, slice) else f"{letter} {place}"
        for letter, place in zip(axes, index, strict=True)
        if not isinstance(place, slice) or place.stop is not None
    ]
    return ", ".join(found) or "the picture"


def sum_up(verdicts: Mapping[str, Verdict], *, parts: str = "planes") -> Verdict:
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
    count = f"{bad} of {len(verdicts)} {parts} not good" if bad else f"all {len(verdicts)} {parts}"
    found = verdicts[worst]
    return replace(found, reason=f"{count}, the worst is {worst}: {found.reason}", plane=worst)


@dataclass(frozen=True)
class WorstPlane:
    """The plane of a stack to look at: the worst, or the one in the middle if all are good.

    name : as `name_plane` gives it
    noisy, denoised : its pixels
    rank : what ordered it before the others
    channels : what its channels are
    """

    name: str
    noisy: NDArray[Any]
    denoised: NDArray[Any]
    rank: tuple[int, float]
    channels: Channels = "auto"


@dataclass
class PlaneVerdicts:
    """The verdicts on the planes of a stack as they come in, and one plane to look at; a single image has one plane.

    axes, shape : of the stack
    parts : what the planes are called
    by_name : verdicts by the names of the planes
    worst : kept of the planes that came in
    """

    axes: str
    shape: tuple[int, ...]
    parts: str = "planes"
    by_name: dict[str, Verdict] = field(default_factory=dict)
    worst: WorstPlane | None = None

    def add(
        self,
        index: Index,
        noisy: NDArray[Any],
        denoised: NDArray[Any],
        verdict: Verdict,
        *,
        channels: Channels = "auto",
    ) -> None:
        """Take in a plane, and what its samples are."""
        name, rank = name_plane(index, self.axes), self.rank(index, verdict)
        self.by_name[name] = verdict
        if self.worst is None or rank > self.worst.rank:
            self.worst = WorstPlane(name, noisy, denoised, rank, channels)

    def rank(self, index: Index, verdict: Verdict) -> tuple[int, float]:
        """What orders a plane, or a block of one, before the others as the one to look at."""
        if verdict.verdict != GOOD or self.parts != "planes":
            return severity(verdict)
        return 0, float(index == middle_plane(self.axes, self.shape))

    def sum_up(self) -> Verdict:
        """One verdict on all planes: see `sum_up`."""
        return sum_up(self.by_name, parts=self.parts)

    def list_planes(self) -> dict[str, str]:
        """The verdict on each plane as a line, with the reason where it is not good."""
        return {
            name: verdict.verdict if verdict.verdict == GOOD else f"{verdict.verdict} ({verdict.reason})"
            for name, verdict in self.by_name.items()
        }

    def draw(self, *, named: bool) -> bytes:
        """Before, after and residual of the plane to look at, as a PNG file; with its name if `named`."""
        assert self.worst is not None
        how: dict[str, Any] = {"channel_axis": samples_axis(self.axes), "channels": self.worst.channels}
        return compare(self.worst.noisy, self.worst.denoised, name=self.worst.name if named else None, **how)


def check_stack(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    axes: str,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Check plane by plane whether denoising a stack has removed signal; the verdict is that on the worst plane.

    Parameters
    ----------
    noisy, denoised : ndarray
        Stacks of one shape.
    axes, channels, missing
        As in `denoise_stack`.

    Raises
    ------
    InputError, UsageError
        As `check` and `denoise_stack`.
    """
    if np.shape(noisy) != np.shape(denoised):
        raise InputError(f"stacks of different shapes cannot be compared ({np.shape(noisy)} and {np.shape(denoised)})")
    axes = check_axes(axes, noisy.shape)
    kind, together = decide_stack_channels(axes, noisy.shape, channels)
    masked, verdicts = mask_stack(noisy, missing, axes), {}
    for group in plane_groups(axes, noisy.shape, joint=together):
        for planes in group:
            before, after = (read_picture(stack, axes, planes) for stack in (masked, denoised))
            verdict = check_changed(before, after, channel_axis=0, channels=kind or "auto")
            verdicts[name_plane(planes[0], axes)] = verdict
    return sum_up(verdicts)

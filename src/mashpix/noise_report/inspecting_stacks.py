"""Look at the noise of a stack before it is denoised: a few planes, spread over it, of each channel."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from mashpix.arrays.costs import expected_costs, model_costs
from mashpix.arrays.model import MOST_PICTURES
from mashpix.arrays.planes import Indexable, Planes, is_blank, read_picture
from mashpix.axes import check_axes, plane_groups
from mashpix.noise_report.inspecting import inspect_steps
from mashpix.noise_report.report import NoiseReport
from mashpix.report import Step
from mashpix.settings import preset
from mashpix.steps import drain

MOST_PLANES = 12
"""Planes that are looked at."""
EACH_CHANNEL = 3
"""Planes of one channel that are looked at."""
TOLD = ("sigma", "lag1", "kind", "signal_dependent", "masking_ratio")
"""What is told of each plane."""


def inspect_stack(stack: Indexable, **options: Any) -> NoiseReport:
    """Tell what the noise of a stack is, from a few of its planes.

    Parameters
    ----------
    stack, **options
        Those of `inspect_stack_steps`.

    Returns
    -------
    NoiseReport
        Of the first plane looked at; its `planes` tells of all of them.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `inspect`; `UsageError` for axes that do not fit too.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(100, 10, (5, 128, 128))
    >>> report = inspect_stack(noisy, axes="ZYX", device="cpu", time_updates=False)
    >>> [plane["plane"] for plane in report.planes]
    ['Z 2', 'Z 0', 'Z 4']
    """
    return drain(inspect_stack_steps(stack, **options))


def inspect_stack_steps(
    stack: Indexable, *, axes: str, preset_name: str = "default", **options: Any
) -> Generator[Step, None, NoiseReport]:
    """Inspect a stack step by step; the generator returns the report.

    It is that of one plane, the first of `choose_planes`, with the shape of the stack and the seconds that all of it
    would take; `planes` tells of the others.

    Parameters
    ----------
    stack, axes
        As for `denoise_stack`.
    preset_name, **options
        Those of `inspect_steps`.

    Yields
    ------
    Step
        One for each plane, and the updates of the probes.
    """
    axes = check_axes(axes, tuple(stack.shape))
    chosen = choose_planes(stack, axes)
    picture = read_picture(stack, axes, chosen[0])
    report = yield from inspect_steps(picture, channel_axis=0, preset_name=preset_name, **options)
    told = [_tell(report, axes, chosen[0])]
    for number, planes in enumerate(chosen[1:], 2):
        other = read_picture(stack, axes, planes)
        if not is_blank(other):
            options |= {"probe": False, "time_updates": False}
            looked = yield from inspect_steps(other, channel_axis=0, preset_name=preset_name, **options)
            told.append(_tell(looked, axes, planes))
        yield Step("plane", number, len(chosen), number / len(chosen))
    if report.seconds is not None:
        share = _cost(axes, tuple(stack.shape), picture[0].size, preset_name)
        report = replace(report, seconds=report.seconds * share)
    note = f"told for plane {told[0]['plane'] or 'one'} of {axes} {' x '.join(map(str, stack.shape))}"
    return replace(report, shape=tuple(stack.shape), planes=tuple(told), notes=(note, *report.notes))


def choose_planes(stack: Indexable, axes: str) -> list[Planes]:
    """A few planes spread over each channel, the middle ones first; the first of all is not blank if any is not."""
    groups = plane_groups(axes, tuple(stack.shape), joint=False)
    kept = min(len(groups), MOST_PLANES)
    groups = [groups[number * len(groups) // kept] for number in range(kept)]
    each = max(min(EACH_CHANNEL, MOST_PLANES // len(groups)), 1)
    chosen = [group[place] for group in groups for place in _spread(len(group), each)]
    for planes in chosen:
        if not is_blank(read_picture(stack, axes, planes)):
            return [planes, *(other for other in chosen if other is not planes)]
    return chosen


def _spread(count: int, most: int) -> list[int]:
    """Places among `count`, the middle first.

    Examples
    --------
    >>> _spread(9, 3), _spread(2, 3), _spread(9, 1)
    ([4, 1, 7], [1, 0], [4])
    """
    around = [(2 * number + 1) * count // (2 * most) for number in range(most)]
    return list(dict.fromkeys([count // 2, *around]))[:most]


def _tell(report: NoiseReport, axes: str, planes: Planes) -> dict[str, Any]:
    """What is told of one plane, and which it is."""
    numbers = [f"{letter} {place}" for letter, place in zip(axes, planes[0], strict=True) if isinstance(place, int)]
    return {"plane": ", ".join(numbers), **{key: getattr(report, key) for key in TOLD}}


def _cost(axes: str, shape: tuple[int, ...], pixels: int, preset_name: str) -> float:
    """What `denoise` takes for the stack, one network a channel, against what it takes for one plane."""
    settings = preset(preset_name)
    alone, total = sum(expected_costs(pixels, settings).values()), 0.0
    for group in plane_groups(axes, shape, joint=False):
        fitting, applying = model_costs(pixels, min(len(group), MOST_PICTURES), settings, share_noise=True)
        total += sum(fitting.values()) + len(group) * sum(applying.values()) if len(group) > 1 else alone
    return total / alone

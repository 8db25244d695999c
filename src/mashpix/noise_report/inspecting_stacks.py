"""Inspect the noise of a stack before it is denoised: a few planes of each channel, spread over the stack."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, decide_stack_channels
from mashpix.arrays.costs import expected_costs, expected_memory, model_costs
from mashpix.arrays.model import MAX_FITTED_IMAGES
from mashpix.arrays.normalization import is_blank
from mashpix.arrays.planes import Indexable, Planes, mask_stack, read_picture
from mashpix.axes import check_axes, plane_groups
from mashpix.noise_report.inspecting import Inspection, inspect_image, make_inspection, with_report
from mashpix.noise_report.report import NoiseReport
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.steps import drain

MAX_PLANES = 12
"""Largest number of planes that are inspected."""
MAX_PER_CHANNEL = 3
"""Largest number of planes of one channel that are inspected."""
SUMMARY = ("sigma", "lag1", "kind", "signal_dependent", "masking_ratio")
"""Fields of a report to keep for each plane."""


def inspect_stack(
    stack: Indexable,
    *,
    axes: str,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    probe: bool = False,
    time_updates: bool = True,
    seed: int = 0,
    device: str = "auto",
    preset_name: str | None = None,
) -> NoiseReport:
    """Estimate the noise of a stack from a few of its planes, and what denoising it would cost.

    Parameters
    ----------
    stack, axes, channels, missing
        As for `denoise_stack`.
    data_range, settings, probe, time_updates, seed, device, preset_name
        As for `inspect`.

    Returns
    -------
    NoiseReport
        On the first plane inspected, the middle one unless it is blank, with the shape of the stack and the seconds
        that the whole stack would take; its `planes` holds the estimates of all planes inspected.

    Raises
    ------
    InputError, UsageError, DeviceError
        As for `inspect`; `UsageError` also for axes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(100, 10, (5, 128, 128))
    >>> report = inspect_stack(noisy, axes="ZYX", device="cpu", time_updates=False)
    >>> [plane["plane"] for plane in report.planes]
    ['Z 2', 'Z 0', 'Z 4']
    """
    how = make_inspection(
        settings, preset_name, data_range=data_range, probe=probe, time_updates=time_updates, seed=seed, device=device
    )
    axes = check_axes(axes, tuple(stack.shape))
    return drain(_inspect_planes(mask_stack(stack, missing, axes), axes, channels, how))


def inspect_stack_steps(
    stack: Indexable,
    *,
    axes: str,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    probe: bool = False,
    time_updates: bool = True,
    seed: int = 0,
    device: str = "auto",
    preset_name: str | None = None,
) -> Generator[Step, None, NoiseReport]:
    """Inspect a stack step by step: the generator behind `inspect_stack`, with the same parameters and errors.

    Yields
    ------
    Step
        The updates of the probes, and one for each plane; the last step has the stage "done" and holds the
        `noise_report`, which the generator returns too.
    """
    how = make_inspection(
        settings, preset_name, data_range=data_range, probe=probe, time_updates=time_updates, seed=seed, device=device
    )
    axes = check_axes(axes, tuple(stack.shape))
    return with_report(_inspect_planes(mask_stack(stack, missing, axes), axes, channels, how))


def _inspect_planes(
    stack: Indexable, axes: str, channels: Channels, inspection: Inspection
) -> Generator[Step, None, NoiseReport]:
    """Inspect the planes of `choose_planes`; the generator returns the report."""
    chosen, shape = choose_planes(stack, axes), tuple(stack.shape)
    kind, together = decide_stack_channels(axes, shape, channels)
    picture = read_picture(stack, axes, chosen[0])
    channels = kind if kind is not None and len(picture) > 1 else "auto"  # those along C are inspected one by one
    report = yield from inspect_image(picture, channel_axis=0, channels=channels, inspection=inspection)
    found = [_summarise(report, axes, chosen[0])]
    quick = replace(inspection, probe=False, time_updates=False)
    for number, planes in enumerate(chosen[1:], 2):
        other = read_picture(stack, axes, planes)
        if not is_blank(other):
            inspected = yield from inspect_image(other, channel_axis=0, channels=channels, inspection=quick)
            found.append(_summarise(inspected, axes, planes))
        yield Step("plane", number, len(chosen), number / len(chosen))
    if report.seconds is not None:
        report = replace(
            report, seconds=report.seconds * _cost(axes, shape, picture[0].size, inspection.settings, together=together)
        )
    if together:
        memory = expected_memory(picture.size * dict(zip(axes, shape, strict=True)).get("C", 1))
        report = replace(report, memory_bytes=memory)
    note = f"estimated from plane {found[0]['plane'] or 'one'} of {axes} {' x '.join(map(str, shape))}"
    return replace(report, shape=shape, channels=kind, planes=tuple(found), notes=(note, *report.notes))


def choose_planes(stack: Indexable, axes: str) -> list[Planes]:
    """Choose a few planes spread over each channel, the middle ones first; the very first is not blank if possible."""
    groups = plane_groups(axes, tuple(stack.shape), joint=False)
    kept = min(len(groups), MAX_PLANES)
    groups = [groups[number * len(groups) // kept] for number in range(kept)]
    each = max(min(MAX_PER_CHANNEL, MAX_PLANES // len(groups)), 1)
    chosen = [group[place] for group in groups for place in _spread(len(group), each)]
    for planes in chosen:
        if not is_blank(read_picture(stack, axes, planes)):
            return [planes, *(other for other in chosen if other is not planes)]
    return chosen


def _spread(count: int, most: int) -> list[int]:
    """Spread places over `count`, the middle first.

    Examples
    --------
    >>> _spread(9, 3), _spread(2, 3), _spread(9, 1)
    ([4, 1, 7], [1, 0], [4])
    """
    around = [(2 * number + 1) * count // (2 * most) for number in range(most)]
    return list(dict.fromkeys([count // 2, *around]))[:most]


def _summarise(report: NoiseReport, axes: str, planes: Planes) -> dict[str, Any]:
    """Return the name and the estimates of one plane."""
    numbers = [f"{letter} {place}" for letter, place in zip(axes, planes[0], strict=True) if isinstance(place, int)]
    return {"plane": ", ".join(numbers), **{key: getattr(report, key) for key in SUMMARY}}


def _cost(axes: str, shape: tuple[int, ...], pixels: int, settings: Settings, *, together: bool) -> float:
    """Return the cost of a stack relative to one plane, with one network per channel or for all of C `together`."""
    alone, total = sum(expected_costs(pixels, settings).values()), 0.0
    for group in plane_groups(axes, shape, joint=together):
        fitting, applying = model_costs(pixels, min(len(group), MAX_FITTED_IMAGES), settings, share_noise=True)
        total += sum(fitting.values()) + len(group) * sum(applying.values()) if len(group) > 1 else alone
    return total / alone

"""What a worker process does with an upload first: describe its planes, and estimate its noise."""

from pathlib import Path
from typing import Any

import numpy as np

from mashpix import files
from mashpix.axes import WITHIN, Index, middle_plane, plane_groups
from mashpix.jobs import InspectRequest, inspect_file
from mashpix.jobs.channels import decide_file_channels
from mashpix.settings import PRESETS, Settings
from mashpix.trust.drawing import find_limits
from mashpix.web.asked import Asked
from mashpix.web.display import Display
from mashpix.web.task import Task, follow
from mashpix.web.tiles import n_levels


def inspect(task: Task) -> dict[str, Any]:
    """Look at the file: its planes for the page, and the report on its noise."""
    from mashpix.noise_report.html import draw_noise
    from mashpix.web.words import describe_noise

    asked = Asked(**task.asked)
    request = InspectRequest(
        html=Path(task.folder, "report.html"),
        json=Path(task.folder, "report.json"),
        preset_name=asked.preset,
        device=task.device,
        **task.reading,
    )
    with request.open(request.source) as opened:
        image = _describe(opened, asked)
        display = Display(Path(task.folder, "display"), opened.axes, image["colour"])
        for index in _planes_of(opened):
            display.put("noisy", index, opened[index])
    task.send("image", image)
    report = follow(task, inspect_file(request)).report
    figures = [{"svg": svg, "title": caption} for svg, caption in draw_noise(report)]
    costs = {
        "seconds": _seconds_by_preset(report.seconds, image, asked.build_settings()),
        "memory_bytes": report.memory_bytes,
    }
    return {"image": image, "inspection": {"sentences": describe_noise(report), "figures": figures} | costs}


def _seconds_by_preset(seconds: float | None, image: dict[str, Any], settings: Settings) -> dict[str, float]:
    """Return the expected time of each preset whose network is the one that was timed."""
    from mashpix.arrays.costs import expected_costs

    pixels = image["width"] * image["height"]

    def cost(of: Settings) -> float:
        return sum(expected_costs(pixels, of).values())

    def network(of: Settings) -> tuple[int, ...]:
        return of.channels, of.depth, of.window_size

    alike = {name: of for name, of in PRESETS.items() if network(of) == network(settings)}
    return {name: seconds * cost(of) / cost(settings) for name, of in alike.items() if seconds}


def _describe(opened: files.OpenFile, asked: Asked) -> dict[str, Any]:
    """Describe the image: its axes, and which values are shown black and white, for each channel along C."""
    axes, shape = opened.axes, tuple(opened.shape)
    outside = [(letter.lower(), length) for letter, length in zip(axes, shape, strict=True) if letter not in WITHIN]
    lengths = dict(zip(axes, shape, strict=True))
    colour = "S" in axes and decide_file_channels(opened, asked.channels)[0] == "rgb"
    display, middle = Display(Path(), axes, colour), list(middle_plane(axes, shape))
    windows, percentiles = [], []
    for channel in range(lengths.get("C", 1)):
        if "C" in axes:
            middle[axes.index("C")] = channel
        shown = display.show(opened[tuple(middle)])
        finite = shown[np.isfinite(shown)]
        windows.append(find_limits(shown))
        percentiles.append(np.percentile(finite if finite.size else [0.0, 1.0], range(101)).tolist())
    return {
        "shape": shape,
        "axes": axes,
        "dtype": str(opened.dtype),
        "width": lengths["X"],
        "height": lengths["Y"],
        "planes": outside,
        "levels": n_levels((lengths["Y"], lengths["X"])),
        "window": windows[0],
        "windows": windows,
        "percentiles": percentiles,
        "range": (min(values[0] for values in percentiles), max(values[-1] for values in percentiles)),
        "colour": colour,
    }


def _planes_of(opened: files.OpenFile) -> list[Index]:
    groups = plane_groups(opened.axes, tuple(opened.shape), joint=False)
    return [planes[0] for group in groups for planes in group]

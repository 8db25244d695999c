"""What a worker process does for a job: inspect its file, denoise it, or finish the result with other sliders."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mashpix import files
from mashpix.axes import WITHIN, Index, middle_plane, plane_groups, samples_axis
from mashpix.jobs import (
    BlendRequest,
    DenoiseRequest,
    Event,
    InspectRequest,
    Note,
    Recipe,
    Step,
    blend_files,
    denoise_file,
    inspect_file,
    read_recipe,
)
from mashpix.jobs.channels import decide_file_channels
from mashpix.jobs.recipe import hash_file, recipe_path
from mashpix.settings import PRESETS, Settings
from mashpix.trust.drawing import find_limits, find_residual_limit
from mashpix.web.asked import Asked
from mashpix.web.commands import stopped_command
from mashpix.web.display import Display, numbers
from mashpix.web.tiles import n_levels

Returned = TypeVar("Returned")

PROGRESS_EVERY = 0.2
"""Seconds between two messages of progress."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to do, as the server sends it.

    do : "inspect", "denoise" or "finish"
    folder, source, target : of the job, and the names of its files in "source" and "result"
    asked : the request JSON
    command : the command line that makes the same result
    finish : strength and detail
    image : what the inspection found
    max_pixels : of a plane
    device : of this worker
    send : sends a message to the server
    stop : set when the result is wanted now
    """

    do: str
    folder: str
    source: str
    target: str
    asked: dict[str, Any]
    command: str
    finish: dict[str, float]
    image: dict[str, Any] | None
    max_pixels: int
    device: str
    send: Callable[[str, dict[str, Any]], None]
    stop: threading.Event

    @property
    def source_path(self) -> Path:
        """The uploaded file."""
        return Path(self.folder, "source", self.source)

    @property
    def target_path(self) -> Path:
        """The result."""
        return Path(self.folder, "result", self.target)

    @property
    def base(self) -> Path:
        """The denoised image before strength and detail, without any loss."""
        return Path(self.folder, "base.npy")

    @property
    def reading(self) -> dict[str, Any]:
        """The options of all requests: how to read the file."""
        asked = Asked(**self.asked)
        how = {"axes": asked.axes, "channels": asked.channels, "max_pixels": self.max_pixels}
        return how | {"source": self.source_path, "overwrite": True}


def run_task(task: Task) -> dict[str, Any]:
    """Do one thing; return what the server adds to its job."""
    return {"inspect": _inspect, "denoise": _denoise, "finish": _finish}[task.do](task)


def _follow(task: Task, job: Generator[Event, None, Returned]) -> Returned:
    """Run a job; send its notes, and its progress now and then."""
    started, last = time.monotonic(), 0.0
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                returned: Returned = stop.value
                return returned
            now = time.monotonic()
            if isinstance(event, Note):
                task.send("note", {"text": event.text, "severity": event.severity})
            elif isinstance(event, Step) and now - last >= PROGRESS_EVERY:
                last, done = now, event.fraction
                left = (now - started) * (1 - done) / done if done > 0 else None
                where = {"stage": event.stage, "index": event.index, "total": event.total}
                task.send("progress", where | {"fraction": round(done, 4), "seconds_left": left})


def _inspect(task: Task) -> dict[str, Any]:
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
    report = _follow(task, inspect_file(request)).report
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


def _denoise(task: Task) -> dict[str, Any]:
    """Denoise the file as the command does; keep what the page shows, and the base of later sliders."""
    asked, image = Asked(**task.asked), task.image
    assert image is not None
    request = DenoiseRequest(
        target=task.target_path,
        settings=asked.build_settings(),
        device=task.device,
        command=task.command,
        preview_every=_preview_every(image, asked),
        **asked.options,
        **task.reading,
    )
    with ExitStack() as stack:
        noisy = stack.enter_context(request.open(request.source))
        keeper = _Keeper(task, noisy, image)
        outcome = _follow(task, keeper.keep(denoise_file(request, is_wanted_now=task.stop.is_set)))
    limits = {"residual_limit": keeper.residual_limit, "spread_limit": keeper.spread_limit}
    recipe, stopped = outcome.recipe, {}
    if task.stop.is_set() and (after := recipe.settings.stop_after):
        stopped = {"stop_after": after}
        recipe = _rewrite_recipe(task, command=stopped_command(task.command, after))
    return {"image": image | limits, "stopped": stopped} | _result_of(task, recipe, seconds=outcome.seconds)


def _rewrite_recipe(task: Task, **changes: Any) -> Recipe:
    path = recipe_path(task.target_path)
    recipe = replace(read_recipe(path), **changes)
    files.atomic_write(path, recipe.to_json(), overwrite=True)
    return recipe


def _preview_every(image: dict[str, Any], asked: Asked) -> int:
    """Return the updates between two previews, so that they take about a fifth of the time; 0 for none."""
    megapixels = image["width"] * image["height"] / 10**6
    steps = asked.build_settings().steps
    return max(steps // (8 if megapixels < 0.3 else 4 if megapixels < 1.5 else 2), 1) if megapixels < 5 else 0


class _Keeper:
    """Keeps what a job shows on its way: previews, finished planes, and the lossless base of later sliders."""

    def __init__(self, task: Task, noisy: files.OpenFile, image: dict[str, Any]) -> None:
        self.task, self.noisy = task, noisy
        self.display = Display(Path(task.folder, "display"), noisy.axes, image["colour"])
        self.base = np.lib.format.open_memmap(task.base, "w+", noisy.dtype, tuple(noisy.shape))
        self.version, self.residual_limit, self.spread_limit = 0, 0.0, 0.0
        self.channels: Any = "auto"

    def keep(self, job: Generator[Event, None, Returned]) -> Generator[Event, None, Returned]:
        """Pass the events on, and keep what they hold."""
        from mashpix.steps import relay

        def look(event: Event) -> Event:
            if isinstance(event, Step) and event.denoised is not None:
                index = middle_plane(self.noisy.axes, tuple(self.noisy.shape)) if event.plane is None else event.plane
                if event.plane is not None:
                    self._finish(index, event)
                self._preview(index, event.denoised)
                event = replace(event, denoised=None, spread=None)
            return event

        return relay(job, look)

    def _preview(self, index: Index, denoised: NDArray[Any]) -> None:
        self.version += 1
        self.display.put("live", index, denoised)
        self.task.send("preview", {"version": self.version, "plane": numbers(index)})

    def _finish(self, index: Index, step: Step) -> None:
        """Keep a finished plane in all its forms."""
        from mashpix.trust.detail import add_detail

        assert step.denoised is not None
        if step.report is not None:
            self.channels = (step.report.channels if "S" in self.noisy.axes else None) or "auto"
        noisy, denoised, display = self.noisy[index], step.denoised, self.display
        self.base[index] = denoised
        display.put("denoised", index, denoised)
        display.put("spread", index, np.asarray(step.spread))
        how: dict[str, Any] = {"channel_axis": samples_axis(self.noisy.axes), "channels": self.channels}
        detailed = add_detail(noisy, denoised, detail=1.0, **how)
        display.put("detail", index, _minus(detailed, denoised))
        residual = _minus(noisy, denoised)
        self.residual_limit = max(self.residual_limit, find_residual_limit(display.show(residual)))
        self.spread_limit = max(self.spread_limit, find_limits(display.show(np.asarray(step.spread)))[1])


def _minus(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore", over="ignore"):
        difference: NDArray[Any] = np.subtract(one, other, dtype=np.float64)
        return difference.astype(np.float32)


def _finish(task: Task) -> dict[str, Any]:
    """Write the result with another strength and detail, as the command would: nothing is trained."""
    sliders: dict[str, Any] = dict(task.finish)
    axes = {"axes": task.image["axes"]} if task.image and task.image["planes"] else {}
    request = BlendRequest(finished=task.base, target=task.target_path, **task.reading | axes | sliders)
    _follow(task, blend_files(request))
    output_sha256 = hash_file(task.target_path)
    return _result_of(task, _rewrite_recipe(task, command=task.command, output_sha256=output_sha256, **sliders))


def _result_of(task: Task, recipe: Recipe, **more: float) -> dict[str, Any]:
    """Return what clients learn of a result."""
    target, verdict = task.target_path, recipe.report["verdict"]
    outcome = {"name": target.name, "bytes": target.stat().st_size, "sha256": recipe.output_sha256}
    said = {"verdict": verdict["verdict"], "reason": verdict["reason"], "place": _place_of(verdict)}
    return {"verdict": said, "outcome": outcome | more}


def _place_of(verdict: dict[str, Any]) -> dict[str, Any] | None:
    """Return the place that a verdict speaks of, as the viewer takes it."""
    if verdict["place"] is None:
        return None
    top, left, height, width = verdict["place"]
    plane = [int(part.split()[1]) for part in verdict["plane"].split(", ") if part]
    return {"x": left, "y": top, "width": width, "height": height, "plane": plane or None}

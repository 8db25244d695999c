"""What a worker process does for a job: inspect its file, denoise it, or finish the result with other sliders."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mashpix import files
from mashpix.axes import Index, middle_plane, samples_axis
from mashpix.jobs import (
    BlendRequest,
    DenoiseRequest,
    Event,
    Recipe,
    Step,
    blend_files,
    denoise_file,
    read_recipe,
)
from mashpix.jobs.recipe import hash_file, recipe_path
from mashpix.trust.drawing import find_limits, find_residual_limit
from mashpix.web.asked import Asked
from mashpix.web.commands import stopped_command
from mashpix.web.display import Display, numbers
from mashpix.web.inspecting import inspect
from mashpix.web.task import Task, follow

Returned = TypeVar("Returned")


def run_task(task: Task) -> dict[str, Any]:
    """Do one thing; return what the server adds to its job."""
    return {"inspect": inspect, "denoise": _denoise, "finish": _finish}[task.do](task)


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
        outcome = follow(task, keeper.keep(denoise_file(request, is_wanted_now=task.stop.is_set)))
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
    follow(task, blend_files(request))
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

"""The interface of a study, and the options that all of its measurements share."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from itertools import pairwise
from math import nan
from statistics import fmean
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch

from mashpix import __version__
from mashpix.arrays.normalization import Normalized, normalize, to_picture
from mashpix.errors import InputError
from mashpix.evaluation.bench.pictures import Pair, Source, load_pair
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings

BETAS = (0.0, 0.5, 1.0)
"""Strengths of the correlation, as in the paper."""
SIGMA = 25.0
"""Standard deviation of the noise that is added, 8-bit grey levels, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a study.

    crop : side of the centre that is used of each image, pixels; 0 for whole images
    limit : images of each folder, evenly spaced; None for all
    steps : most network updates of a fit; None for those of the preset
    """

    crop: int
    limit: int | None = None
    steps: int | None = None

    def changed(self, **values: int | None) -> "Size":
        """Return a copy with the values that are given."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


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

    def filled(self, **found: Any) -> Self:
        """Return a copy with the results filled in."""
        return replace(self, **found)


Measured = TypeVar("Measured", bound=Row)
Value = TypeVar("Value")


@dataclass(frozen=True)
class StudyPlan:
    """Options that all measurements of one study share.

    sets : the images of each folder, by its name
    in_set : number of images in each folder, used or not
    presets : settings by the name of their preset, with no more updates than `size.steps`; empty if nothing is fitted
    """

    study: str
    sets: dict[str, list[Source]]
    in_set: dict[str, int]
    presets: dict[str, Settings]
    size: Size
    seed: int
    threads: int
    device: str

    def source(self, row: Row) -> Source:
        """Return the source of the image of a row."""
        return next(source for source in self.sets[row.set] if source.name == row.name)

    def load(self, source: Source, synthetic_noise: SyntheticNoise | None = None) -> Pair:
        """Load one image: a pair, or a clean one with noise of the study's level."""
        model = synthetic_noise or SyntheticNoise(sigma=SIGMA)
        pair = load_pair(source, crop=self.size.crop or None, synthetic_noise=model, seed=self.seed)
        if source.noisy is None and pair.limits != (0, 255):
            raise InputError(f"{str(source.clean)!r}: not an 8-bit image (the noise of a study is in grey levels)")
        return pair

    def rows(self, kind: type[Measured], **values: Iterable[object]) -> list[Measured]:
        """Make an empty row for each preset, image and combination of values."""
        presets: Mapping[str, Settings | None] = self.presets or {"none": None}
        combinations: list[dict[str, Any]] = [{}]
        for name, choices in values.items():
            combinations = [combination | {name: choice} for combination in combinations for choice in choices]
        return [
            kind(
                preset=preset,
                settings=changes(preset, settings) if settings else "",
                set=name,
                name=source.name,
                crop=self.size.crop,
                seed=self.seed,
                threads=self.threads,
                device=self.device,
                version=__version__,
                **combination,
            )
            for preset, settings in presets.items()
            for name, sources in self.sets.items()
            for source in sources
            for combination in combinations
        ]

    @property
    def caption(self) -> str:
        """Return the line above the figures."""
        pictures = sum(map(len, self.sets.values()))
        size = f"centre {self.size.crop} x {self.size.crop} of" if self.size.crop else "whole"
        steps = f"at most {self.size.steps} updates a fit; " if self.size.steps else ""
        names = "".join(f", {name}" for name in self.presets)
        count = f"{pictures} picture" + "s" * (pictures != 1)
        return f"mashpix study {self.study}{names}; {size} {count}; {steps}seed {self.seed}; mashpix {__version__}"


class Study(ABC, Generic[Measured]):
    """One study: its measurements, its figure and its summary.

    row : the columns of its CSV
    quick, full : its two sizes
    needs_pairs : whether it needs real pairs instead of clean images
    fits_networks : whether it fits networks, with the settings of presets
    """

    row: type[Measured]
    quick: Size
    full: Size
    needs_pairs = False
    fits_networks = True

    @abstractmethod
    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[Measured]:
        """List the rows to measure, without results."""

    @abstractmethod
    def measure(self, plan: StudyPlan, row: Measured) -> Generator[Step, None, list[Measured]]:
        """Fill in one row; the generator may return several rows with one key."""

    @abstractmethod
    def updates(self, plan: StudyPlan, row: Measured) -> int:
        """Estimate the number of network updates of a row."""

    @abstractmethod
    def draw(self, plan: StudyPlan, rows: list[Measured]) -> Any:
        """Draw the figure."""

    @abstractmethod
    def summarise(self, rows: list[Measured]) -> list[str]:
        """Write two sentences for each preset."""


def changes(preset: str, settings: Settings) -> str:
    """Describe differences from a preset, such as `steps=300 probe_steps=300`."""
    before = asdict(PRESETS[preset])
    return " ".join(f"{name}={value}" for name, value in asdict(settings).items() if value != before[name])


def shortened(settings: Settings, steps: int | None) -> Settings:
    """Limit the number of updates; shuffling then starts after a quarter of them at the latest."""
    if steps is None:
        return settings
    return settings.replace(
        steps=min(settings.steps, steps),
        probe_steps=min(settings.probe_steps, steps),
        shuffle_start=min(settings.shuffle_start, steps // 4),
    )


def run_denoising(plan: StudyPlan, pair: Pair, settings: Settings) -> Generator[Step, None, dict[str, float]]:
    """Denoise an image and score it: psnr (dB), ssim, seconds, and the decisions made."""
    from mashpix.arrays.denoising import denoise_steps
    from mashpix.evaluation.bench.run import score

    channel_axis = None if pair.noisy.ndim == 2 else -1
    options: dict[str, Any] = {"seed": plan.seed, "device": plan.device, "preview_every": 0}
    options |= {"channels": pair.channels}
    for step in denoise_steps(
        pair.noisy, channel_axis=channel_axis, data_range=pair.data_range, settings=settings, **options
    ):
        yield step
    assert step.report is not None
    assert step.denoised is not None
    psnr, ssim = score(pair, np.clip(step.denoised, *pair.limits))
    return {"psnr": psnr, "ssim": ssim, "seconds": round(sum(step.report.seconds.values()), 2)}


def open_picture(plan: StudyPlan, pair: Pair, settings: Settings) -> tuple[Picture, Normalized]:
    """Normalize a noisy image as the method does; return it with the way back."""
    channel_axis = None if pair.noisy.ndim == 2 else -1
    normalized = normalize(
        pair.noisy,
        channel_axis=channel_axis,
        data_range=pair.data_range,
        scale=settings.scale,
        is_rgb=pair.noisy.ndim == 3,
    )
    return to_picture(normalized, multiple=2**settings.depth, device=torch.device(plan.device)), normalized


def mean_of(rows: Iterable[Row], value: str, **where: object) -> float:
    """Average a column over the rows with these values in other columns; NaN if there are none."""
    found = [getattr(row, value) for row in rows if all(getattr(row, name) == wanted for name, wanted in where.items())]
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

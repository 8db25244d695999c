"""What a study is, and the options that all of its measurements share."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Generic

import numpy as np
import torch

from mashpix import __version__
from mashpix.arrays.costs import fit_updates
from mashpix.arrays.normalization import Normalized, normalize, to_picture
from mashpix.errors import InputError
from mashpix.evaluation.bench.images import Pair, Source, load_pair
from mashpix.evaluation.bench.run import score
from mashpix.evaluation.plots import Figure
from mashpix.evaluation.study.rows import Measured, Row, distinct, only
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings

BETAS = (0.0, 0.5, 1.0)
"""Strengths of the correlation, as in the paper."""
SIGMA = 25.0
"""Standard deviation of the noise that is added, 8-bit grey levels, as in the paper."""
NOISE = {beta: SyntheticNoise(beta=beta, sigma=SIGMA) for beta in BETAS}


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

    def load(self, source: Source, noise: SyntheticNoise = NOISE[1.0]) -> Pair:
        """Load one image: a pair, or a clean one with noise added."""
        pair = load_pair(source, crop=self.size.crop or None, synthetic_noise=noise, seed=self.seed)
        if source.noisy is None and pair.limits != (0, 255):
            raise InputError(f"{str(source.clean)!r}: not an 8-bit image (the noise of a study is in grey levels)")
        return pair

    def rows(self, kind: type[Measured], **values: Iterable[object]) -> list[Measured]:
        """Make an empty row for each preset, image and combination of values."""
        presets: Mapping[str, Settings | None] = self.presets or {"none": None}
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
                **dict(zip(values, chosen, strict=True)),
            )
            for preset, settings in presets.items()
            for name, sources in self.sets.items()
            for source in sources
            for chosen in product(*values.values())
        ]

    @property
    def caption(self) -> str:
        """Return the line above the figures."""
        count = sum(map(len, self.sets.values()))
        size = f"centre {self.size.crop} x {self.size.crop} of" if self.size.crop else "whole"
        steps = f"at most {self.size.steps} updates a fit; " if self.size.steps else ""
        names = "".join(f", {name}" for name in self.presets)
        images = f"{count} image" + "s" * (count != 1)
        return f"mashpix study {self.study}{names}; {size} {images}; {steps}seed {self.seed}; mashpix {__version__}"

    def images_of(self, name: str) -> str:
        """Say how many images of a folder are used."""
        return f"{len(self.sets[name])} of {self.in_set[name]} images"


class Study(ABC, Generic[Measured]):
    """One study: its measurements, its figure and its summary; by default, a measurement is one image denoised.

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

    def settings(self, plan: StudyPlan, row: Measured) -> Settings:
        """Return the settings of one fit."""
        return plan.presets[row.preset]

    def load(self, plan: StudyPlan, row: Measured) -> Pair:
        """Load the image of a row."""
        return plan.load(plan.source(row))

    def measure(self, plan: StudyPlan, row: Measured) -> Generator[Step, None, list[Measured]]:
        """Fill in one row; the generator may return several rows with one key."""
        found = yield from run_denoising(plan, self.load(plan, row), self.settings(plan, row))
        return [row.filled(**found)]

    def updates(self, plan: StudyPlan, row: Measured) -> int:
        """Estimate the number of network updates of a row."""
        return fit_updates(self.settings(plan, row))

    @abstractmethod
    def draw(self, plan: StudyPlan, rows: list[Measured]) -> Figure:
        """Draw the figure."""

    def summarise(self, rows: list[Measured]) -> list[str]:
        """Write two sentences for each preset."""
        presets = distinct(row.preset for row in rows)
        return [line for preset in presets for line in self.sentences(preset, only(rows, preset=preset))]

    @abstractmethod
    def sentences(self, preset: str, rows: list[Measured]) -> list[str]:
        """Write the sentences for one preset, from its rows."""


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
    """Denoise an image and score it: psnr (dB), ssim and seconds."""
    from mashpix.arrays.denoising import denoise_steps

    for step in denoise_steps(
        pair.noisy,
        channel_axis=pair.channel_axis,
        channels=pair.channels,
        data_range=pair.data_range,
        settings=settings,
        seed=plan.seed,
        device=plan.device,
        preview_every=0,
    ):
        yield step
    assert step.report is not None
    assert step.denoised is not None
    psnr, ssim = score(pair, np.clip(step.denoised, *pair.limits))
    return {"psnr": psnr, "ssim": ssim, "seconds": round(sum(step.report.seconds.values()), 2)}


def open_picture(plan: StudyPlan, pair: Pair, settings: Settings) -> tuple[Picture, Normalized, torch.Generator]:
    """Normalize a noisy image as the method does; return it with the way back and a seeded generator."""
    device = torch.device(plan.device)
    normalized = normalize(
        pair.noisy,
        channel_axis=pair.channel_axis,
        data_range=pair.data_range,
        scale=settings.scale,
        is_rgb=pair.noisy.ndim == 3,
    )
    picture = to_picture(normalized, multiple=2**settings.depth, device=device)
    return picture, normalized, torch.Generator(device).manual_seed(plan.seed)

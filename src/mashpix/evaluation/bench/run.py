"""Carry out a benchmark: each method on each image, one after another, each in its own process."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix import __version__
from mashpix.errors import MashpixError
from mashpix.evaluation.bench.images import Pair, Source, load_pair, naming
from mashpix.evaluation.bench.results import NOISY, Row
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.evaluation.table import append_rows
from mashpix.evaluation.timed_process import Job, measure
from mashpix.report import Step
from mashpix.settings import Settings

CPU = "cpu"


@dataclass(frozen=True)
class BenchPlan:
    """Options that all measurements of one command line share."""

    folder: Path
    sources: list[Source]
    methods: dict[str, Settings | str]
    synthetic_noise: SyntheticNoise
    crop: int | None
    seed: int
    threads: int
    device: str

    @property
    def noise(self) -> str:
        """The added noise in words; "" if the files are noisy."""
        return "" if self.has_pairs else str(self.synthetic_noise)

    @property
    def has_pairs(self) -> bool:
        """Whether the files are noisy."""
        return self.sources[0].noisy is not None

    def device_of(self, method: str) -> str:
        """Return the device of a method: baselines run on the CPU only."""
        return self.device if isinstance(self.methods[method], Settings) else CPU

    def load(self, source: Source) -> Pair:
        """Load one image as all methods see it."""
        return load_pair(source, crop=self.crop, synthetic_noise=self.synthetic_noise, seed=self.seed)


def run(plan: BenchPlan, *, known: dict[tuple[object, ...], Row], table: Path | None) -> Iterator[Step | Row]:
    """Measure what is not known yet; each row is written to the table as soon as it is measured.

    Yields
    ------
    Step or Row
        A step before each measurement, and each row, known or new: the noisy images, then what is known.

    Raises
    ------
    MashpixError
        For an image that cannot be read or scored, before anything is measured. A failed method becomes a row.
    """
    for event in _measure_all(plan, known):
        if table is not None and isinstance(event, Row) and event.key not in known:
            append_rows(table, [event])
        yield event


def _measure_all(plan: BenchPlan, known: dict[tuple[object, ...], Row]) -> Iterator[Step | Row]:
    noisy = [(source, score_noisy(plan, source)) for source in plan.sources]
    wanted = [
        (source, replace(row, method=name, device=plan.device_of(name), denoised_db=nan, ssim=nan))
        for source, row in noisy
        for name in plan.methods
    ]
    yield from (row for _, row in noisy)
    yield from (known[row.key] for _, row in wanted if row.key in known)
    jobs = [(source, row) for source, row in wanted if row.key not in known]
    for index, (source, row) in enumerate(jobs):
        yield Step(f"{row.method}, {source.name}", index + 1, len(jobs), index / len(jobs))
        yield measure_one(plan, source, row)


def score_noisy(plan: BenchPlan, source: Source) -> Row:
    """Make the row of a noisy image itself."""
    pair = plan.load(source)
    with naming(source.clean):
        psnr, ssim = score(pair, pair.noisy)
    return Row(
        set=plan.folder.resolve().name,
        name=source.name,
        crop=plan.crop or 0,
        method=NOISY,
        seed=plan.seed,
        threads=plan.threads,
        device=CPU,
        noise=plan.noise,
        version=__version__,
        noisy_db=psnr,
        noisy_ssim=ssim,
        denoised_db=psnr,
        ssim=ssim,
    )


def measure_one(plan: BenchPlan, source: Source, row: Row) -> Row:
    """Fill in one row with scores and costs, or with the error."""
    try:
        pair = plan.load(source)
        method = plan.methods[row.method]
        result = measure(Job(pair.noisy, method, pair.data_range, plan.seed, plan.threads, row.device, pair.channels))
        psnr, ssim = score(pair, np.clip(result.denoised, *pair.limits))
    except MashpixError as error:
        return replace(row, error=" ".join(str(error).split()))
    return replace(
        row, denoised_db=psnr, ssim=ssim, seconds=round(result.seconds, 3), peak_mib=round(result.peak_mib, 1)
    )


def score(pair: Pair, image: NDArray[Any]) -> tuple[float, float]:
    """Return PSNR and SSIM of an image, rounded as in the table."""
    from mashpix.metrics import psnr, ssim

    similarity = ssim(pair.clean, image, data_range=pair.data_range, channel_axis=pair.channel_axis)
    return round(psnr(pair.clean, image, data_range=pair.data_range), 4), round(similarity, 5)

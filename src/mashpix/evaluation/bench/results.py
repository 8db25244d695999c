"""The results of `mashpix bench`: one row per measurement, and the means of each method."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from statistics import fmean, median

NOISY = "noisy"
"""The method named in rows for the noisy images themselves."""


@dataclass(frozen=True)
class Row:
    """One measurement and one line of the CSV; NaN is an empty cell.

    set, name : of the folder and the file
    crop : side of the centre crop, pixels; 0 for whole images
    noise : the model that was added, "" for pairs
    noisy_db, noisy_ssim : of the noisy image
    denoised_db, ssim : of the result
    seconds, peak_mib : see `Measurement`
    error : the reason if there is no result, else ""
    """

    set: str
    name: str
    crop: int
    method: str
    seed: int
    threads: int
    device: str
    noise: str
    version: str
    noisy_db: float
    noisy_ssim: float
    denoised_db: float = nan
    ssim: float = nan
    seconds: float = nan
    peak_mib: float = nan
    error: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the measurement."""
        same = self.set, self.name, self.crop, self.method, self.seed, self.threads, self.device, self.noise
        return *same, self.version

    @property
    def gain(self) -> float:
        """Gain over the noisy image, dB."""
        return self.denoised_db - self.noisy_db


@dataclass(frozen=True)
class Means:
    """Results of a method over the images that it completed: means, but median seconds and the largest peak."""

    method: str
    done: int
    images: int
    psnr: float
    ssim: float
    gain: float
    worst_gain: float
    worst_name: str
    seconds: float
    peak_mib: float


def means_of(rows: Iterable[Row]) -> list[Means]:
    """Return the means of each method that has a result, in the order of the rows."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.method, []).append(row)
    return [_mean(group) for group in groups.values() if not all(row.error for row in group)]


def _mean(group: list[Row]) -> Means:
    done = [row for row in group if not row.error]
    worst = min(done, key=lambda row: row.gain)
    return Means(
        method=worst.method,
        done=len(done),
        images=len(group),
        psnr=fmean(row.denoised_db for row in done),
        gain=fmean(row.gain for row in done),
        ssim=fmean(row.ssim for row in done),
        worst_gain=worst.gain,
        worst_name=worst.name,
        seconds=median(row.seconds for row in done),
        peak_mib=max(row.peak_mib for row in done),
    )

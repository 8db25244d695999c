"""The output of `mashpix bench`: definitions, one line per measurement, and the means."""

from collections.abc import Iterable
from math import isnan

from mashpix.evaluation.bench.results import Means, Row

DEFINITIONS = """\
PSNR  in dB, over all pixels and channels together; peak: what the type of the clean image can hold (8 bit: 255),
      for floats and signed integers the range of its values
gain  PSNR over that of the noisy image
SSIM  7 x 7 uniform window, sample covariance, K 0.01 and 0.03, mean over the channels: scikit-image's default
s     seconds of denoising alone, after a first small image; threads: {threads}, presets on: {device}
MiB   most memory of a process that does nothing else; Python and the libraries of the method are part of it"""
FILES = "\nThe noise is in the files. Results are scored in their type."
ADDED = """
Noise: {noise}; seed {seed}; on floats, neither rounded nor clipped.
Results are clipped to what the type of the clean image can hold, and not rounded."""


def definitions(noise: str, *, seed: int, threads: int, device: str) -> str:
    """Explain the columns; `noise` is the model that was added, "" for pairs."""
    added = ADDED.format(noise=noise, seed=seed) if noise else FILES
    return f"{DEFINITIONS.format(threads=threads, device=device)}\n{added}"


class RowTable:
    """The table of measurements: its header, and one line per row."""

    def __init__(self, names: Iterable[str], methods: Iterable[str]) -> None:
        self._wide, self._less = max(map(len, ("image", *names))), max(map(len, methods))

    @property
    def head(self) -> str:
        """Return the names of the columns, after an empty line."""
        return f"\n{'image':<{self._wide}}  {'method':<{self._less}}    PSNR    gain    SSIM        s    MiB"

    def line(self, row: Row) -> str:
        """Format one measurement."""
        start = f"{row.name:<{self._wide}}  {row.method:<{self._less}}  "
        if row.error:
            return f"{start}failed: {row.error}"
        cost = f"{_cell(row.seconds, '9.2f')}{_cell(row.peak_mib, '7.0f')}"
        return f"{start}{_cell(row.denoised_db, '6.2f')}{_cell(row.gain, '+8.2f')}{_cell(row.ssim, '8.4f')}{cost}"


def means_table(means: list[Means]) -> str:
    """Format one line per method: means, but median seconds and the largest peak memory."""
    less = max(len("mean"), *(len(mean.method) for mean in means))
    lines = [f"\n{'mean':<{less}}    images    PSNR    gain    SSIM  median s  peak MiB  worst gain"]
    for mean in means:
        cost = f"{_cell(mean.seconds, '10.2f')}{_cell(mean.peak_mib, '10.0f')}"
        images = f"{mean.done}/{mean.images}"
        worst = f"{mean.worst_gain:+10.2f}  {mean.worst_name}"
        lines.append(
            f"{mean.method:<{less}}{images:>10}{mean.psnr:8.2f}{mean.gain:+8.2f}{mean.ssim:8.4f}{cost}  {worst}"
        )
    return "\n".join(lines)


def _cell(value: float, form: str) -> str:
    """Format a number, or blanks of the same width for NaN."""
    return " " * len(format(0, form)) if isnan(value) else format(value, form)

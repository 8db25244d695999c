"""What `mashpix bench` prints: what its measures are, a line a measurement, and the means."""

from collections.abc import Callable, Iterable
from math import isnan

import typer

from mashpix.evaluation.bench.results import Means, Row

DEFINITIONS = """\
PSNR  in dB, over all pixels and channels together; peak: what the type of the clean picture can hold (8 bit: 255),
      for floats and signed integers the range of its values
gain  PSNR over that of the noisy picture
SSIM  7 x 7 uniform window, sample covariance, K 0.01 and 0.03, mean over the channels: scikit-image's default
s     seconds of denoising alone, after a first small picture; threads: {threads}, presets on: {device}
MiB   most memory of a process that does nothing else; Python and the libraries of the method are part of it"""
FILES = "\nThe noise is in the files. Results are scored in their type."
ADDED = """
Noise: {noise}; seed {seed}; on floats, neither rounded nor clipped.
Results are clipped to what the type of the clean picture can hold, and not rounded."""


def print_definitions(noise: str, *, seed: int, threads: int, device: str) -> None:
    """What the columns mean; `noise` is the model that was added, "" for pairs."""
    typer.echo(DEFINITIONS.format(threads=threads, device=device))
    typer.echo(ADDED.format(noise=noise, seed=seed) if noise else FILES)


def row_printer(names: Iterable[str], methods: Iterable[str]) -> Callable[[Row], None]:
    """Print the head of a table; return a function that prints its rows."""
    wide, less = max(map(len, ("picture", *names))), max(map(len, methods))
    typer.echo(f"\n{'picture':<{wide}}  {'method':<{less}}    PSNR    gain    SSIM        s    MiB")

    def print_row(row: Row) -> None:
        start = f"{row.name:<{wide}}  {row.method:<{less}}  "
        if row.error:
            typer.echo(f"{start}failed: {row.error}")
            return
        cost = f"{_cell(row.seconds, '9.2f')}{_cell(row.peak_mib, '7.0f')}"
        typer.echo(f"{start}{_cell(row.denoised_db, '6.2f')}{_cell(row.gain, '+8.2f')}{_cell(row.ssim, '8.4f')}{cost}")

    return print_row


def print_means(means: list[Means]) -> None:
    """One line a method: means, but the median of the seconds and the largest peak of memory."""
    less = max(len("mean"), *(len(mean.method) for mean in means))
    typer.echo(f"\n{'mean':<{less}}  pictures    PSNR    gain    SSIM  median s  peak MiB  worst gain")
    for mean in means:
        cost = f"{_cell(mean.seconds, '10.2f')}{_cell(mean.peak_mib, '10.0f')}"
        pictures = f"{mean.done}/{mean.pictures}"
        worst = f"{mean.worst_gain:+10.2f}  {mean.worst_name}"
        typer.echo(
            f"{mean.method:<{less}}{pictures:>10}{mean.psnr:8.2f}{mean.gain:+8.2f}{mean.ssim:8.4f}{cost}  {worst}"
        )


def _cell(value: float, form: str) -> str:
    """A number, or as much space for none."""
    return " " * len(format(0, form)) if isnan(value) else format(value, form)

"""`mashpix inspect`: what the noise of a picture is, before it is denoised."""

from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.options import DEVICES
from mashpix.errors import DeviceError, FileError, MashpixError, UsageError
from mashpix.files import FORMATS, MAX_PIXELS
from mashpix.noise_report import NoiseReport
from mashpix.report import Step
from mashpix.settings import PRESETS, preset


def inspect(
    source: Annotated[Path, typer.Argument(metavar="IN", readable=False, help=f"A picture: {FORMATS}.")],
    html: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as one page with figures.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as JSON.")] = None,
    denoised: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Show what denoising took away, too: IN denoised.")
    ] = None,
    preset_name: Annotated[
        str, typer.Option("--preset", metavar="|".join(PRESETS), help="Whose masking ratio and cost to tell.")
    ] = "default",
    probe: Annotated[
        bool, typer.Option("--probe", help="Train the two published probes for the noise level gap: minutes.")
    ] = False,
    device: Annotated[str, typer.Option(metavar=DEVICES, help="Where to compute.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processor threads; default: one a core.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the probes.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
) -> None:
    """Tell the noise of a picture, and what denoising it would take, in seconds."""
    preset(preset_name)
    if html is not None and json is not None and html.resolve() == json.resolve():
        raise UsageError(f"--html and --json name one file ({str(html)!r}; give two)")
    try:
        options = {"preset_name": preset_name, "probe": probe, "device": device, "seed": seed}
        _inspect_file(source, html, json, denoised, options, threads, overwrite=overwrite, max_pixels=max_pixels)
    except (DeviceError, UsageError):
        raise
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None


def _inspect_file(
    source: Path,
    html: Path | None,
    json: Path | None,
    denoised: Path | None,
    options: dict[str, Any],
    threads: int | None,
    *,
    overwrite: bool,
    max_pixels: int,
) -> None:
    """Check what can be checked, inspect, write the files and print the table."""
    from mashpix import files
    from mashpix.html import make_page
    from mashpix.recipe import to_json

    image = files.read_image(source, max_pixels=max_pixels)
    for note in image.notes:
        complain(note, name=str(source))
    after = None if denoised is None else _read_denoised(denoised, image, max_pixels=max_pixels)
    for path in (html, json):
        if path is not None:
            files.check_output(source, path, overwrite=overwrite)
    report = _inspect_pixels(str(source), image.pixels, options, threads=threads)
    if json is not None:
        files.atomic_write(json, to_json(report.to_dict()), overwrite=overwrite)
    verdict = None if after is None else _check(image.pixels, after)
    if html is not None:
        page = make_page(report, image.pixels, name=str(source), denoised=after, verdict=verdict)
        files.atomic_write(html, page.encode("utf-8", "backslashreplace"), overwrite=overwrite)
    for name, value in report.rows():
        typer.echo(f"{name:<22} {value}")
    if verdict is not None:
        typer.echo(f"{'verdict':<22} {verdict.verdict} ({verdict.reason})")


def _check(noisy: Any, denoised: Any) -> Any:
    from mashpix.checking import check

    return check(noisy, denoised, channel_axis=-1 if noisy.ndim == 3 else None)


def _read_denoised(path: Path, image: Any, *, max_pixels: int) -> Any:
    from mashpix import files
    from mashpix.files.image_file import changed

    after = files.read_image(path, max_pixels=max_pixels)
    if reason := changed(after.pixels, image.pixels.shape, image.pixels.dtype):
        raise FileError(f"--denoised {str(path)!r}: {reason}")
    return after.pixels


def _inspect_pixels(name: str, pixels: Any, options: dict[str, Any], *, threads: int | None) -> NoiseReport:
    """The report, with progress shown on the way."""
    import torch

    from mashpix.inspecting import inspect_steps

    if threads is not None:
        torch.set_num_threads(threads)
    found: list[NoiseReport] = []

    def steps() -> Generator[Step, None, None]:
        found.append((yield from inspect_steps(pixels, channel_axis=-1 if pixels.ndim == 3 else None, **options)))

    with progress(name) as show:
        for step in in_background(steps()):
            show(step)
    return found[0]

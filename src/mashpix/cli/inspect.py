"""`mashpix inspect`: estimate the noise of an image before it is denoised."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import complain, follow, use_threads
from mashpix.cli.options import Axes, ChannelKind, Device, MaxPixels, Overwrite, Threads
from mashpix.errors import DeviceError, MashpixError, UsageError
from mashpix.files import FORMATS, MAX_PIXELS
from mashpix.jobs import InspectRequest, inspect_file
from mashpix.settings import PRESETS, preset


def inspect(
    source: Annotated[Path, typer.Argument(metavar="IN", readable=False, help=f"An image or a stack: {FORMATS}.")],
    html: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as an HTML page.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as JSON.")] = None,
    denoised: Annotated[
        Path | None, typer.Option(metavar="OUT", help="The denoised version: show what was removed, with a verdict.")
    ] = None,
    preset_name: Annotated[
        str,
        typer.Option("--preset", metavar="|".join(PRESETS), help="Preset for which to report masking ratio and cost."),
    ] = "default",
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Train the two published probes for the noise level gap, on the centre: minutes."),
    ] = False,
    axes: Axes = None,
    channels: ChannelKind = None,
    device: Device = "auto",
    threads: Threads = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the probes.")] = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Estimate an image's noise and what denoising it would cost; takes seconds."""
    preset(preset_name)
    kind: Any = channels or "auto"
    request = InspectRequest(
        source=source,
        html=html,
        json=json,
        denoised=denoised,
        preset_name=preset_name,
        probe=probe,
        device=device or "auto",
        seed=seed,
        axes=axes,
        channels=kind,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    use_threads(threads)
    try:
        outcome = follow(inspect_file(request), str(source), notes_of=str(source))
    except (DeviceError, UsageError):
        raise
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None
    rows = outcome.report.rows()
    if outcome.verdict is not None:
        rows = [*rows, ("verdict", f"{outcome.verdict.verdict} ({outcome.verdict.reason})")]
    for name, value in rows:
        typer.echo(f"{name:<22} {value}")

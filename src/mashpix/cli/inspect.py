"""`mashpix inspect`: estimate the noise of an image before it is denoised."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import errors_name, follow, use_threads
from mashpix.cli.options import shared_flags
from mashpix.errors import DeviceError, UsageError
from mashpix.files import FORMATS
from mashpix.jobs import InspectRequest, inspect_file
from mashpix.settings import PRESETS, preset


@shared_flags("axes channels device threads overwrite max_pixels nodata mask dtype")
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
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the probes.")] = 0,
    *,
    given: dict[str, Any],
) -> None:
    """Estimate an image's noise and what denoising it would cost; takes seconds."""
    preset(preset_name)
    threads = given.pop("threads", None)
    given |= {"html": html, "json": json, "denoised": denoised}
    request = InspectRequest(source=source, preset_name=preset_name, probe=probe, seed=seed, **given)
    use_threads(threads)
    with errors_name(source, unless=(DeviceError, UsageError)):
        outcome = follow(inspect_file(request), str(source), notes_of=str(source))
    rows = outcome.report.rows()
    if outcome.verdict is not None:
        rows += ("removed", str(outcome.removed)), ("verdict", f"{outcome.verdict.verdict} ({outcome.verdict.reason})")
    for name, value in rows:
        typer.echo(f"{name:<22} {value}")

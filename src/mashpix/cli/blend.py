"""`mashpix blend`: blend a finished result with its noisy image, or restore fine texture; nothing is trained."""

from pathlib import Path
from typing import Annotated

import typer

from mashpix.cli.console import complain, follow
from mashpix.cli.options import Axes, MaxPixels, Overwrite
from mashpix.errors import MashpixError
from mashpix.files import MAX_PIXELS
from mashpix.files.suffixes import split_name
from mashpix.jobs import BlendRequest, blend_files


def blend(
    source: Annotated[
        Path, typer.Argument(metavar="IN", readable=False, help="The noisy image or stack; its metadata are kept.")
    ],
    finished: Annotated[Path, typer.Argument(metavar="OUT", readable=False, help="Its denoised version.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Result; default: <stem of OUT>_blended<ext>."),
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 returns IN, 1 (default) OUT.")
    ] = 1.0,
    detail: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="Restore fine texture where the residual contains any.")
    ] = 0.0,
    compare: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw before, after and residual side by side.")
    ] = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Blend a finished result with its noisy image, and restore fine texture."""
    stem, ending = split_name(finished)
    request = BlendRequest(
        source=source,
        finished=finished,
        target=output or finished.with_name(f"{stem}_blended{ending}"),
        strength=strength,
        detail=detail,
        compare=compare,
        axes=axes,
        overwrite=overwrite,
        max_pixels=max_pixels,
    )
    try:
        outcome = follow(blend_files(request), str(source), notes_of=str(source))
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None
    typer.echo(f"{str(outcome.target)!r}: strength {strength:g}, detail {detail:g}")
    typer.echo(f"verdict: {outcome.verdict.verdict} ({outcome.verdict.reason})")

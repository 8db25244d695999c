"""`mashpix blend`: blend a finished result with its noisy image, or restore fine texture; nothing is trained."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import errors_name, follow
from mashpix.cli.options import shared_flags
from mashpix.files.suffixes import split_name
from mashpix.jobs import BlendRequest, blend_files


@shared_flags("compare axes channels overwrite max_pixels nodata mask dtype")
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
    *,
    given: dict[str, Any],
) -> None:
    """Blend a finished result with its noisy image, and restore fine texture."""
    stem, ending = split_name(finished)
    target = output or finished.with_name(f"{stem}_blended{ending}")
    with errors_name(source):
        request = BlendRequest(
            source=source, finished=finished, target=target, strength=strength, detail=detail, **given
        )
        outcome = follow(blend_files(request), str(source), notes_of=str(source))
    typer.echo(f"{str(outcome.target)!r}: strength {strength:g}, detail {detail:g}")
    typer.echo(f"verdict: {outcome.verdict.verdict} ({outcome.verdict.reason})")

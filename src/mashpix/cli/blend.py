"""`mashpix blend`: how much of the noise, and of the fine texture, a finished result gets back; nothing is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mashpix.cli.console import complain
from mashpix.cli.finishing import channels_last, draw_comparison, finish, show_verdict
from mashpix.errors import FileError, MashpixError, UsageError
from mashpix.files import MAX_PIXELS


def blend(
    source: Annotated[
        Path, typer.Argument(metavar="IN", readable=False, help="The noisy picture; its metadata are kept.")
    ],
    finished: Annotated[Path, typer.Argument(metavar="OUT", readable=False, help="Its denoised version.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where the result goes; else <stem of OUT>_blended<ext>."),
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 gives IN, 1 (default) OUT.")
    ] = 1.0,
    detail: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="Fine texture brought back where there is some.")
    ] = 0.0,
    compare: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw before, after and residual side by side.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
) -> None:
    """Blend a finished result with the picture that it was made of, and bring fine texture back."""
    from mashpix import files

    target = output or finished.with_name(f"{finished.stem}_blended{finished.suffix}")
    try:
        before = files.read_image(source, max_pixels=max_pixels)
        after = files.read_image(finished, max_pixels=max_pixels)
        for path in filter(None, (target, compare)):
            for read in (source, finished):
                files.check_output(read, path, overwrite=overwrite)
        if compare is not None and compare.resolve() == target.resolve():
            raise UsageError(f"the result and the comparison are one file ({str(target)!r}; name two)")
        files.check_writable(before, target)
        if (before.pixels.shape, before.pixels.dtype) != (after.pixels.shape, after.pixels.dtype):
            kinds = (f"{image.pixels.dtype} {image.pixels.shape}" for image in (after, before))
            raise FileError("{!r} is no version of it ({}; {} needed)".format(str(finished), *kinds))
        channel_axis = channels_last(before.pixels)
        pixels, verdict = finish(
            before.pixels, after.pixels, strength=strength, detail=detail, channel_axis=channel_axis
        )
        for warning in files.write_image(target, replace(before, pixels=pixels), overwrite=overwrite):
            complain(warning, name=str(source))
        if compare is not None:
            drawn = draw_comparison(before.pixels, pixels, channel_axis=channel_axis)
            files.atomic_write(compare, drawn, overwrite=overwrite)
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None
    typer.echo(f"{str(target)!r}: strength {strength:g}, detail {detail:g}")
    show_verdict(verdict)

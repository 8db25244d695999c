"""`mashpix inspect`: what the noise of a picture is, before it is denoised."""

from collections.abc import Generator, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.options import DEVICES
from mashpix.errors import DeviceError, FileError, MashpixError, UsageError
from mashpix.files import FORMATS, MAX_PIXELS
from mashpix.noise_report.report import NoiseReport
from mashpix.report import Step
from mashpix.settings import PRESETS, preset


def inspect(
    source: Annotated[Path, typer.Argument(metavar="IN", readable=False, help=f"A picture or a stack: {FORMATS}.")],
    html: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as one page with figures.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="F", help="Write the report as JSON.")] = None,
    denoised: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Show what denoising took away, too: IN denoised.")
    ] = None,
    preset_name: Annotated[
        str, typer.Option("--preset", metavar="|".join(PRESETS), help="Preset to report masking ratio and cost for.")
    ] = "default",
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Train the two published probes for the noise level gap, on the centre: minutes."),
    ] = False,
    axes: Annotated[
        str | None, typer.Option(metavar="LETTERS", help="Axes of a stack, such as TZCYX; else as the file says.")
    ] = None,
    device: Annotated[str, typer.Option(metavar=DEVICES, help="Where to compute.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processor threads; default: one a core.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the probes.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
) -> None:
    """Estimate the noise of an image, and what denoising it would cost; takes seconds."""
    preset(preset_name)
    if html is not None and json is not None and html.resolve() == json.resolve():
        raise UsageError(f"--html and --json name one file ({str(html)!r}; give two)")
    options = {"settings": preset_name, "probe": probe, "device": device, "seed": seed}
    try:
        with ExitStack() as opened:
            subject = _open(source, denoised, options, opened, axes=axes, max_pixels=max_pixels)
            _inspect_subject(subject, source, html, json, threads=threads, overwrite=overwrite)
    except (DeviceError, UsageError):
        raise
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None


class _Subject(NamedTuple):
    """What is inspected: the steps of that, the picture to show and, if given, what denoising made of it."""

    steps: Generator[Step, None, NoiseReport]
    pixels: Any
    denoised: Any


def _open(
    source: Path,
    denoised: Path | None,
    options: dict[str, Any],
    opened: ExitStack,
    *,
    axes: str | None,
    max_pixels: int,
) -> _Subject:
    """A picture, or a stack with the plane that is told of."""
    from mashpix import files
    from mashpix.noise_report.inspecting import inspect_steps
    from mashpix.noise_report.inspecting_stacks import choose_planes, inspect_stack_steps

    stack = files.open_stack(source, axes=axes, max_pixels=max_pixels)
    if stack is None:
        image = files.read_image(source, max_pixels=max_pixels)
        _complain_all(image.notes, source)
        after = None if denoised is None else files.read_image(denoised, max_pixels=max_pixels).pixels
        _check_like(after, image.pixels, denoised)
        channel_axis = -1 if image.pixels.ndim == 3 else None
        return _Subject(inspect_steps(image.pixels, channel_axis=channel_axis, **options), image.pixels, after)
    opened.callback(stack.close)
    _complain_all(stack.notes, source)
    (plane,) = choose_planes(stack, stack.axes)[0]
    after = None
    if denoised is not None:
        other = files.open_stack(denoised, axes=axes, max_pixels=max_pixels)
        if other is None or other.shape != stack.shape:
            raise FileError(f"--denoised {str(denoised)!r}: not a stack of the same shape ({stack.shape} needed)")
        opened.callback(other.close)
        after = _channels_last(other[plane], stack.axes)
    pixels = _channels_last(stack[plane], stack.axes)
    _check_like(after, pixels, denoised)
    return _Subject(inspect_stack_steps(stack, axes=stack.axes, **options), pixels, after)


def _complain_all(notes: Iterable[str], source: Path) -> None:
    for note in notes:
        complain(note, name=str(source))


def _channels_last(plane: Any, axes: str) -> Any:
    """A plane as pictures are shown, (H, W) or (H, W, C)."""
    within = [letter for letter in axes if letter in "YXS"]
    return plane.transpose([within.index(letter) for letter in "YXS" if letter in within])


def _check_like(after: Any, pixels: Any, denoised: Path | None) -> None:
    """Refuse what cannot be the denoised picture."""
    from mashpix.files.image_file import changed

    if after is not None and (reason := changed(after, pixels.shape, pixels.dtype)):
        raise FileError(f"--denoised {str(denoised)!r}: {reason}")


def _inspect_subject(
    subject: _Subject, source: Path, html: Path | None, json: Path | None, *, threads: int | None, overwrite: bool
) -> None:
    """Check where the outputs go, inspect, write them and print the table."""
    from mashpix import files
    from mashpix.jobs.recipe import to_json
    from mashpix.noise_report.html import make_page

    for path in (html, json):
        if path is not None:
            files.check_output(source, path, overwrite=overwrite)
    report = _run(str(source), subject.steps, threads=threads)
    if json is not None:
        files.atomic_write(json, to_json(report.to_dict()), overwrite=overwrite)
    verdict = None if subject.denoised is None else _check(subject.pixels, subject.denoised)
    if html is not None:
        page = make_page(report, subject.pixels, name=source.name, denoised=subject.denoised, verdict=verdict)
        files.atomic_write(html, page.encode("utf-8", "backslashreplace"), overwrite=overwrite)
    for name, value in report.rows():
        typer.echo(f"{name:<22} {value}")
    if verdict is not None:
        typer.echo(f"{'verdict':<22} {verdict.verdict} ({verdict.reason})")


def _check(noisy: Any, denoised: Any) -> Any:
    from mashpix.trust.verdict import check

    return check(noisy, denoised, channel_axis=-1 if noisy.ndim == 3 else None)


def _run(name: str, inspecting: Generator[Step, None, NoiseReport], *, threads: int | None) -> NoiseReport:
    """The report, with progress shown on the way."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    found: list[NoiseReport] = []

    def steps() -> Generator[Step, None, None]:
        found.append((yield from inspecting))

    with progress(name) as show:
        for step in in_background(steps()):
            show(step)
    return found[0]

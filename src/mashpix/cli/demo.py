"""`mashpix demo`: add camera noise to the shipped image, denoise it, score it and show it side by side."""

import time
from contextlib import closing
from importlib.resources import files as package_files
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from mashpix.cli.console import PATIENCE, progress
from mashpix.jobs import in_background

PICTURE = "data/demo.png"
ELECTRONS = 150.0
"""Electrons at white for the camera noise: a small sensor in poor light."""
SEED = 0
MARGIN = 8
"""Pixels around each image of the side-by-side view."""
LEGEND_HEIGHT = 44
"""Pixels above the images for the two lines of the legend."""


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PNG", help="Side-by-side view; replaced if it exists.")
    ] = Path("mashpix-demo.png"),
) -> None:
    """Denoise the shipped image on the CPU and show the gain."""
    from PIL import Image

    from mashpix import denoise_steps, files, psnr, ssim
    from mashpix import simulation as noise

    files.check_output(None, output, overwrite=True, in_place=False)
    clean = np.asarray(Image.open(BytesIO(package_files("mashpix").joinpath(PICTURE).read_bytes())))
    rng = np.random.default_rng(SEED)
    reference = _to_uint8(
        noise.add_camera_noise(clean / 255, electrons=np.inf, read_noise=0, jpeg_quality=None, rng=rng)
    )
    noisy = _to_uint8(noise.add_camera_noise(clean / 255, electrons=ELECTRONS, rng=rng))
    started = time.perf_counter()
    steps = denoise_steps(noisy, channel_axis=-1, seed=SEED, device="cpu", preview_every=0)
    with progress("demo") as show, closing(in_background(steps, patience=PATIENCE)) as working:
        for step in working:
            show(step)
    assert step.denoised is not None
    pictures = {"clean": reference, "camera noise": noisy, "mashpix": step.denoised}
    scores = {}
    for name, picture in pictures.items():
        similarity = ssim(reference, picture, data_range=255, channel_axis=-1)
        scores[name] = f"{psnr(reference, picture, data_range=255):.2f} dB, SSIM {similarity:.3f}"
    scores["clean"] = "the truth, never shown to it"
    files.atomic_write(output, _side_by_side(pictures, scores), overwrite=True)
    for name in ("camera noise", "mashpix"):
        typer.echo(f"{name:<13}{scores[name]}")
    typer.echo(f"{time.perf_counter() - started:.0f} s on the CPU; side by side: {output}")


def _to_uint8(picture: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(255 * picture), 0, 255), dtype=np.uint8)


def _side_by_side(pictures: dict[str, NDArray[Any]], scores: dict[str, str]) -> bytes:
    """Encode a PNG of images in a row, each below its name and score."""
    from PIL import Image, ImageDraw

    from mashpix.trust.drawing import encode_png, write

    height, width = next(iter(pictures.values())).shape[:2]
    sheet = Image.new(
        "RGB", (MARGIN + len(pictures) * (width + MARGIN), LEGEND_HEIGHT + height + MARGIN), color="white"
    )
    draw = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(pictures.items()):
        left = MARGIN + column * (width + MARGIN)
        sheet.paste(Image.fromarray(picture), (left, LEGEND_HEIGHT))
        write(draw, left, 4, name, size=16)
        write(draw, left, 24, scores[name])
    return encode_png(sheet)

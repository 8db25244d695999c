"""Animations (PNG, WebP, GIF) as stacks of times: read frame by frame as they are shown, written as animated PNG."""

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import FileError, MashpixError, UsageError
from mashpix.files.atomic import atomic_write
from mashpix.files.image_file import active_remarks, check_kept, check_size, damaged_error, split_alpha
from mashpix.files.opened import OpenStack, Put
from mashpix.files.png import MAGIC, carried_chunks, list_chunks, make_chunk
from mashpix.files.png_of import GIF_END, metadata_chunks
from mashpix.files.suffixes import check_same_format

DELAY = slice(20, 24)
"""Place of the delay in a frame control chunk: numerator and denominator of seconds, 16 bits each."""


class _Frames(NamedTuple):
    """What is read from an animation.

    values : (T, H, W, C), alpha last where C is 2 or 4
    delays : of each frame, as an animated PNG stores them
    plays : how often it is played, 0 for ever
    chunks : of a PNG, to be written again: those that it had, or what another format held
    """

    values: NDArray[Any]
    delays: list[bytes]
    plays: int
    chunks: bytes = b""
    losses: tuple[str, ...] = ()


@dataclass(kw_only=True)
class _Animation(OpenStack):
    """An animation in memory: pixels (T, H, W) or (T, H, W, 3), and what else a copy of it needs."""

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    frames: _Frames

    def read_plane(self, index: Index) -> NDArray[Any]:
        return np.ascontiguousarray(self.pixels[index])

    def _check_kept(self, target: Path, *, strict: bool) -> None:
        check_same_format(self.path.with_suffix(".png"), target)
        if strict:
            check_kept(self.lost)

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        """Write an animated PNG with the old alpha, delays and chunks when the block ends without an error."""
        new = self.pixels.copy()
        yield new.__setitem__
        atomic_write(target, _encode(new, self.alpha, self.frames), overwrite=overwrite)


def _encode(pixels: NDArray[Any], alpha: NDArray[Any] | None, frames: _Frames) -> bytes:
    """Return an animated PNG."""
    import imagecodecs

    values = pixels[..., None] if pixels.ndim == 3 else pixels
    values = values if alpha is None else np.concatenate([values, alpha[..., None]], axis=-1)
    encoded, delays = [MAGIC], iter(frames.delays)
    data = bytes(imagecodecs.apng_encode(np.ascontiguousarray(values), level=6))
    for name, content in _as_animation(list_chunks(data), values.shape):
        if name == b"acTL":
            content = content[:4] + struct.pack(">I", frames.plays)
        if name == b"fcTL":
            content = content[: DELAY.start] + next(delays) + content[DELAY.stop :]
        encoded += [make_chunk(name, content)] + [frames.chunks] * (name == b"IHDR")
    return b"".join(encoded)


def _as_animation(chunks: Iterable[tuple[bytes, bytes]], shape: tuple[int, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Give a still PNG, which is what the encoder makes of a single frame, the chunks of an animation."""
    count, height, width = shape[:3]
    for name, content in chunks:
        if count == 1 and name == b"IHDR":
            yield name, content
            yield b"acTL", struct.pack(">II", 1, 0)
            yield b"fcTL", struct.pack(">5I", 0, width, height, 0, 0) + bytes(6)
        else:
            yield name, content


def open_animation(path: Path, *, axes: str | None, max_pixels: int) -> _Animation | None:
    """Open a PNG or WebP that is known to be animated."""
    with path.open("rb") as file:
        is_png = file.read(len(MAGIC)) == MAGIC
    read = (_read_png, "PNG") if is_png else (_read_webp, "WebP")
    return _open(path, *read, axes=axes, max_pixels=max_pixels)


def open_gif(path: Path, *, axes: str | None, max_pixels: int) -> _Animation | None:
    """Open an animated GIF; None for one that holds a single image."""
    return _open(path, _read_gif, "GIF", axes=axes, max_pixels=max_pixels)


def _open(
    path: Path, read: Callable[[bytes, int], _Frames | None], what: str, *, axes: str | None, max_pixels: int
) -> _Animation | None:
    try:
        frames = read(path.read_bytes(), max_pixels)
    except MashpixError:
        raise
    except Exception as error:  # decoders raise arbitrary errors on damaged files
        raise damaged_error(what, error) from None
    if frames is None:
        return None
    count, height, width, _ = frames.values.shape
    flat, alpha = split_alpha(frames.values.reshape(count * height, width, -1))
    pixels = flat.reshape(count, height, width, *flat.shape[2:])
    if axes is not None and axes.upper() != "TYXS"[: pixels.ndim]:
        raise UsageError(f"`axes`: those of an animation are {'TYXS'[: pixels.ndim]} ({axes!r}; leave it out)")
    return _Animation(
        path=path,
        axes="TYXS"[: pixels.ndim],
        shape=pixels.shape,
        dtype=pixels.dtype,
        is_rgb=pixels.ndim == 4,
        lost=frames.losses,
        pixels=pixels,
        alpha=None if alpha is None else alpha.reshape(count, height, width),
        frames=frames,
    )


def _read_png(data: bytes, max_pixels: int) -> _Frames:
    """Read an animated PNG with 8 or 16 bits."""
    import imagecodecs

    chunks = list(list_chunks(data))
    count, plays = struct.unpack(">II", dict(chunks)[b"acTL"])
    width, height = struct.unpack_from(">II", dict(chunks)[b"IHDR"])
    check_size(width, height * max(count, 1), max_pixels=max_pixels)
    names = [name for name, _ in chunks]
    delays = [content[DELAY] for name, content in chunks if name == b"fcTL"]
    if not 0 < len(delays) == count:
        raise FileError(f"damaged PNG ({len(delays)} of {count} frames)")
    is_hidden = names.index(b"fcTL") > names.index(b"IDAT")  # the image of old programs
    values = imagecodecs.apng_decode(data)  # without its first axis where there is one frame
    values = values.reshape(count + is_hidden, height, width, -1)[int(is_hidden) :]
    carried, left = carried_chunks(chunks, left_out={b"acTL", b"fcTL", b"fdAT"})
    losses = {
        "the image that is shown where no animation is known is not kept": is_hidden,
        "the palette is expanded to colours": dict(chunks)[b"IHDR"][9] == 3,
        f"chunks that do not fit the new pixels are not kept: {left}": bool(left),
    }
    return _Frames(values, delays, plays, carried, active_remarks(losses))


def _read_gif(data: bytes, max_pixels: int) -> _Frames | None:
    """Read an animated GIF, each frame as it is shown; palettes are expanded."""
    from PIL import GifImagePlugin

    check_size(*struct.unpack_from("<HH", data, 6), max_pixels=max_pixels)
    if not data.rstrip(b"\0").endswith(GIF_END):
        raise FileError(f"truncated GIF ({len(data)} bytes)")
    with GifImagePlugin.GifImageFile(BytesIO(data)) as image:
        if not image.is_animated:
            return None
        lost = "GIF is read only: written as animated PNG, its palettes expanded to colours"
        plays = image.info["loop"] and image.info["loop"] + 1 if "loop" in image.info else 1
        return _frames_of(image, plays, lost, max_pixels=max_pixels)


def _read_webp(data: bytes, max_pixels: int) -> _Frames:
    """Read an animated WebP, each frame as it is shown."""
    from PIL import WebPImagePlugin

    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise FileError(f"truncated WebP ({len(data)} bytes)")
    width, height = (int.from_bytes(data[place : place + 3], "little") + 1 for place in (24, 27))
    check_size(width, height, max_pixels=max_pixels)
    with WebPImagePlugin.WebPImageFile(BytesIO(data)) as image:
        lost = "an animated WebP is read only: written as animated PNG"
        chunks = metadata_chunks(image.info)
        return _frames_of(image, image.info.get("loop", 0), lost, max_pixels=max_pixels)._replace(chunks=chunks)


def _frames_of(image: Any, plays: int, lost: str, *, max_pixels: int) -> _Frames:
    """Read all frames with Pillow."""
    check_size(image.width, image.height * image.n_frames, max_pixels=max_pixels)
    shown, delays = [], []
    for number in range(image.n_frames):
        image.seek(number)
        shown.append(np.asarray(image.convert("RGBA")))
        delays.append(struct.pack(">HH", min(round(image.info.get("duration", 0)), 2**16 - 1), 1000))
    values = np.stack(shown)
    is_grey = "icc_profile" not in image.info and bool((values[..., :1] == values[..., 1:3]).all())
    is_opaque = bool((values[..., 3] == 255).all())
    kept = ([0] if is_grey else [0, 1, 2]) + ([] if is_opaque else [3])
    return _Frames(values[..., kept], delays, plays, losses=(lost,))

"""The images of `mashpix bench`: pairs of noisy and clean files, or clean files to add noise to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels
from mashpix.errors import FileError, InputError, MashpixError, UsageError
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.files import FORMATS

MOST_NAMES = 3
"""Largest number of files that an error lists by name."""


@dataclass(frozen=True)
class Source:
    """The files of one image; `noisy` is None if noise is added to the clean one."""

    name: str
    clean: Path
    noisy: Path | None


@dataclass(frozen=True)
class Pair:
    """One image, ready to be measured.

    noisy, clean : arrays of one shape; noisy as in its file, or float32 if the noise was added
    data_range : distance from black to white: the range of an unsigned integer type, else that of the clean values
    limits : the smallest and the largest value that the clean file could hold
    channels : as `denoise` takes them; "rgb" where the clean file says so
    """

    noisy: NDArray[Any]
    clean: NDArray[Any]
    data_range: float
    limits: tuple[float, float]
    channels: Channels = "auto"

    @property
    def channel_axis(self) -> int | None:
        """Axis of the channels; None for a grey image."""
        return None if self.clean.ndim == 2 else -1


def find_sources(folder: Path, *, limit: int | None) -> list[Source]:
    """Find the images of a folder in sorted order, or some of them, evenly spaced; skip other files.

    Raises
    ------
    FileError
        For a folder that does not exist, is empty or has files without a partner.
    """
    if not folder.is_dir():
        raise FileError(f"{str(folder)!r}: no such folder (noisy/ and clean/ in it, or clean images)")
    kinds = [kind for kind in ("noisy", "clean") if (folder / kind).is_dir()]
    if len(kinds) == 1:
        raise FileError(f"{str(folder)!r}: holds {kinds[0]}/ alone (noisy/ and clean/ needed, or clean images)")
    places = {kind: _names(folder / kind) for kind in kinds} or {"": _names(folder)}
    names = sorted(set().union(*places.values()))
    if not names:
        raise FileError(f"{str(folder)!r}: holds no images ({FORMATS} needed)")
    for kind, there in places.items():
        if missing := sorted(set(names) - there):
            more = f" and {len(missing) - MOST_NAMES} more" if len(missing) > MOST_NAMES else ""
            raise FileError(f"{str(folder / kind)!r}: partners are missing ({', '.join(missing[:MOST_NAMES])}{more})")
    if limit is not None and limit < len(names):
        names = [names[round(i * len(names) / limit)] for i in range(limit)]
    if not kinds:
        return [Source(name, folder / name, None) for name in names]
    return [Source(name, folder / "clean" / name, folder / "noisy" / name) for name in names]


def _names(folder: Path) -> set[str]:
    from mashpix.files.formats import EXTENSIONS

    return {path.name for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file()}


def load_pair(source: Source, *, crop: int | None, synthetic_noise: SyntheticNoise, seed: int) -> Pair:
    """Read a pair, or read a clean image and add noise to it; either may be cropped to the centre.

    The draws of the noise depend on `seed` and the name of the file, not on other files. Noise is added
    after cropping; the result is neither rounded nor clipped, as in the studies.

    Raises
    ------
    MashpixError
        Naming the file.
    """
    clean, channels = _read_centre(source.clean, crop)
    integer, unsigned = clean.dtype.kind in "iu", clean.dtype.kind == "u"
    limits = (np.iinfo(clean.dtype).min, np.iinfo(clean.dtype).max) if integer else (-np.inf, np.inf)
    data_range = float(limits[1] if unsigned else np.ptp(clean))
    if source.noisy is not None:
        noisy, _ = _read_centre(source.noisy, crop)
        if (noisy.shape, noisy.dtype) != (clean.shape, clean.dtype):
            unlike = f"{noisy.dtype} {noisy.shape}; {clean.dtype} {clean.shape} needed"
            raise InputError(f"{str(source.noisy)!r}: not like its clean partner ({unlike})")
        return Pair(noisy, clean, data_range, limits, channels)
    rng = np.random.default_rng([seed, crc32(source.name.encode())])
    with naming(source.clean):
        noisy = synthetic_noise.add(clean, rng=rng).astype(np.float32)
        return Pair(noisy, synthetic_noise.reference(clean), data_range, limits, channels)


def _read_centre(path: Path, crop: int | None) -> tuple[NDArray[Any], Channels]:
    """Read the pixels, and what the file says about the channels."""
    from mashpix import files

    with naming(path):
        image = files.read_image(path)
    pixels = image.pixels
    channels: Channels = "auto"
    if pixels.ndim == 3 and image.is_rgb is not None:
        channels = "rgb" if image.is_rgb and pixels.shape[2] == 3 else "independent"
    if crop is not None:
        height, width = pixels.shape[:2]
        if min(height, width) < crop:
            raise UsageError(f"{str(path)!r}: smaller than `crop` ({width} x {height}; {crop} asked for)")
        top, left = (height - crop) // 2, (width - crop) // 2
        pixels = pixels[top : top + crop, left : left + crop]
    return pixels, channels


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Prefix errors with the name of the file."""
    try:
        yield
    except MashpixError as error:
        raise type(error)(f"{str(path)!r}: {error}") from None

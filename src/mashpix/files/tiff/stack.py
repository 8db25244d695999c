"""Stacks in TIFF files: pages, ImageJ hyperstacks, OME-TIFF and its pyramids, read and replaced plane by plane.

A copy of the file is made and the strips or tiles of each plane are replaced in it, so metadata, page order, other
series and whatever else is in the file stay bit for bit. Only the planes in work are in memory.
"""

import re
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index, check_axes, remark
from mashpix.errors import FileError, MashpixError, UsageError
from mashpix.files.atomic import atomic_file
from mashpix.files.image_file import damaged
from mashpix.files.pyramid import factors_of, level_notes, shrink_to
from mashpix.files.tiff.chain import check_chain
from mashpix.files.tiff.copy import LOSSLESS, Container, compression_of, find_layout, find_strips, put_pixels
from mashpix.files.tiff.image import ALPHA_KINDS, check_numbers, check_page, has_colour, is_palette

COMPRESSION, PHOTOMETRIC, FILL_ORDER, SUBSAMPLING = 259, 262, 266, 530
DEFLATE, RGB = 8, 2
GUESSED = "IQ"
"""Letters that tifffile gives to axes that nothing is known of."""


@dataclass(frozen=True)
class TiffStack:
    """A `Stack` in a TIFF file: the largest series of planes in it."""

    handle: BinaryIO
    file: Any
    series: Any
    axes: str
    dtype: np.dtype[Any]
    has_alpha: bool
    shares_pixels: bool
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of all axes, alpha left out."""
        lengths = list(self.series.shape)
        if self.has_alpha:
            lengths[self.axes.index("S")] -= 1
        return tuple(lengths)

    @property
    def is_rgb(self) -> bool:
        """Whether the samples of a plane are red, green and blue, as the file says."""
        return has_colour(self.series.keyframe) and dict(zip(self.axes, self.shape, strict=True)).get("S") == 3

    def close(self) -> None:
        """Close the file."""
        self.handle.close()

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, native byte order, without alpha."""
        plane = self._whole(self._number(index))
        return self._colours(plane) if self.has_alpha else plane

    def _number(self, index: Index) -> int:
        """Which page, or part of the one page, a plane is."""
        numbers = [number for number in index if isinstance(number, int)]
        lengths = self.shape[: len(numbers)]
        return int(np.ravel_multi_index(numbers, lengths)) if numbers else 0

    def _colours(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A view without alpha."""
        return plane[..., :-1] if self.axes.endswith("S") else plane[:-1]

    def _whole(self, number: int) -> NDArray[Any]:
        """A plane with its alpha."""
        try:
            plane = self._mapped("r")[number] if self._is_one_page() else self.series.pages[number].asarray()
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise damaged(f"TIFF, plane {number + 1}", error) from None
        return np.array(plane, self.dtype)

    def _is_one_page(self) -> bool:
        """Whether one directory stands for all planes, uncompressed one behind another."""
        return len(self.series.pages) != _count(self.series)

    def _mapped(self, mode: Literal["r", "r+"]) -> NDArray[Any]:
        """All planes behind the one directory, mapped into memory."""
        dtype = self.dtype.newbyteorder(self.file.byteorder)
        shape = (_count(self.series), *self.series.keyframe.shape)
        return np.memmap(self.handle, dtype, mode, self.series.dataoffset, shape)

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool) -> Iterator[Callable[[Index, NDArray[Any]], None]]:
        """A copy of the file whose planes can be replaced, and with them the smaller sizes of a pyramid."""
        sums: dict[int, int] = {}
        with atomic_file(target, overwrite=overwrite) as file:
            self.handle.seek(0)
            shutil.copyfileobj(self.handle, file)

            def put(index: Index, plane: NDArray[Any]) -> None:
                number = self._number(index)
                whole = self._whole(number)
                (self._colours(whole) if self.has_alpha else whole)[...] = plane
                try:
                    self._put(file, number, whole)
                except (MashpixError, OSError):
                    raise
                except Exception as error:  # a page whose tags are not those of the first
                    raise damaged(f"TIFF, plane {number + 1}", error) from None
                sums[number] = crc32(whole.tobytes())

            yield put
            file.flush()
            self._check(file, sums)

    def _put(self, file: BinaryIO, number: int, plane: NDArray[Any]) -> None:
        """Replace a plane of the copy, in all its sizes."""
        if self._is_one_page():
            file.flush()
            replace(self, handle=file)._mapped("r+")[number] = plane
            return
        for level in self.series.levels:
            page = level.pages[number].aspage()
            resized = shrink_to(plane, page.shape)
            if resized is not None:
                self._put_page(file, page, resized)

    def _put_page(self, file: BinaryIO, page: Any, array: NDArray[Any]) -> None:
        """Replace the pixels of one page; what a lossy compression was becomes deflate."""
        layout, _ = find_layout(self.file, page)
        strips = find_strips(page)
        if strips is None:
            raise FileError("a page without the lengths of its strips (save it with another program first)")
        axes_last = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
        byteorder, is_bigtiff, bits = self.file.byteorder, self.file.is_bigtiff, 8 * array.itemsize
        old = Container(b"", array.shape, array.dtype, byteorder, is_bigtiff, layout, bits, strips, {}, [])
        put_pixels(file, old, strips._replace(overlap=strips.overlap or self.shares_pixels), axes_last)
        changes: dict[int, tuple[int, ...]] = {FILL_ORDER: (1,)} if page.fillorder != 1 else {}
        if compression_of(page) not in LOSSLESS:
            changes |= {COMPRESSION: (DEFLATE,)}
        if page.photometric.name == "YCBCR":
            changes |= {PHOTOMETRIC: (RGB,)} | ({SUBSAMPLING: (1, 1)} if SUBSAMPLING in page.tags else {})
        for code, values in changes.items():
            file.seek(page.tags[code].valueoffset)
            file.write(struct.pack(f"{self.file.byteorder}{len(values)}H", *values))

    def _check(self, file: BinaryIO, sums: dict[int, int]) -> None:
        """Read the copy: it must hold the same series with the planes that were put into it."""
        file.seek(0)
        with _open(file, self.file.filename, is_ome=self.file.is_ome) as copied:
            copy = replace(self, handle=file, file=copied, series=_largest(copied.series))
            same = copy.shape == self.shape
            same = same and all(crc32(copy._whole(number).tobytes()) == total for number, total in sums.items())
        if not same:
            raise FileError("an unusual TIFF whose planes cannot be replaced (save it as OME-TIFF first)")


def open_tiff(path: Path, *, axes: str | None, max_pixels: int) -> TiffStack | None:
    """Open a TIFF as a stack; None if it holds a single picture in one size."""
    file = path.open("rb")
    try:
        stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels)
    except MashpixError:
        file.close()
        raise
    except Exception as error:  # readers raise whatever they like on damaged files
        file.close()
        raise damaged("TIFF", error) from None
    if stack is None:
        file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int) -> TiffStack | None:
    size = path.stat().st_size
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        count = check_chain(data)
    tiff = _open(file, path.name)
    check_numbers(tiff.pages.first)
    declared = _declared_planes(tiff.ome_metadata or "") if tiff.is_ome else 0
    notes = []
    if declared > count * tiff.pages.first.samplesperpixel:
        if "FileName=" not in tiff.ome_metadata:
            raise FileError(f"truncated or damaged OME-TIFF (it declares {declared} planes and holds {count})")
        notes.append(f"its OME-XML names other files too: of {declared} planes, the {count} in this file are denoised")
        file.seek(0)
        tiff = _open(file, path.name, is_ome=False)
    series = _largest(tiff.series)
    if _count(series) == 1 and len(series.levels) == 1 and _is_single(tiff):
        return None
    page = series.keyframe
    check_page(page, size, max_pixels=max_pixels)
    if is_palette(page) and not tiff.is_imagej:  # ImageJ: a look-up table beside measured values
        raise FileError("a stack of palette pictures (convert it to RGB first)")
    if any(plane is None for plane in series.pages) or (len(series.pages) != _count(series) and not series.dataoffset):
        raise FileError(f"planes are missing ({len(series.pages)} of {_count(series)}; save it as OME-TIFF first)")
    for other in {id(plane.keyframe): plane.keyframe for plane in series.pages}.values():
        check_page(other, size, max_pixels=max_pixels)
    if any((plane.shape, plane.dtype) != (page.shape, page.dtype) for plane in series.pages):
        raise FileError("damaged TIFF (its planes differ in size or dtype)")
    if len(series.pages) == _count(series) and find_strips(page) is None:
        raise FileError("a page without the lengths of its strips (save it with another program first)")
    _check_places([*tiff.pages], size)
    found, axes_notes = _name_axes(series, axes)
    are_made = [factors_of(page.shape, level.keyframe.shape) is not None for level in series.levels[1:]]
    if len(tiff.series) > 1:
        named = f"number {tiff.series.index(series) + 1} {series.shape}"
        notes.append(f"holds {len(tiff.series)} series: the largest, {named}, is denoised, the rest stays as it was")
    return TiffStack(
        file,
        tiff,
        series,
        found,
        page.dtype.newbyteorder("="),
        bool(page.extrasamples) and page.extrasamples[-1] in ALPHA_KINDS and "S" in found,
        _shares_pixels(tiff),
        (*notes, *axes_notes, *level_notes(are_made)),
        tuple(find_layout(tiff, page)[1]),
    )


def _open(file: BinaryIO, name: str, **options: Any) -> Any:
    """The file in tifffile's hands, which must not open any other: OME-XML may name whatever it likes."""
    import tifffile

    return tifffile.TiffFile(file, name=name, _multifile=False, is_ndtiff=False, **options)


def _is_single(tiff: Any) -> bool:
    """Whether a file holds one picture, thumbnails aside."""
    return len(tiff.series) == 1 or sum(not page.aspage().is_reduced for page in tiff.pages) == 1


def _largest(series: list[Any]) -> Any:
    """The series with the most values; the first of several."""
    return max(series, key=lambda item: int(np.prod(item.shape, dtype=object)))


def _count(series: Any) -> int:
    """Planes of a series."""
    return int(np.prod(series.shape, dtype=object)) // int(np.prod(series.keyframe.shape, dtype=object))


def _declared_planes(xml: str) -> int:
    """The most planes that a picture in OME-XML declares: an absurd number would fill the memory."""
    most = 0
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml):
        sizes = re.findall(r"\bSize[ZCT]\s*=\s*[\"'](\d{1,18})", pixels)
        most = max(most, int(np.prod([int(size) for size in sizes], dtype=object)))
    counts = re.findall(r"\b(?:NumPlanes|PlaneCount)\s*=\s*[\"'](\d{1,18})", xml)
    return max(most, *map(int, counts)) if counts else most


def _check_places(pages: list[Any], size: int) -> None:
    """Refuse a page whose strips or tiles are missing or end beyond the file, before any work is done."""
    for page in pages:
        places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if not places or any(min(place) <= 0 or sum(place) > size for place in places):
            raise FileError(f"truncated or damaged TIFF (its pixels end beyond its {size} bytes)")


def _shares_pixels(tiff: Any) -> bool:
    """Whether strips or tiles of any pages overlap: none of them may then be replaced in its place."""
    places = sorted(place for page in tiff.pages for place in zip(page.dataoffsets, page.databytecounts, strict=False))
    return any(start + count > following for (start, count), (following, _) in pairwise(places))


def _name_axes(series: Any, axes: str | None) -> tuple[str, list[str]]:
    """Letters of the axes, as the file or the user names them, and a remark where the file does not say."""
    within = series.keyframe.axes
    if axes is not None:
        named = check_axes(axes, series.shape)
        if named[-len(within) :] != within:
            raise UsageError(f"--axes: a plane of this TIFF is {within} ({axes!r}; the letters must end with that)")
        return named, []
    if len(set(series.axes)) == len(series.axes) and not set(series.axes) & set(GUESSED):
        return series.axes, []
    outside = "QTZ"[-(len(series.shape) - len(within)) :]
    if len(outside) + len(within) != len(series.shape):
        raise UsageError(f"too many axes without names (shape {series.shape}; --axes names them)")
    return outside + within, [remark(outside + within, series.shape)]

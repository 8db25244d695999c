"""Stacks in TIFF files: pages, ImageJ hyperstacks, OME-TIFF and its pyramids, read and replaced plane by plane.

A copy of the file is made and the strips or tiles of each plane are replaced in it, so metadata, page order, other
series and everything else in the file stay bit for bit. Only the current planes are in memory.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index, window_of
from mashpix.errors import FileError, MashpixError
from mashpix.files.atomic import atomic_file
from mashpix.files.image_file import MAX_WHOLE, damaged_error, in_short
from mashpix.files.opened import OpenFile, OpenStack, Put
from mashpix.files.pyramid import factors_of, level_notes, shrink_to
from mashpix.files.tiff.copy import encode_segments
from mashpix.files.tiff.directories import check_chain
from mashpix.files.tiff.image import ALPHA_KINDS, has_colour
from mashpix.files.tiff.nodata import read_nodata
from mashpix.files.tiff.pages import put_page, samples_last, template_of
from mashpix.files.tiff.segments import checksum, encode_bands, read_window, segment_size
from mashpix.files.tiff.series import (
    check_series,
    count_planes,
    is_single,
    largest,
    name_axes,
    open_own_planes,
    open_tifffile,
    shares_pixels,
)
from mashpix.files.tiff.template import find_layout
from mashpix.files.tiff.widened import begin_widened, check_widening, lost_by_widening
from mashpix.files.windows import WindowedPlane, is_window, within


@dataclass(kw_only=True)
class _TiffStack(OpenStack):
    """A stack in a TIFF file: the largest series of planes in it."""

    handle: BinaryIO
    file: Any
    series: Any
    has_alpha: bool
    shares_pixels: bool
    by_windows: ClassVar[bool] = True

    def close(self) -> None:
        self.handle.close()

    def read_plane(self, index: Index) -> NDArray[Any]:
        rows, columns = (index[self.axes.index(letter)] for letter in "YX")
        number = self.number_of(index)
        plane = self._window(number, rows, columns) if is_window(index) else self._whole(number)
        return self._colours(plane) if self.has_alpha else plane

    def _colours(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a view without alpha."""
        return plane[..., :-1] if self.axes.endswith("S") else plane[:-1]

    def _whole(self, number: int) -> NDArray[Any]:
        """Read a plane with its alpha."""
        try:
            plane = self._mapped("r")[number] if self._is_one_page() else self.series.pages[number].asarray()
        except Exception as error:  # decoders raise arbitrary errors on damaged files
            raise damaged_error(f"TIFF, plane {number + 1}", error) from None
        return np.array(plane, self.dtype, order="C")

    def _window(self, number: int, rows: Any, columns: Any) -> NDArray[Any]:
        """Read a window of a plane, with its alpha."""
        if self._is_one_page():
            plane = self._mapped("r")[number]
            window = (slice(None), rows, columns) if self.series.keyframe.axes == "SYX" else (rows, columns)
            return np.array(plane[window], self.dtype, order="C")
        page = self.series.pages[number].aspage()
        height, width = page.imagelength, page.imagewidth
        try:
            part = read_window(page, self.handle, slice(*rows.indices(height)[:2]), slice(*columns.indices(width)[:2]))
        except Exception as error:
            raise damaged_error(f"TIFF, plane {number + 1}", error) from None
        return np.array(part, self.dtype, order="C")

    def _is_one_page(self) -> bool:
        """Return whether one directory represents all planes, uncompressed, one after another."""
        return len(self.series.pages) != count_planes(self.series)

    def _mapped(self, mode: Literal["r", "r+"]) -> NDArray[Any]:
        """Map all planes of the only directory into memory."""
        dtype = self.dtype.newbyteorder(self.file.byteorder)
        shape = (count_planes(self.series), *self.series.keyframe.shape)
        return np.memmap(self.handle, dtype, mode, self.series.dataoffset, shape)

    def _widen(self, dtype: np.dtype[Any]) -> OpenFile:
        check_widening(self.file, self.series, dtype, is_rgb=bool(self.is_rgb))
        return replace(self, dtype=dtype, lost=tuple(lost_by_widening(self.file)))

    def _is_widened(self) -> bool:
        return bool(self.dtype != self.series.dtype.newbyteorder("="))

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        sums: dict[int, int] = {}
        with atomic_file(target, overwrite=overwrite) as file:
            places = begin_widened(file, self.file, self.dtype) if self._is_widened() else []
            if not places:
                self.handle.seek(0)
                shutil.copyfileobj(self.handle, file)

            def put(index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
                number = self.number_of(index)
                if isinstance(plane, WindowedPlane) and self._takes_windows():
                    self._put_windows(file, number, plane)
                    sums[number] = checksum(plane.shape[0], partial(_read_rows, plane))
                    return
                whole = np.ascontiguousarray(plane, self.dtype)
                if self.has_alpha:
                    whole = self._whole(number)
                    self._colours(whole)[...] = plane
                try:
                    if places:
                        file.seek(places[self.series.pages[number].index])
                        file.write(whole.astype(self.dtype.newbyteorder(self.file.byteorder)).tobytes())
                    else:
                        self._put(file, number, whole)
                except (MashpixError, OSError):
                    raise
                except Exception as error:  # a page whose tags differ from the first
                    raise damaged_error(f"TIFF, plane {number + 1}", error) from None
                sums[number] = crc32(whole.data)

            yield put
            file.flush()
            self._check(file, sums)

    @property
    def is_small(self) -> bool:
        """Whether a plane is read at once."""
        page = self.series.keyframe
        return bool(page.imagelength * page.imagewidth <= MAX_WHOLE)

    def _takes_windows(self) -> bool:
        """Return whether planes can be written window by window: rows of strips or tiles hold rows of pixels."""
        page = self.series.keyframe
        return not (self._is_widened() or self.has_alpha or page.planarconfig != 1)

    def _put_windows(self, file: BinaryIO, number: int, plane: WindowedPlane) -> None:
        """Replace a plane of the copy, in all its sizes, window by window."""
        if self._is_one_page():
            file.flush()
            for window, values in plane.windows():
                replace(self, handle=file)._mapped("r+")[number][within(window)] = values
            return
        for level in self.series.levels:
            page = level.pages[number].aspage()
            factors = factors_of(plane.shape, page.shape)
            if factors is not None:
                old = template_of(self.file, page, self.dtype)
                put_page(file, page, old, encode_bands(plane, page, factors, old), overlap=self.shares_pixels)

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
                old = template_of(self.file, page, self.dtype)
                put_page(file, page, old, encode_segments(old, samples_last(page, resized)), overlap=self.shares_pixels)

    def _checksum(self, number: int) -> int:
        """Return the checksum of a plane, of a large one row by row."""
        if self.is_small or not self._takes_windows():
            return crc32(self._whole(number).data)
        return checksum(self.series.keyframe.imagelength, lambda rows: self._window(number, rows, slice(None)))

    def try_writing(self) -> None:
        """Encode the first plane as its page is encoded."""
        if not (self._is_one_page() or self._is_widened()):
            try:
                page = self.series.pages[0].aspage()
                start = slice(0, segment_size(page)[0]), slice(None)
                plane = self._whole(0) if self.is_small else self._window(0, *start)
                encode_segments(template_of(self.file, page, self.dtype), samples_last(page, plane))
            except Exception as error:
                raise FileError(f"planes that cannot be written again ({in_short(error)}; save it anew)") from None

    def _check(self, file: BinaryIO, sums: dict[int, int]) -> None:
        """Read the copy back: it must hold the same series with the planes that were written."""
        file.seek(0)
        try:
            with open_tifffile(file, self.file.filename, is_ome=self.file.is_ome) as copied:
                copy = replace(self, handle=file, file=copied, series=largest(copied.series))
                same = copy.series.shape == self.series.shape
                same = same and all(copy._checksum(number) == total for number, total in sums.items())
        except (MashpixError, OSError):
            raise
        except Exception:  # new pixels that lie over a directory: readers raise arbitrary errors
            same = False
        if not same:
            raise FileError("an unusual TIFF whose planes cannot be replaced (save it as OME-TIFF first)")


def _read_rows(plane: WindowedPlane, rows: slice) -> NDArray[Any]:
    """Read rows of a plane."""
    return plane.read(window_of(plane.index, plane.axes, rows, slice(None)))


def open_tiff(path: Path, *, axes: str | None, max_pixels: int, max_whole: int = MAX_WHOLE) -> _TiffStack | None:
    """Open a TIFF as a stack; None if it holds a single image in one size, of at most `max_whole` pixels."""
    file, stack = path.open("rb"), None
    try:
        stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels, max_whole=max_whole)
    except MashpixError:
        raise
    except Exception as error:  # readers raise arbitrary errors on damaged files
        raise damaged_error("TIFF", error) from None
    finally:
        if stack is None:
            file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int, max_whole: int) -> _TiffStack | None:
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        count = check_chain(data)
    tiff, notes = open_own_planes(file, path.name, count)
    series = largest(tiff.series)
    is_small = series.keyframe.imagelength * series.keyframe.imagewidth <= max_whole
    if is_small and count_planes(series) == 1 and len(series.levels) == 1 and is_single(tiff):
        return None
    check_series(tiff, series, path.stat().st_size, max_pixels=max_pixels)
    page = series.keyframe
    found, axes_notes = name_axes(series, axes)
    if not {*"YX"} <= {*found}:
        raise FileError(f"damaged TIFF (axes {found}; Y and X needed)")
    are_made = [factors_of(page.shape, level.keyframe.shape) is not None for level in series.levels[1:]]
    if len(tiff.series) > 1:
        named = f"number {tiff.series.index(series) + 1} {series.shape}"
        notes.append(f"holds {len(tiff.series)} series: the largest, {named}, is denoised, the rest stays as it was")
    nodata, remarks = read_nodata(page)
    shape = list(series.shape)
    has_alpha = bool(page.extrasamples) and page.extrasamples[-1] in ALPHA_KINDS and "S" in found
    if has_alpha:
        shape[found.index("S")] -= 1
    return _TiffStack(
        path=path,
        axes=found,
        shape=tuple(shape),
        dtype=page.dtype.newbyteorder("="),
        is_rgb=has_colour(page) and dict(zip(found, shape, strict=True)).get("S") == 3,
        notes=(*notes, *axes_notes, *level_notes(are_made), *remarks),
        lost=tuple(find_layout(tiff, page)[1]),
        handle=file,
        file=tiff,
        series=series,
        nodata=nodata,
        has_alpha=has_alpha,
        shares_pixels=shares_pixels(tiff),
    )

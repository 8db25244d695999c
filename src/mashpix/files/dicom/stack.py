"""Images in DICOM files, with pydicom: single and of several frames. All tags are kept, and none is ever printed.

A message never quotes pydicom, whose errors may hold the value of a tag, such as a name.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index, check_axes, count_planes, samples_axis
from mashpix.errors import FileError, MashpixError
from mashpix.extras import need
from mashpix.files.as_tiff import AsTiff
from mashpix.files.atomic import atomic_file
from mashpix.files.dicom.derived import EXPLICIT, IMPLICIT, SIGNATURES, make_derived
from mashpix.files.dicom.pixels import CODECS, FLOATS, NATIVE, Words, decode_frame, find_words
from mashpix.files.image_file import check_size
from mashpix.files.opened import Put
from mashpix.missing import NoData

MAGIC_PLACE, MAGIC = 128, b"DICM"
DEFERRED = 2**16
"""Bytes from which on a value stays in the file until it is used."""
UNDEFINED = 0xFFFFFFFF
"""Length of a value that ends with a delimiter."""
ENDED = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""What ends compressed frames."""
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
BY_CODEC = {"YBR_FULL_422": "jpeg8", "YBR_RCT": "jpeg2k", "YBR_ICT": "jpeg2k"}
"""Colours that only one decoder gives as RGB."""
REFUSED = ("PALETTE COLOR", "HSV", "ARGB", "CMYK", "XYB", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
"""Others that the standard names."""


@dataclass(kw_only=True)
class _DicomStack(AsTiff):
    """The frames of a DICOM file.

    handle : the open file; offset : where its values start
    words : how values are stored; syntax : its transfer syntax; keyword : of the tag that holds the values
    frames : the compressed frames; empty if they are not compressed
    photometric : what a value means: GREY or COLOUR
    """

    handle: BinaryIO
    offset: int
    words: Words
    syntax: str
    keyword: str
    frames: list[bytes]
    photometric: str

    def close(self) -> None:
        self.handle.close()

    def read_plane(self, index: Index) -> NDArray[Any]:
        try:
            plane = self.words.unpack(self._words(index))
            return self._to_rgb(plane) if self.is_ybr else plane
        except MashpixError:
            raise
        except Exception as error:  # decoders raise arbitrary errors on damaged frames
            raise FileError(f"damaged DICOM, frame {self.number_of(index) + 1} ({type(error).__name__})") from None

    @property
    def is_ybr(self) -> bool:
        """Whether planes hold luminance and two colour differences, which the decoder does not convert."""
        return self.photometric == "YBR_FULL" and CODECS.get(self.syntax) != "jpeg8"

    def _to_rgb(self, plane: NDArray[Any]) -> NDArray[Any]:
        from pydicom.pixels.processing import convert_color_space

        axis = samples_axis(self.axes) or 0
        converted = convert_color_space(np.moveaxis(plane, axis, -1), "YBR_FULL", "RGB")
        return np.ascontiguousarray(np.moveaxis(converted, -1, axis))

    def _words(self, index: Index) -> NDArray[Any]:
        """Return the words of one frame."""
        if not self.frames:
            return np.array(np.memmap(self.handle, self.words.word, "r", self.offset, self.shape)[index])
        frame, is_rgb = self.frames[self.number_of(index)], self.photometric == "RGB"
        return decode_frame(frame, self.syntax, self.plane_shape, self.words, is_rgb=is_rgb)

    def try_writing(self) -> None:
        """Write the tags, which may be such that they cannot be written again."""
        self._write(BytesIO(), BytesIO(), [(0, 0)])

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        """Collect the frames beside the target; the tags, which name their hash, are written when all are there."""
        limits: list[tuple[int, int]] = []
        with atomic_file(target, overwrite=overwrite) as file, tempfile.TemporaryFile(dir=target.parent) as pixels:
            size = int(np.prod(self.plane_shape)) * self.words.word.itemsize

            def put(index: Index, plane: NDArray[Any]) -> None:
                before = np.zeros(plane.shape, self.words.word) if self.frames else self._words(index)
                packed = self.words.pack(np.ascontiguousarray(plane), before)
                pixels.seek(self.number_of(index) * size)
                pixels.write(packed.astype(self.words.word).tobytes())
                limits.append((plane.min(), plane.max()))

            yield put
            self._write(file, pixels, limits)

    def _write(self, file: BinaryIO, pixels: Any, limits: list[tuple[int, int]]) -> None:
        """Write the file: its tags, and the frames."""
        try:
            with _quiet():
                self._write_tags(file, pixels, limits)
        except MashpixError:
            raise
        except OSError as error:  # of which pydicom makes others, which say no longer what is wrong
            while isinstance(error.__cause__, OSError):
                error = error.__cause__
            raise error from None
        except Exception as error:  # pydicom reads values that it does not write
            raise FileError(f"damaged DICOM whose tags cannot be written again ({type(error).__name__})") from None

    def _write_tags(self, file: BinaryIO, pixels: Any, limits: list[tuple[int, int]]) -> None:
        from pydicom import dcmwrite

        dataset = _read(self.path)
        pixels.seek(0)
        digest = hashlib.file_digest(pixels, "sha256").hexdigest()
        pixels.write(b"\0" * (pixels.tell() % 2))
        pixels.seek(0)
        lows, highs = zip(*limits, strict=True)
        make_derived(dataset, pixels_sha256=digest, limits=(int(min(lows)), int(max(highs))))
        if self.frames:
            dataset.file_meta.TransferSyntaxUID = EXPLICIT
        if self.photometric in COLOUR:
            dataset.PhotometricInterpretation = "RGB"
        dataset[self.keyword].value = pixels
        dataset[self.keyword].is_undefined_length = False
        dcmwrite(file, dataset)


def open_dicom(path: Path, *, axes: str | None, max_pixels: int) -> _DicomStack:
    """Open the image of a DICOM file; frames of one follow each other along Z, or T if the file says their times."""
    need("pydicom", what="DICOM", extra="dicom")
    file, stack = path.open("rb"), None
    try:
        with _quiet():
            stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels)
    except (MashpixError, OSError):
        raise
    except Exception as error:  # pydicom raises arbitrary errors on damaged files
        raise FileError(f"damaged DICOM ({type(error).__name__})") from None
    finally:
        if stack is None:
            file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int) -> _DicomStack:
    dataset = _read(path)
    keyword = next((name for name in ("PixelData", *FLOATS) if name in dataset), None)
    if keyword is None:
        raise FileError("a DICOM file without an image (a report, a plan or an index of files)")
    syntax, element = dataset.file_meta.TransferSyntaxUID, dataset.get_item(keyword, keep_deferred=True)
    words = find_words(dataset, keyword, NATIVE.get(syntax, "<"))
    found, shape = _name_axes(dataset, axes, is_native=syntax in NATIVE)
    lengths = dict(zip(found, shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    photometric = _check_photometric(dataset, lengths.get("S", 1), CODECS.get(syntax))
    size, lost, frames = path.stat().st_size, [], []
    _check_end(dataset, file, size)
    if syntax in NATIVE:
        needed = int(np.prod(shape, dtype=object)) * words.word.itemsize
        if element.length != needed + needed % 2:
            raise FileError(f"truncated or damaged DICOM ({element.length} bytes of pixels; {needed} needed)")
    else:
        frames = _find_frames(dataset, count_planes(found, shape))
        lost.append(f"{syntax.keyword} is not kept: the image is written uncompressed")
    if photometric in COLOUR and photometric != "RGB":
        lost.append(f"the colours are written as RGB (they are {photometric})")
    if any(tag in dataset for tag in SIGNATURES):
        lost.append("digital signatures are not kept: they are of the old pixels")
    slope = float(dataset.get("RescaleSlope") or 1)
    note = f"measured in the units of its integers (RescaleSlope {slope:g} and RescaleIntercept are kept)"
    return _DicomStack(
        path=path,
        axes=found,
        shape=shape,
        dtype=words.dtype,
        is_rgb=photometric in COLOUR,
        nodata=_find_padding(dataset, words) if photometric in GREY else (),
        notes=(note,) if slope != 1 else (),
        lost=tuple(lost),
        handle=file,
        offset=element.value_tell,
        words=words,
        syntax=syntax,
        keyword=keyword,
        frames=frames,
        photometric=photometric,
        native="white is 0 in this DICOM" if photometric == "MONOCHROME1" else "",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Let pydicom warn of nothing: its warnings may quote a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(path: Path) -> Any:
    """Read all tags; long values stay in the file until they are used."""
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import UID

    with path.open("rb") as file:
        has_preamble = file.read(MAGIC_PLACE + len(MAGIC)).endswith(MAGIC)
    syntax = read_file_meta_info(path).get("TransferSyntaxUID") if has_preamble else None
    if syntax is not None and syntax not in {*NATIVE, *CODECS}:  # a deflated file could be of any size
        name = syntax.keyword or "an unknown transfer syntax"
        raise FileError(f"a DICOM image that cannot be decoded ({name}; convert it to ExplicitVRLittleEndian first)")
    dataset = dcmread(path, defer_size=DEFERRED, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = UID(IMPLICIT if dataset.original_encoding[0] else EXPLICIT)
    return dataset


def _name_axes(dataset: Any, axes: str | None, *, is_native: bool) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape of all frames as they are read: colours last, but where planes of them are stored."""
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.SamplesPerPixel)
    lengths = {"Y": int(dataset.Rows), "X": int(dataset.Columns)}
    if samples > 1:
        is_planar = is_native and dataset.get("PlanarConfiguration") == 1
        lengths = {"S": samples} | lengths if is_planar else lengths | {"S": samples}
    if frames != 1:
        lengths = {"T" if {"FrameTime", "FrameTimeVector"} & set(dataset.dir("Frame")) else "Z": frames} | lengths
    found, shape = "".join(lengths), tuple(lengths.values())
    if min(shape) < 1:
        raise FileError(f"damaged DICOM (shape {shape})")
    return found if axes is None else check_axes(axes, shape), shape


def _check_photometric(dataset: Any, samples: int, codec: str | None) -> str:
    """Return the photometric interpretation; refuse those that are neither grey nor RGB."""
    found = str(dataset.PhotometricInterpretation)
    if found in {1: GREY, 3: COLOUR}.get(samples, ()) and BY_CODEC.get(found, codec) == codec:
        return found
    name = found if found in (*GREY, *COLOUR, *REFUSED) else "an unknown one"  # never what a file may say instead
    raise FileError(f"neither grey nor RGB (photometric interpretation {name}; convert it first)")


def _find_padding(dataset: Any, words: Words) -> tuple[NoData, ...]:
    """Return the value, or range of values, outside of what was imaged (PS3.3, C.7.5.1.1.2)."""
    found = [dataset.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [int(np.int64(end).astype(words.dtype)) for end in found if end is not None]  # some files have a wrong sign
    return ((min(ends), max(ends)),) if found[0] is not None else ()


def _check_end(dataset: Any, file: BinaryIO, size: int) -> None:
    """Refuse a file that does not end with its last tag, which pydicom would read without an error."""
    from pydicom.dataelem import RawDataElement

    last = dataset.get_item(max(dataset.keys()), keep_deferred=True)
    if not isinstance(last, RawDataElement):
        return
    file.seek(max(size - len(ENDED), 0))
    end = last.value_tell + last.length
    if not (end == size or (last.length == UNDEFINED and file.read() == ENDED)):
        raise FileError(f"truncated or damaged DICOM ({size} bytes)")


def _find_frames(dataset: Any, count: int) -> list[bytes]:
    """Return the compressed frames."""
    from pydicom.encaps import generate_frames

    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    if len(frames) != count:
        raise FileError(f"truncated or damaged DICOM ({len(frames)} of {count} frames)")
    return frames

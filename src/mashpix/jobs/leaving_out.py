"""Which pixels of an open file to leave out: those that the options `nodata` and `mask` name, or constant padding."""

from pathlib import Path

import numpy as np

from mashpix import files
from mashpix.axes import WITHIN, samples_axis
from mashpix.errors import FileError, UsageError
from mashpix.files import OpenFile
from mashpix.missing import NoData, parse_nodata

NONE, FILL = "none", "fill"
"""Words that `nodata` takes besides values."""


def check_nodata(text: str | None) -> None:
    """Refuse what is neither a value, a range, nor a word of `nodata`."""
    if text in (None, NONE, FILL):
        return
    try:
        parse_nodata(str(text))
    except ValueError as error:
        raise UsageError(f"`nodata`: neither VALUE, LOW..HIGH, {FILL} nor {NONE} ({text!r}; {error})") from None


def leave_out(
    opened: OpenFile, *, nodata: str | None, mask: Path | None, max_pixels: int, find_padding: bool = True
) -> None:
    """Tell an open file which of its values and pixels hold no data.

    Raises
    ------
    UsageError
        For the fill value of a file that has none.
    FileError
        For a mask that cannot be read, or has another size.
    """
    if find_padding and nodata is None and opened.nodata is None:
        opened.padded = True
        opened.notes += _describe_padding(opened)
    if nodata is not None:
        opened.nodata = () if nodata == NONE else (*(opened.nodata or ()), _range_of(opened, nodata))
    if mask is not None:
        try:
            pixels = files.read_image(mask, max_pixels=max_pixels).pixels
        except FileError as error:
            raise FileError(f"`mask` {str(mask)!r}: {error}") from None
        lengths = dict(zip(opened.axes, opened.shape, strict=True))
        size = lengths["Y"], lengths["X"]
        marked = np.asarray(pixels if pixels.ndim == 2 else pixels.any(axis=2), bool)
        if marked.shape != size:
            raise FileError(f"`mask` {str(mask)!r}: another size ({marked.shape}; {size} needed)")
        axis = samples_axis(opened.axes)
        opened.left_out = marked if axis is None else np.expand_dims(marked, axis)


def _describe_padding(opened: OpenFile) -> tuple[str, ...]:
    """A note on the padding of an image, or of the first plane of a stack; none without any."""
    padding = opened.padding(tuple(slice(None) if letter in WITHIN else 0 for letter in opened.axes))
    if padding is None:
        return ()
    where = "the first plane is" if opened.is_stack else "the image is"
    count = f"{np.count_nonzero(padding)} of {padding.size} pixels"
    return (f"{where} padded with a constant at its border ({count}; `nodata` {NONE} takes padding for data)",)


def _range_of(opened: OpenFile, text: str) -> NoData:
    if text != FILL:
        return parse_nodata(text)
    if opened.fill_value is None:
        raise UsageError(f"`nodata`: {FILL} is for OME-Zarr ({opened.path.name!r} has no fill value; name a value)")
    return opened.fill_value, opened.fill_value

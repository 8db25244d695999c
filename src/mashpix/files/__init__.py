"""File formats: one reader and one writer per format, and one atomic write for all."""

from mashpix.files.atomic import atomic_write
from mashpix.files.folder import is_zarr
from mashpix.files.hashing import hash_file
from mashpix.files.image_file import FORMATS, MAX_PIXELS, MAX_WHOLE, ImageFile
from mashpix.files.map_stack import map_stack
from mashpix.files.opened import Copy, OpenFile, Put
from mashpix.files.opening import open_file
from mashpix.files.outputs import check_output
from mashpix.files.single_image import check_writable, encode_map, read_image, write_image
from mashpix.files.suffixes import check_same_format

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "MAX_WHOLE",
    "Copy",
    "ImageFile",
    "OpenFile",
    "Put",
    "atomic_write",
    "check_output",
    "check_same_format",
    "check_writable",
    "encode_map",
    "hash_file",
    "is_zarr",
    "map_stack",
    "open_file",
    "read_image",
    "write_image",
]

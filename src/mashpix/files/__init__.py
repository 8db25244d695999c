"""Files in and out: a reader and a writer a format, one atomic write for all."""

from mashpix.files.atomic import atomic_write, check_output
from mashpix.files.formats import check_writable, encode_map, read_image, write_image
from mashpix.files.image_file import MAX_PIXELS, ImageFile

__all__ = [
    "MAX_PIXELS",
    "ImageFile",
    "atomic_write",
    "check_output",
    "check_writable",
    "encode_map",
    "read_image",
    "write_image",
]

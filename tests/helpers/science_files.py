"""FITS, DICOM and MRC as instruments write them, in bytes, by the libraries of these formats."""

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import mrcfile
import numpy as np
from astropy.io import fits
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

PERSON = ("Doe^Jane", "SECRET-17", "19700213")
"""Name, number and birthday of a patient: nobody may read them but in the file itself."""
CT = "1.2.840.10008.5.1.4.1.1.2"


def build_fits(
    array: Any, *, compression: str = "", checksum: bool = True, others: bool = False, **cards: Any
) -> bytes:
    """An image, as the only one or after a small one and before a table of its quality."""
    if compression:
        part: Any = fits.CompImageHDU(array, compression_type=compression, quantize_level=0, name="SCI")
    else:
        part = fits.ImageHDU(array, name="SCI") if others else fits.PrimaryHDU(array)
    part.header.update(cards)
    parts = [part]
    if others or compression:
        parts = [
            fits.PrimaryHDU(array[..., :5, :5] if others else None),
            part,
            fits.ImageHDU(array[..., ::2], name="DQ"),
        ]
    file = io.BytesIO()
    fits.HDUList(parts).writeto(file, checksum=checksum)
    return file.getvalue()


def build_mrc(array: Any, *, is_volume: bool = False, extended: bytes = b"", **options: Any) -> bytes:
    """A micrograph, a stack or a volume, 1.3 angstroms a voxel."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder, "a.mrc")
        with mrcfile.new(path, **options) as file:
            file.set_data(np.ascontiguousarray(array))
            if array.ndim == 3:
                (file.set_volume if is_volume else file.set_image_stack)()
            if extended:
                file.set_extended_header(np.frombuffer(extended, f"V{len(extended)}"))
            file.voxel_size = 1.3
        return path.read_bytes()


def build_dicom(
    array: Any,
    *,
    bits: int = 0,
    photometric: str = "MONOCHROME2",
    syntax: str = uid.ExplicitVRLittleEndian,
    encode: str = "",
    **tags: Any,
) -> bytes:
    """An image (Y, X), (N, Y, X) or in colour (Y, X, S) of a person; `encode` names a codec of imagecodecs."""
    dataset, is_colour = Dataset(), not photometric.startswith("MONO")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CT
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PERSON
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    if array.ndim == 3 and not is_colour:
        dataset.NumberOfFrames = len(array)
    frames = array[None] if array.ndim == 2 or is_colour else array
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3 if is_colour else 1, photometric
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * array.itemsize
    dataset.BitsStored = bits or 8 * array.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(array.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.add_new(0x00091010, "LO", "private")
    for name, value in tags.items():
        setattr(dataset, name, value)
    if encode:
        options: dict[str, Any] = {"codecformat": "j2k", "reversible": True, "level": 0} if encode == "jpeg2k" else {}
        codec = getattr(imagecodecs, f"{encode}_encode")
        dataset.PixelData = encapsulate([bytes(codec(frame, **options)) for frame in frames])
    else:
        data = array.astype(array.dtype.newbyteorder(">" if syntax == uid.ExplicitVRBigEndian else "<")).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if array.itemsize > 1 else "OB"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def science_seeds(stack: Any) -> dict[str, bytes]:
    """Small files of every layout, of a stack (N, Y, X) of 16 bits below 4096, by ending and kind."""
    colours, signed = (stack[..., None] >> (0, 2, 4)).astype(np.uint8)[0], stack.astype(np.int16) - 2048
    return {
        "fits, int16": build_fits(signed), "fits, uint16, several parts": build_fits(stack, others=True),
        "fits, float32": build_fits(signed.astype(np.float32)), "fits, RICE": build_fits(stack, compression="RICE_1"),
        "fits, GZIP": build_fits(signed.astype(np.float32), compression="GZIP_2"),
        "mrc, int16": build_mrc(signed[0]), "mrc, float32": build_mrc(signed.astype(np.float32), is_volume=True),
        "mrc, extended": build_mrc(stack, extended=b"cells" * 8),
        "dcm, int16": build_dicom(signed), "dcm, 12 bits": build_dicom(stack[0], bits=12),
        "dcm, RGB": build_dicom(colours, photometric="RGB"),
        "dcm, implicit": build_dicom(stack, syntax=uid.ImplicitVRLittleEndian, PixelPaddingValue=0),
        "dcm, JPEG-LS": build_dicom(stack, syntax=uid.JPEGLSLossless, encode="jpegls"),
        "dcm, JPEG 2000": build_dicom(stack, syntax=uid.JPEG2000Lossless, encode="jpeg2k"),
        "dcm, lossless JPEG": build_dicom(stack, syntax=uid.JPEGLosslessSV1, encode="ljpeg"),
        "dcm, JPEG": build_dicom(colours, syntax=uid.JPEGBaseline8Bit, encode="jpeg8", photometric="YBR_FULL_422"),
    }  # fmt: skip

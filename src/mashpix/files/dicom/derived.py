"""What the standard asks of a DICOM image that is derived from another one (PS3.3, C.7.6.1 and C.7.6.1.1.3)."""

import uuid
from typing import Any

from mashpix.files.hashing import sha256

DESCRIPTION = "denoised by mashpix"
SMOOTHING = ("113087", "DCM", "Smoothing")
SOURCE = ("121322", "DCM", "Source image for image processing operation")
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
"""Uncompressed transfer syntaxes: the default, and that of images that were compressed."""
SIGNATURES = (0x4FFE0001, 0xFFFAFFFA)
"""Signatures, which the new pixels make invalid."""
OFFSETS = (0x7FE00001, 0x7FE00002)
"""Places of compressed frames."""


def make_derived(dataset: Any, *, pixels_sha256: str, limits: tuple[int, int] | None) -> None:
    """Say in a dataset that its pixels, of this hash and with these limits, are derived from what it was.

    New identifiers follow from the old ones and the pixels, so that the same result has the same bytes.
    """
    kind, before = dataset.get("SOPClassUID"), dataset.get("SOPInstanceUID")
    if kind and before:
        source = _item(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=before)
        source.PurposeOfReferenceCodeSequence = [_code(SOURCE)]
        dataset.SourceImageSequence = [*dataset.get("SourceImageSequence", ()), source]
    dataset.SOPInstanceUID = _make_uid(before or "", pixels_sha256)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if "SeriesInstanceUID" in dataset:
        dataset.SeriesInstanceUID = _make_uid(dataset.SeriesInstanceUID, DESCRIPTION)
    dataset.ImageType = ["DERIVED", *(list(dataset.get("ImageType") or ["", "PRIMARY"])[1:] or ["PRIMARY"])]
    described = filter(None, (dataset.get("DerivationDescription"), DESCRIPTION))
    dataset.DerivationDescription = "; ".join(described)[-1024:]
    dataset.DerivationCodeSequence = [*dataset.get("DerivationCodeSequence", ()), _code(SMOOTHING)]
    for keyword, value in zip(("SmallestImagePixelValue", "LargestImagePixelValue"), limits or (), strict=False):
        if keyword in dataset:
            dataset[keyword].value = value
    for tag in (*SIGNATURES, *OFFSETS):
        if tag in dataset:
            del dataset[tag]


def _make_uid(*parts: str) -> str:
    """Return a UID that is a UUID (PS3.5, B.2), made from texts."""
    digest = bytearray.fromhex(sha256("\n".join(parts).encode())[:32])
    return f"2.25.{uuid.UUID(bytes=bytes(digest), version=5).int}"


def _code(code: tuple[str, str, str]) -> Any:
    value, scheme, meaning = code
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _item(**elements: Any) -> Any:
    """Return a dataset with these elements."""
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item

"""Files of cameras and microscopes made of known pictures: DNG and LIF by hand, CZI by Zeiss's own library."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from file_kinds import UNUSED, XMP, with_exif

SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
"""Linear sRGB to XYZ, both for D65 (IEC 61966-2-1)."""
XYZ_TO_CAMERA = np.array([[0.9, -0.25, -0.1], [-0.45, 1.3, 0.15], [-0.1, 0.25, 0.6]])
"""The colour matrix of the camera, about what DNG files of real ones have."""
NEUTRAL = np.array([0.5, 1.0, 0.625])
"""What the camera sees of grey under the light of the day."""
BLACK = 512
CFA, LINEAR_RAW, UNKNOWN, LONG, SHORT, ASCII, RATIONAL, SRATIONAL, BYTE = 32803, 34892, 7, 4, 3, 2, 5, 10, 1


def scene(height: int = 96, width: int = 128) -> np.ndarray:
    """A smooth picture in linear sRGB (H, W, 3), 0.05 to 0.6."""
    rows, columns = np.mgrid[:height, :width]
    channels = [columns / width, rows / height, 0.5 + 0.4 * np.sin(columns / 20) * np.cos(rows / 15)]
    return np.stack(channels, axis=-1) * 0.55 + 0.05


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """The tone curve of sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def expose(picture: np.ndarray, *, bits: int, electrons: float | None, seed: int = 0) -> np.ndarray:
    """Sensor values (H, W) of a picture in linear sRGB behind an RGGB filter; Poisson noise if electrons are given."""
    matrix = XYZ_TO_CAMERA @ SRGB_TO_XYZ
    seen = picture @ (matrix / matrix.sum(axis=1, keepdims=True)).T * NEUTRAL
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    if electrons is not None:
        mosaic = np.random.default_rng(seed).poisson(mosaic * electrons) / electrons
    white, black = 2**bits - 1, BLACK >> (16 - bits)
    return np.clip(np.rint(mosaic * (white - black) + black), 0, white).astype(np.uint16)


def build_dng(
    sensor: np.ndarray,
    *,
    bits: int = 16,
    orientation: int = 1,
    balance: bool = True,
    notes: bool = False,
    grey: bool = False,
) -> bytes:
    """A DNG 1.4 of sensor values, uncompressed: 16 bits, or 12 packed as TIFF packs them."""
    neutral, matrix = ([(int(10000 * value), 10000) for value in np.ravel(array)] for array in (NEUTRAL, XYZ_TO_CAMERA))
    texts = {50708: "Acme One", 271: "Acme", 272: "One", 306: "2026:01:02 03:04:05", 315: "A. Person"}
    numbers = {274: orientation, 50714: BLACK >> (16 - bits), 50717: 2**bits - 1}
    tags = [(50706, BYTE, 4, bytes([1, 4, 0, 0]), True), (UNUSED, LONG, 1, 0, True)]
    tags += [(code, ASCII, None, text, True) for code, text in texts.items()]
    tags += [(code, SHORT, 1, number, True) for code, number in numbers.items()]
    if not grey:
        tags += [
            (33421, SHORT, 2, (2, 2), True),
            (33422, BYTE, 4, bytes([0, 1, 1, 2]), True),
            (50778, SHORT, 1, 21, True),
        ]
        tags.append((50721, SRATIONAL, 9, [number for pair in matrix for number in pair], True))
    if balance and not grey:
        tags.append((50728, RATIONAL, 3, [number for pair in neutral for number in pair], True))
    if notes:
        tags.append((700, BYTE, len(XMP), XMP, True))
    stored = sensor
    if bits == 12:
        packed = imagecodecs.packints_encode(sensor, 12, runlen=sensor.shape[1])
        stored = np.frombuffer(packed, np.uint8).reshape(len(sensor), -1)
    file = io.BytesIO()
    tifffile.imwrite(
        file, stored, photometric="minisblack", extratags=tags, metadata=None, software=False, byteorder="<"
    )
    data = bytearray(with_exif(file.getvalue()))
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        places = {code: opened.pages.first.tags[code].valueoffset for code in (256, 258, 262)}
    for code, layout, value in (
        (256, "<I", sensor.shape[1]),
        (258, "<H", bits),
        (262, "<H", LINEAR_RAW if grey else CFA),
    ):
        struct.pack_into(layout, data, places[code], value)
    return bytes(data)


def write_czi(path: Path, scenes: list[np.ndarray], *, axes: str = "TCZYX", tiles: int = 1, named: bool = True) -> None:
    """A CZI of stacks, one a scene, each plane in so many tiles side by side; blue first, as CZI has it."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True) as file:
        for number, stack in enumerate(scenes):
            outside = stack.shape[: axes.index("Y")]
            for index in np.ndindex(*outside):
                for part, tile in enumerate(np.split(stack[index], tiles, axis=1)):
                    place = part * tile.shape[1] + number * 4000, 0
                    plane = dict(zip(axes, map(int, index), strict=False))
                    data = np.ascontiguousarray(tile[..., ::-1] if tile.ndim == 3 else tile)
                    file.write(data=data, plane=plane, location=place, scene=number)
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("cells", channel_names=names, scale_x=1e-7, scale_y=1e-7, scale_z=5e-7)
    if len(scenes) > 1 and named:
        _name_scenes(path, [f"well {number}" for number in range(len(scenes))])


def _name_scenes(path: Path, names: list[str]) -> None:
    """A second segment of metadata at the end of a CZI, with scenes in its XML, and the header pointing to it."""
    data = path.read_bytes()
    (place,) = struct.unpack_from("<q", data, 32 + 60)
    (length,) = struct.unpack_from("<i", data, place + 32)
    xml = data[place + 32 + 256 : place + 32 + 256 + length].decode()
    scenes = "".join(f'<Scene Index="{index}" Name="{name}"/>' for index, name in enumerate(names))
    named = f"<Dimensions><S><Scenes>{scenes}</Scenes></S>"
    assert "<Dimensions>" in xml
    body = xml.replace("<Dimensions>", named, 1).encode()
    body = struct.pack("<ii", len(body), 0).ljust(256, b"\0") + body
    padded = body + b"\0" * (-len(body) % 32)
    data += b"\0" * (-len(data) % 32)
    segment = b"ZISRAWMETADATA".ljust(16, b"\0") + struct.pack("<qq", len(padded), len(body)) + padded
    path.write_bytes(data[: 32 + 60] + struct.pack("<q", len(data)) + data[32 + 68 :] + segment)


def build_lif(pictures: dict[str, np.ndarray], *, axes: dict[int, int] | None = None) -> bytes:
    """A LIF, version 2, of pictures (T, C, Z, Y, X) uint16 by name, as Leica's format is described.

    Axes are X, Y, Z, T as 1 to 4; `axes` gives some of them another meaning, such as 5 for wavelengths.
    """
    elements, blocks = "", b""
    for number, (name, stack) in enumerate(pictures.items()):
        plane = stack.shape[3] * stack.shape[4] * 2
        channels = "".join(
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="65535" Unit="" LUTName="{lut}" IsLUTInverted="0" BitInc="0" '
            f'BytesInc="{index * plane * stack.shape[2]}"/>'
            for index, lut in enumerate(["Green", "Red"][: stack.shape[1]])
        )
        steps = {1: (stack.shape[4], 2), 2: (stack.shape[3], stack.shape[4] * 2), 3: (stack.shape[2], plane)}
        steps[4] = stack.shape[0], plane * stack.shape[2] * stack.shape[1]
        dimensions = "".join(
            f'<DimensionDescription DimID="{(axes or {}).get(axis, axis)}" NumberOfElements="{count}" Origin="0" '
            f'Length="{(count - 1) * 2e-7}" '
            f'Unit="{"s" if axis == 4 else "m"}" BitInc="0" BytesInc="{step}"/>'
            for axis, (count, step) in steps.items()
            if count > 1
        )
        elements += (
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>'
            f'{dimensions}</Dimensions></ImageDescription></Image></Data><Memory Size="{stack.nbytes}" '
            f'MemoryBlockID="M{number}"/></Element>'
        )
        label = f"M{number}".encode("utf-16-le")
        head = struct.pack("<BQBI", 0x2A, stack.nbytes, 0x2A, len(label) // 2) + label
        blocks += struct.pack("<II", 0x70, len(head)) + head + stack.astype("<u2").tobytes()
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="experiment"><Children>{elements}</Children></Element>'
        "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    return struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml + blocks

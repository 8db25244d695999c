"""Small files of each kind cut at every byte: each cut is refused."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from bad_files import GREY, RGB, saved
from faults.attempts import Attempt
from faults.door import read_pixels
from faults.many import try_many
from file_kinds import Extras, build_heic, build_jpeg, build_jxl, build_pnm
from mashpix.errors import FileError
from science_files import build_dicom, build_fits, build_mrc

STEP = 7
"""A quick run cuts at every n-th byte."""


def make_files() -> dict[str, bytes]:
    """A few hundred bytes each."""
    grey = GREY[:8, :9]
    files = {kind: saved(grey, kind) for kind in ("png", "jpeg", "npy", "npz")}
    files["webp"] = saved(RGB[:8, :9], "webp", lossless=True)
    files["tiff"] = saved(np.stack([grey, grey[::-1]]), "tiff", photometric="minisblack")
    frames = [Image.fromarray(RGB[top : top + 8, :9]) for top in (0, 3)]
    animated = {"save_all": True, "append_images": frames[1:]}
    files |= {f"animated.{kind}": saved(frames[0], kind, **animated) for kind in ("png", "gif", "webp")}
    files |= {"gif": saved(grey, "gif"), "bmp": saved(grey, "bmp"), "pgm": saved(grey, "ppm")}
    files |= {"jxl": imagecodecs.jpegxl_encode(grey, lossless=True), "avif": imagecodecs.avif_encode(RGB[:8, :9])}
    plain = Extras(exif=False, orientation=None, text=False)  # a container cut before these is a whole image
    files |= {"heic": build_heic(RGB), "container.jxl": build_jxl(grey, plain)}
    files |= {"ppm": saved(RGB[:8, :9], "ppm"), "pfm": build_pnm(grey.astype(np.float32), Extras())}
    files["cmyk.jpeg"] = build_jpeg(np.dstack([grey] * 4), Extras(icc=False))
    return files | {"fits": build_fits(grey), "dcm": build_dicom(grey), "mrc": build_mrc(grey)}


def cut_files(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt for each length of each file."""
    cuts = [(kind, data, length) for kind, data in make_files().items() for length in range(len(data))]
    with tempfile.TemporaryDirectory() as folder:

        def work(number: int) -> tuple[str, str]:
            kind, data, length = cuts[number]
            path, whole = Path(folder, f"a.{kind}"), Path(folder, f"whole.{kind}")
            path.write_bytes(data[:length])
            whole.write_bytes(data)
            try:
                found = read_pixels(path)[0]
            except FileError as error:
                return "refused", str(error)
            if found.tobytes() != read_pixels(whole)[0].tobytes():
                return "lost", "other pixels, without a word"
            return "wrong", "read as if it were whole"

        for number, outcome, detail in try_many(range(0, len(cuts), STEP if quick else 1), work, seconds=5.0):
            kind, data, length = cuts[number]
            yield Attempt(f"{kind}, {length} of {len(data)} bytes", outcome, detail)

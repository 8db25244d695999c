"""Measure the tone correction: PSNR of finished results without and with it, image by image.

python benchmarks/tone_bias.py ../shared/data --preset default --cache /tmp/verdicts
Uses results that benchmarks/verdicts.py left in the cache with tone_correction off; writes benchmarks/tone_bias.csv.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

import mashpix
from _common import Result, tabulate
from mashpix.arrays.normalization import normalize, to_array, to_picture
from mashpix.arrays.tones import without_tone_bias

COLUMNS = ("preset", "set", "image", "noisy_db", "without_db", "with_db", "change_levels")


def rows_of(results: Iterable[Result]) -> Iterator[list[object]]:
    """Make one row for each image; grey ones are left out."""
    for index, (clean, noisy, stored) in enumerate(results):
        if clean.ndim == 2:
            continue
        scale = normalize(noisy, channel_axis=-1, data_range=None, scale="percentiles", is_rgb=True)
        finished = replace(scale, array=np.moveaxis(stored["denoised"], -1, 0))
        pixels = to_picture(finished, multiple=1, device=torch.device("cpu")).pixels
        corrected, change = without_tone_bias(pixels, scale)
        images = noisy, stored["denoised"], to_array(corrected, scale)
        psnrs = (round(mashpix.psnr(clean, image, data_range=255), 3) for image in images)
        yield [index, *psnrs, round(change or 0, 3)]


if __name__ == "__main__":
    tabulate(__file__, __doc__, COLUMNS, rows_of)

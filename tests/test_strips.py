"""Laws of refining on CPUs: compiled strips give what the tiles of GPUs give, in any number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mashpix import PRESETS
from mashpix.refine import blending, block_matching, gaussian_patches, shrinking, strips
from mashpix.refine.block_matching import grouping, white_grouping
from mashpix.refine.passes import by_tiles
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED
from mashpix.refine.variance_model import VarianceModel
from mashpix.steps import drain

SETTINGS = PRESETS["default"]
LEVEL = 0.05


def pictures(channels, *, height=64, width=96):
    """A noisy image of stripes and an edge, a pilot and a prediction of it."""
    generator = torch.Generator().manual_seed(channels)
    rows, columns = torch.meshgrid(torch.arange(height) / 40, torch.arange(width) / 40, indexing="ij")
    clean = torch.stack([0.5 + 0.3 * torch.sin(20 * rows + channel) + (columns > 1.2) for channel in range(channels)])
    noise, wrong = (torch.randn(clean.shape, generator=generator) for _ in range(2))
    return clean + LEVEL * noise, clean + 0.2 * LEVEL * wrong, clean + 0.3 * LEVEL * wrong.roll(1, dims=2)


def noise_of(side, channels):
    """A spectrum that falls with the frequency, of noise that follows the brightness."""
    psd = LEVEL**2 * torch.linspace(1.5, 0.5, side * side).expand(channels, -1).contiguous()
    return NoiseModel(psd, VarianceModel(0.4, 0.8, 0.3, 2.0), channels == 3)


def tiled(function, *images, context=2 * shrinking.SIDE, tile_size=512):
    settings = SETTINGS.replace(tile_size=tile_size)
    return drain(by_tiles(function, *images, stage="", settings=settings, context=context))


def assert_alike(strip, tile):
    """Within rounding: a thousandth of the noise in 99 of 100 pixels, a hundredth in all.

    In groups, a last bit decides which of two blocks is closer.
    """
    difference = (strip - tile).abs() / LEVEL
    assert difference.quantile(0.99) < 1e-3
    assert difference.max() < 1e-2


def filters(channels, noisy, pilot, predicted):
    """What strips and tiles both do, by name: the strips, the function of tiles, its images, and how far it reaches."""
    wide, narrow = noise_of(shrinking.SIDE, channels), noise_of(block_matching.SIDE, channels)
    far, how = 2 * shrinking.SIDE, {"noise": wide, "keep_means": channels != 3}
    return {
        "shrink": (
            strips.shrink(noisy, noise=wide, threshold=2.7, stage=""),
            lambda image: shrinking.shrink(image, noise=wide, threshold=2.7),
            (noisy,),
            far,
        ),
        "restore": (
            strips.restore(noisy, predicted, pilot, **how, stage=""),
            lambda *images: blending.restore(*images, **how),
            (noisy, predicted, pilot),
            far,
        ),
        "groups": (
            strips.collaborative_filter(noisy, pilot, noise=narrow, by=grouping(), stage=""),
            lambda *images: block_matching.collaborative_filter(*images, noise=narrow, by=grouping()),
            (noisy, pilot),
            block_matching.context(TUNED),
        ),
        "threshold": (
            strips.collaborative_filter(noisy, noisy, noise=narrow, by=white_grouping(), stage=""),
            lambda *images: block_matching.collaborative_filter(*images, noise=narrow, by=white_grouping()),
            (noisy, noisy),
            block_matching.context(TUNED),
        ),
        "patches": (
            strips.filter_patches(noisy, pilot, noise=narrow, stage=""),
            lambda *images: gaussian_patches.filter_patches(*images, noise=narrow),
            (noisy, pilot),
            block_matching.context(TUNED),
        ),
    }


FILTERS = ["shrink", "restore", "groups", "threshold", "patches"]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", FILTERS)
def test_strips_give_what_tiles_give(name, channels):
    by_strips, function, images, _ = filters(channels, *pictures(channels))[name]
    assert_alike(drain(by_strips), function(*images))


@pytest.mark.parametrize("name", FILTERS)
def test_tiles_of_a_gpu_side_by_side_are_the_whole(name):
    _, function, images, context = filters(3, *pictures(3, height=96, width=128))[name]
    small = tiled(function, *images, context=context, tile_size=64)
    assert_alike(small, function(*images))


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "threshold"])
def test_a_photo_with_a_hole_is_the_same(name, shared_data):
    """Refining fills a hole with the prediction, which is smooth: many blocks there are equal.

    Which of them form a group is decided by last bits, and a hard threshold makes more of that than a Wiener filter.
    """
    photo = np.asarray(Image.open(shared_data / "cc15" / "noisy" / "d600_iso3200_2.png"))[200:296, 200:328] / 255
    noisy = torch.from_numpy(photo).float().permute(2, 0, 1).contiguous()
    predicted, pilot = (F.avg_pool2d(noisy, side, stride=1, padding=side // 2) for side in (5, 3))
    noisy[:, 30:50, 60:90] = predicted[:, 30:50, 60:90]
    by_strips, function, images, _ = filters(3, noisy, pilot, predicted)[name]
    assert_alike(drain(by_strips), function(*images))


@pytest.mark.parametrize("name", ["restore", "groups"])
def test_in_place_gives_the_same_bytes(name):
    noisy, predicted, pilot = pictures(3, height=256)
    wide, narrow = noise_of(shrinking.SIDE, 3), noise_of(block_matching.SIDE, 3)
    if name == "restore":
        how, replaced = {"noise": wide, "keep_means": False, "stage": ""}, noisy
        new = drain(strips.restore(noisy, predicted, pilot, **how))
        result = drain(strips.restore(noisy, predicted, pilot, **how, in_place=True))
    else:
        how, replaced = {"noise": narrow, "by": grouping(), "stage": ""}, pilot
        new = drain(strips.collaborative_filter(noisy, pilot, **how))
        result = drain(strips.collaborative_filter(noisy, pilot, **how, in_place=True))
    assert torch.equal(result, new)
    assert result.data_ptr() == replaced.data_ptr()


def test_the_bytes_do_not_depend_on_the_number_of_threads():
    noisy, noise = pictures(3, height=256)[0], noise_of(shrinking.SIDE, 3)
    results, before = [], torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(drain(strips.shrink(noisy, noise=noise, threshold=2.7, stage="")))
    torch.set_num_threads(before)
    assert torch.equal(*results)


REFINE_ONE = """
import hashlib
import os
import subprocess
import sys

import numpy as np
from mashpix import denoise, preset
image = np.random.default_rng(0).normal(100, 10, (64, 64, 3)).astype(np.float32)
settings = preset("fast").replace(steps=2, masks=2)
print(hashlib.sha256(denoise(image, settings=settings, channel_axis=-1, channels="rgb").tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_whether_the_kernels_are_compiled_or_loaded(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_CACHE_DIR": str(tmp_path)}
    hashes = [
        subprocess.run([sys.executable, "-c", REFINE_ONE], env=environment, capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert any(tmp_path.rglob("*.nbc")), "the kernels were kept"
    assert hashes[0] == hashes[1] != b""

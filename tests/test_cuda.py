"""Laws of a run on a CUDA device, where there is one: it repeats its bytes and is as good as on a CPU."""

import numpy as np
import pytest
import torch

import mashpix
from mashpix.simulation import correlated_noise

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture(scope="module")
def pictures():
    rows, columns = np.mgrid[:128, :128]
    clean = np.stack([128 + 60 * np.sin(rows / 9 + shift) * np.cos(columns / 11) for shift in range(3)], axis=-1)
    noisy = clean + correlated_noise(clean.shape, sigma=20, beta=0.5, rng=np.random.default_rng(0))
    return clean, noisy.clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("preset", ["default", "fast", "scripts"])
def test_the_same_seed_gives_the_same_bytes(pictures, preset):
    settings = mashpix.preset(preset)
    settings = settings.replace(steps=min(settings.steps, 80), probe_steps=20)
    first, second = (mashpix.denoise(pictures[1], channel_axis=-1, settings=settings, device="cuda") for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_result_is_as_good_as_on_a_cpu(pictures):
    clean, noisy = pictures
    on_gpu, on_cpu = (
        mashpix.psnr(clean, mashpix.denoise(noisy, channel_axis=-1, device=device), data_range=255)
        for device in ("cuda", "cpu")
    )
    assert on_gpu > mashpix.psnr(clean, noisy, data_range=255) + 8
    assert on_gpu == pytest.approx(on_cpu, abs=0.5)


def test_a_picture_of_many_tiles_runs(pictures):
    noisy = np.tile(pictures[1], (7, 5, 1))
    settings = mashpix.preset("fast").replace(steps=10)
    denoised = mashpix.denoise(noisy, channel_axis=-1, settings=settings, device="cuda")
    assert denoised.shape == noisy.shape
    assert denoised.dtype == noisy.dtype

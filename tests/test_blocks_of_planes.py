"""Laws of large planes: the same bytes whatever the blocks, no seam between them, one network for all."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mashpix import PRESETS, InputError, UsageError, denoise_stack, denoise_stack_steps
from mashpix.arrays import blocks, costs
from mashpix.arrays.planes import StackJob
from mashpix.axes import plane_groups
from mashpix.method.masking import draw_window

TINY = replace(PRESETS["default"], steps=4, masks=2, channels=4, depth=2, masking_ratio=0.2, refine=False)
REFINED = replace(TINY, refine=True)
NOISE = 8.0


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    monkeypatch.setattr(blocks, "CELL", 64)
    monkeypatch.setattr(blocks, "WINDOW", 64)


def picture(rng, height=200, width=150):
    """Discs of several brightnesses on a slope, with noise."""
    rows, columns = np.mgrid[:height, :width]
    scene = 60 + rows / 4 + 40 * (np.sin(rows / 9) * np.cos(columns / 11) > 0.3)
    return (scene + rng.normal(0, NOISE, scene.shape)).astype(np.float32)


def job_of(plane, **options):
    return StackJob(plane, "YX", None, TINY, 0, torch.device("cpu"), **options)


def test_the_bytes_do_not_depend_on_the_by_blocks(rng):
    noisy = picture(rng, 150, 100)
    first, *others = (denoise_stack(noisy, axes="YX", settings=TINY, by_blocks=side) for side in (1, 100, 999))
    assert (first != noisy).mean() > 0.99
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_cells_give_what_one_cell_gives(monkeypatch, rng):
    noisy = picture(rng, 416, 64)
    cut = denoise_stack(noisy, axes="YX", settings=REFINED, by_blocks=64)
    monkeypatch.setattr(blocks, "CELL", 512)
    whole = denoise_stack(noisy, axes="YX", settings=REFINED, by_blocks=64)
    difference = np.abs(cut - whole) / NOISE
    assert np.quantile(difference, 0.99) < 1e-3  # in groups, a last bit decides which of two blocks is closer
    assert difference.max() < 5e-2
    assert np.abs(whole - noisy).mean() > NOISE / 2


def test_there_is_no_seam(rng):
    noisy = (100 + np.arange(512)[:, None] / 9 + rng.normal(0, NOISE, (512, 128))).astype(np.float32)
    removed = noisy - denoise_stack(noisy, axes="YX", settings=TINY, by_blocks=64)
    steps = np.abs(np.diff(removed, axis=0)).mean(axis=1)
    across = steps[63::64]
    assert abs(across.mean() - steps.mean()) < 4 * steps.std() / np.sqrt(len(across))


@pytest.mark.parametrize("empty", [0.0, np.nan])
def test_an_empty_block_stays_as_it_is(empty, rng):
    noisy = picture(rng, 140, 150)
    noisy[64:128, 64:128] = empty
    steps = [step for step in denoise_stack_steps(noisy, axes="YX", settings=TINY, by_blocks=64) if step.report]
    assert [step.report.constant for step in steps[:-1]] == [number == 4 for number in range(9)]
    np.testing.assert_array_equal(steps[4].denoised, noisy[64:128, 64:128])
    assert (steps[0].denoised != noisy[:64, :64]).any()


def test_a_blank_plane_and_a_speck_in_it(rng):
    blank = np.zeros((128, 128), np.uint8)
    np.testing.assert_array_equal(denoise_stack(blank, axes="YX", settings=TINY, by_blocks=64), blank)
    blank[70:110, 70:110] = rng.integers(1, 200, (40, 40))
    assert (denoise_stack(blank, axes="YX", settings=TINY, by_blocks=64) != blank).any()


def test_windows_cover_the_brightness_and_the_structure(rng):
    plane = rng.normal(10, 1, (640, 640)).astype(np.float32)
    plane[:64, :64] += 500  # bright
    plane[320:448, 320:448] += 50 * (np.mgrid[:128, :128].sum(axis=0) // 16 % 2)  # rich
    plane[512:] = 0  # blank
    job = job_of(plane)
    chosen = [
        job.read(window)[0] for window in blocks.choose_windows(job, plane_groups("YX", (640, 640), joint=False)[0])
    ]
    assert max(window.mean() for window in chosen) > 100
    assert max(np.std(window) for window in chosen if window.mean() < 60) > 20
    assert min(window.mean() for window in chosen) > 0
    assert len(chosen) <= blocks.MAX_FITTED_PIXELS // 64**2


def test_planes_of_a_stack_share_the_network_of_their_channel(rng):
    noisy = np.stack([picture(rng, 80, 70), 3 * picture(rng, 80, 70)])
    both = denoise_stack(noisy, axes="CYX", settings=TINY, by_blocks=64)
    for plane, denoised in zip(noisy, both, strict=True):
        np.testing.assert_array_equal(denoised, denoise_stack(plane, axes="YX", settings=TINY, by_blocks=64))


def test_colours_are_denoised_together(rng):
    noisy = np.stack([picture(rng, 80, 70)] * 3, axis=-1) + rng.normal(0, NOISE, (80, 70, 3)).astype(np.float32)
    *_, last = denoise_stack_steps(noisy, axes="YXS", settings=TINY, by_blocks=64)
    assert last.report.channels == "rgb"
    assert any("stripes and padding not looked for" in note for note in last.report.notes)


def test_every_window_of_a_plane_sees_the_same_mask():
    def drawn(origin, size):
        generator = torch.Generator().manual_seed(3)
        return draw_window((1, 2, *size), 0.3, origin=origin, mask_channels="each", generator=generator)

    whole = drawn((0, 0), (600, 530))
    assert 0.29 < whole.float().mean() < 0.31
    assert not torch.equal(whole[:, :, :256, :256], whole[:, :, 256:512, 256:512])
    assert torch.equal(drawn((200, 250), (330, 270)), whole[:, :, 200:530, 250:520])
    assert torch.equal(drawn((300, 300), (20, 30)), whole[:, :, 300:320, 300:330])


def test_blocks_for_which_there_is_too_little_memory_are_refused_before_any_work(rng, monkeypatch):
    monkeypatch.setattr(costs, "available_memory", lambda: costs.expected_memory(64**2) - 1)
    steps = denoise_stack_steps(picture(rng), axes="YX", settings=TINY, by_blocks=64)
    with pytest.raises(InputError, match="not enough memory"):
        next(steps)


def test_a_by_blocks_is_positive(rng):
    with pytest.raises(UsageError, match="by_blocks"):
        denoise_stack(picture(rng), axes="YX", settings=TINY, by_blocks=0)

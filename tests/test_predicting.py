"""Laws of tiling and of the ensemble: tiles side by side equal the whole, mean and spread are those of the masks."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mashpix.method.masking import draw_hidden, hide
from mashpix.method.network import make_network
from mashpix.method.predicting import Prediction, pool, predict
from mashpix.steps import drain
from mashpix.tiling import tile_count, tiles
from pictures import picture_of


def a_picture(generator, *, channels=2, height=96, width=160):
    return picture_of(torch.rand((1, channels, height, width), generator=generator))


@given(height=st.integers(1, 200), width=st.integers(1, 200), tile_size=st.integers(1, 90), context=st.integers(0, 40))
def test_kept_regions_cover_every_pixel_once(height, width, tile_size, context):
    covered = torch.zeros(height, width, dtype=torch.int)
    count = 0
    for read, keep in tiles(height, width, tile_size=tile_size, context=context):
        assert read[0] <= keep[0] < keep[1] <= read[1]
        assert read[2] <= keep[2] < keep[3] <= read[3]
        covered[keep[0] : keep[1], keep[2] : keep[3]] += 1
        count += 1
    assert (covered == 1).all()
    assert count == tile_count(height, width, tile_size=tile_size)


@pytest.mark.parametrize("tile_size", [32, 48, 64])
@pytest.mark.parametrize("depth", [2, 3])
def test_tiled_equals_untiled_for_the_same_masks(tile_size, depth, quick):
    generator = torch.Generator().manual_seed(3)
    picture = a_picture(generator)
    network = make_network(2, channels=6, depth=depth, generator=generator)
    results = []
    for size in (512, tile_size):
        settings = replace(quick, tile_size=size, masks=3)
        masks = torch.Generator().manual_seed(7)
        results.append(drain(predict(network, picture, 0.5, settings=settings, generator=masks)))
    torch.testing.assert_close(results[1].mean, results[0].mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(results[1].spread, results[0].spread, rtol=0, atol=1e-6)


def test_mean_and_spread_are_those_of_the_single_predictions(quick, generator):
    picture = a_picture(generator, height=32, width=32)
    network = make_network(2, channels=6, depth=2, generator=generator)
    drawing = torch.Generator().manual_seed(1)
    prediction = drain(predict(network, picture, 0.5, masks=5, settings=quick, generator=drawing))
    drawing = torch.Generator().manual_seed(1)
    with torch.no_grad():
        single = torch.cat(
            [
                network(hide(picture.pixels, draw_hidden((1, 2, 32, 32), 0.5, mask_channels="each", generator=drawing)))
                for _ in range(5)
            ]
        )
    torch.testing.assert_close(prediction.mean[0], single.mean(0))
    torch.testing.assert_close(prediction.spread[0], single.std(0, correction=0), rtol=1e-3, atol=1e-6)


def test_holes_cannot_change_the_prediction(quick, generator):
    picture = a_picture(generator, height=32, width=32)
    network = make_network(2, channels=6, depth=2, generator=generator)
    valid = picture.valid.clone()
    valid[..., 10:12, 10:12] = False
    results = []
    for value in (0.0, 1e6):
        holed = replace(picture, pixels=torch.where(valid, picture.pixels, value), valid=valid)
        masks = torch.Generator().manual_seed(7)
        results.append(drain(predict(network, holed, 0.5, settings=quick, generator=masks)).mean)
    assert torch.equal(*results)


def test_gradients_stay_on_for_the_caller_between_two_tiles(quick, generator):
    network = make_network(2, channels=6, depth=2, generator=generator)
    steps = predict(network, a_picture(generator), 0.5, settings=quick, generator=generator)
    next(steps)
    assert torch.is_grad_enabled()


def test_pooled_predictions_are_those_of_all_masks_together():
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand((6, 1, 2, 8, 8), generator=generator)
    halves = [Prediction(part.mean(0), part.std(0, correction=0), torch.ones(2)) for part in pictures.split(3)]
    whole = pool(halves)
    torch.testing.assert_close(whole.mean, pictures.mean(0))
    torch.testing.assert_close(whole.spread, pictures.std(0, correction=0))


def test_the_held_out_error_is_that_of_hidden_pixels_alone(quick, generator):
    network = make_network(2, channels=6, depth=2, generator=generator)
    picture = a_picture(generator)
    everything = drain(predict(network, picture, 1.0, settings=quick, generator=generator))
    expected = (everything.mean - picture.pixels)[picture.valid].square().mean()  # all masks are the same
    torch.testing.assert_close(everything.held_out.mean(), expected, rtol=1e-4, atol=1e-6)
    nothing = drain(predict(network, picture, 0.0, settings=quick, generator=generator))
    assert (nothing.held_out == 0).all()

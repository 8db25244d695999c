"""Laws of stop and keep: the result is made from what there is, and its recipe gives the same bytes again."""

import numpy as np
import pytest
from PIL import Image

from mashpix import Settings, denoise
from mashpix.jobs import DenoiseRequest, Step, denoise_file, read_recipe

QUICK = Settings(masking_ratio=0.5, steps=6, channels=6, depth=2, masks=2, fits=2, learning_rate=5e-3)


def stop_at(request, fit, update):
    """Denoise a file, and want the result at an update of a fit; return outcome and steps."""
    seen, wanted = [], []
    job = denoise_file(request, is_wanted_now=lambda: bool(wanted))
    while True:
        try:
            event = next(job)
        except StopIteration as stop:
            return stop.value, seen
        if isinstance(event, Step):
            seen.append((event.stage, event.index))
            if seen.count((fit, update)) == 1:
                wanted.append(True)


@pytest.fixture
def photo(tmp_path, rng):
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("channels", "stage", "after"), [("rgb", "fit", 4), ("rgb", "fit 2", 10), ("independent", "fit", 4)]
)
def test_a_stopped_run_is_made_again_from_its_recipe(photo, tmp_path, channels, stage, after):
    request = DenoiseRequest(
        source=photo, target=tmp_path / "a.png", settings=QUICK, channels=channels, device="cpu", preview_every=1
    )
    outcome, steps = stop_at(request, stage, 3)
    settings = read_recipe(outcome.written["recipe"]).settings
    assert settings == QUICK.replace(stop_after=after)
    again = DenoiseRequest(source=photo, target=tmp_path / "b.png", settings=settings, channels=channels, device="cpu")
    remade, _ = stop_at(again, "never", 0)
    assert remade.target.read_bytes() == outcome.target.read_bytes()
    assert (stage, 4) in steps
    assert (stage, 5) not in steps


def test_a_stopped_stack_is_made_again_from_its_recipe(tmp_path, rng):
    stack = rng.integers(0, 4096, (2, 24, 32)).astype(np.uint16)
    np.save(tmp_path / "stack.npy", stack)
    how = {"source": tmp_path / "stack.npy", "axes": "TYX", "networks": "each", "device": "cpu"}
    outcome, steps = stop_at(DenoiseRequest(target=tmp_path / "a.npy", settings=QUICK, **how), "fit", 2)
    settings = read_recipe(outcome.written["recipe"]).settings
    stop_at(DenoiseRequest(target=tmp_path / "b.npy", settings=settings, **how), "never", 0)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert steps.count(("fit", 3)) == 2  # the fit of the second plane makes as many updates


def test_a_run_that_nobody_stops_is_that_of_the_full_schedule(rng):
    image = rng.normal(100, 10, (24, 24))
    whole = QUICK.replace(fits=1)
    assert np.array_equal(denoise(image, settings=whole), denoise(image, settings=whole.replace(stop_after=99)))


def test_previews_change_no_bytes(photo, tmp_path):
    for name, every in (("a.png", 0), ("b.png", 2)):
        request = DenoiseRequest(source=photo, target=tmp_path / name, settings=QUICK, preview_every=every)
        stop_at(request, "never", 0)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

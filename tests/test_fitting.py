"""Laws of the fit: it learns, it is the same twice, holes and padding never count, divergence is noticed."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from mashpix.errors import MashpixError
from mashpix.method import fitting
from mashpix.method.fitting import fit, new_network
from mashpix.steps import drain, relay
from pictures import picture_of


def a_picture(generator, side=32):
    rows = torch.linspace(0, 1, side)[:, None].expand(side, side)
    return picture_of((rows + 0.05 * torch.randn((side, side), generator=generator))[None])


def run(picture, *, settings, seed=0, shuffle=False):
    """All steps of a fit, the weights after it, and the target of its last update."""
    steps, generator = [], torch.Generator().manual_seed(seed)
    network = new_network(picture, settings=settings, generator=generator)
    options = {"shuffle": shuffle, "steps": settings.steps, "stage": "fit", "settings": settings}
    target = drain(relay(fit(network, picture, 0.5, generator=generator, **options), steps.append))
    return steps, torch.cat([values.flatten() for values in network.parameters()]), target


def test_the_loss_falls(quick, generator):
    steps, *_ = run(a_picture(generator), settings=replace(quick, steps=150, learning_rate=5e-3))
    losses = torch.stack([step.loss for step in steps])
    assert losses[-20:].mean() < 0.5 * losses[:20].mean()


def test_one_step_an_update_with_its_loss(quick, generator):
    steps, *_ = run(a_picture(generator), settings=quick)
    assert [(step.stage, step.index, step.total) for step in steps] == [("fit", i, 4) for i in range(1, 5)]
    assert all(step.loss.ndim == 0 and not step.loss.requires_grad for step in steps)


def test_the_same_generator_gives_the_same_weights(quick, generator):
    picture = a_picture(generator)
    first, second, other = (run(picture, settings=quick, seed=seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_values_in_holes_cannot_change_the_fit(quick, generator):
    picture = a_picture(generator)
    valid = picture.valid.clone()
    valid[..., 5:9, 20:30] = False
    first, second = (
        run(replace(picture, pixels=picture.pixels.masked_fill(~valid, value), valid=valid), settings=quick)[1]
        for value in (0.0, 1e3)
    )
    assert torch.equal(first, second)


def test_shuffling_starts_at_its_update_and_is_reported(quick, generator):
    picture = a_picture(generator)
    settings = replace(quick, flat_threshold=1.0)
    _, plain, target = run(picture, settings=settings)
    assert target is picture.pixels
    steps, shuffled, target = run(picture, settings=settings, shuffle=True)
    assert "fit: flat regions" in [step.stage for step in steps]
    assert 0.5 < (target != picture.pixels).float().mean() < 1
    assert torch.equal(target.flatten().sort().values, picture.pixels.flatten().sort().values)
    assert not torch.equal(plain, shuffled)
    assert run(picture, settings=replace(settings, shuffle_start=4), shuffle=True)[2] is picture.pixels


def test_a_new_permutation_at_every_update_needs_one_intermediate_prediction(quick, generator, monkeypatch):
    targets, real = [], fitting._update
    monkeypatch.setattr(fitting, "_update", lambda *a, **o: (targets.append(a[3]), real(*a, **o))[1])
    settings = replace(quick, flat_threshold=1.0, steps=5, shuffle_start=2, redraw_shuffle=True)
    steps, *_ = run(a_picture(generator), settings=settings, shuffle=True)
    assert sum(step.stage == "fit: flat regions" for step in steps) == settings.masks
    assert len({target.numpy().tobytes() for target in targets}) == 1 + 3  # as it is, then three permutations


def test_windows_are_drawn_from_a_large_picture(quick, generator):
    picture = a_picture(generator, side=128)
    settings = replace(quick, window_size=32)
    spans = [fitting._draw_span(128, 32, 4, generator) for _ in range(200)]
    assert all(span.stop - span.start == 32 and 0 <= span.start <= 96 for span in spans)
    assert {span.start for span in spans} >= {0, 96} or len({span.start for span in spans}) > 50
    assert torch.isfinite(run(picture, settings=settings)[1]).all()


def test_the_learning_rate_is_annealed_to_zero(quick, generator, monkeypatch):
    rates, real = [], fitting._update

    def update(network, optimiser, *arguments, **options):
        rates.append(optimiser.param_groups[0]["lr"])
        return real(network, optimiser, *arguments, **options)

    monkeypatch.setattr(fitting, "_update", update)
    run(a_picture(generator), settings=replace(quick, steps=40))
    assert rates[0] == quick.learning_rate
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[20] == pytest.approx(quick.learning_rate / 2)
    assert rates[-1] < 0.01 * quick.learning_rate


def test_a_fit_that_diverges_is_restarted_once_then_refused(quick, generator, monkeypatch):
    rates, real = [], fitting._update

    def update(network, optimiser, *arguments, failures, **options):
        rates.append(optimiser.param_groups[0]["lr"])
        loss = real(network, optimiser, *arguments, **options)
        return loss if len(rates) > failures else loss * torch.nan

    monkeypatch.setattr(fitting, "_update", lambda *a, **o: update(*a, failures=1, **o))
    run(a_picture(generator), settings=quick)
    assert rates[1] == pytest.approx(0.1 * rates[0])
    rates.clear()
    monkeypatch.setattr(fitting, "_update", lambda *a, **o: update(*a, failures=2, **o))
    with pytest.raises(MashpixError, match="diverged twice"):
        run(a_picture(generator), settings=quick)
    assert len(rates) == 2

"""Laws of the model of cost: every stage that a run yields has a cost, and a busy machine does not change a time."""

import csv
import itertools
import platform
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mashpix import InputError, Settings, Step, denoise_stack_steps, denoise_steps, preset
from mashpix.arrays import costs
from mashpix.arrays.costs import Estimator, _fastest, expected_costs, fit_updates, model_costs
from mashpix.arrays.modelling import apply_model_steps, fit_model_steps
from mashpix.devices import release_freed_memory
from mashpix.refine import stages
from mashpix.steps import drain

SHORT = {"steps": 3, "probe_steps": 3, "masks": 2}
NOISY = np.random.default_rng(0).normal(100, 10, (2, 48, 48))
RUNS = {
    "default": preset("default").replace(**SHORT),
    "two fits": preset("default").replace(**SHORT, fits=2),
    "scripts": preset("scripts").replace(**SHORT, channels=2, depth=2),
    "paper": preset("paper").replace(**SHORT, channels=2, depth=2),
    "shuffled": preset("default").replace(**SHORT, shuffle="always", shuffle_start=2),
}


def steps_of(kind, settings):
    options = {"settings": settings, "device": "cpu"}
    if kind == "image":
        return denoise_steps(NOISY[0], **options)
    if kind == "model":
        model = drain(fit_model_steps(NOISY[:, None], **options))
        return apply_model_steps(model, NOISY, axes="ZYX", device="cpu")
    return denoise_stack_steps(NOISY, axes="ZYX", networks=kind, **options)


@pytest.mark.parametrize("kind", ["image", "shared", "each", "model"])
@pytest.mark.parametrize("name", RUNS)
def test_every_stage_has_a_cost(name, kind):
    """A stage without a cost would leave the fraction where it is, and the last stages would come at the end."""
    steps = [step for step in steps_of(kind, RUNS[name]) if step.stage not in ("plane", "done")]
    for before, after in itertools.pairwise(steps):
        assert after.fraction > before.fraction, f"{after.stage} has no cost"
    assert 0.95 < steps[-1].fraction <= 1 + 1e-9
    assert steps[-2].fraction < 1


def test_the_table_has_no_stage_that_never_comes():
    white = np.random.default_rng(1).normal(100, 10, (96, 96))  # large enough for its noise to be known: it has a pilot
    settings = RUNS["two fits"]
    runs = (denoise_steps(image, settings=settings, device="cpu") for image in (NOISY[0], white))
    seen = {step.stage for run in runs for step in run}
    assert set(expected_costs(NOISY[0].size, settings)) == seen - {"done"}
    assert set(stages.MEASURING) <= set(stages.COSTS) <= seen


def test_fitting_and_applying_a_model_to_one_image_cost_what_the_image_costs_alone():
    for share_noise in (False, True):
        fitting, applying = model_costs(10**6, 1, preset("default").replace(fits=4), share_noise=share_noise)
        alone = expected_costs(10**6, preset("default").replace(fits=4))
        twice = sum(applying[stage] for stage in applying if stage.startswith("predict")) if share_noise else 0
        assert sum(fitting.values()) + sum(applying.values()) == pytest.approx(sum(alone.values()) + twice)


@pytest.mark.parametrize(("name", "updates"), [("default", 250), ("scripts", 2400)])
def test_updates_of_a_fit(name, updates):
    assert fit_updates(preset(name)) == updates


def test_a_time_on_a_cpu_does_not_count_what_other_programs_take():
    def updates():
        for _ in range(4):
            time.sleep(0.2)  # the processor is someone else's meanwhile
            yield sum(range(20_000))

    assert _fastest(updates(), cpu=True) < 0.1 < 0.2 < _fastest(updates(), cpu=False)


def test_the_fastest_update_counts_and_the_first_does_not():
    def updates():
        for seconds in (0.0, 0.3, 0.02, 0.3):
            time.sleep(seconds)
            yield 0.0

    assert 0.02 <= _fastest(updates(), cpu=False) < 0.3


@pytest.mark.parametrize(("values", "helps"), [(2000 * 960, False), (2**28, True)])
def test_blocks_are_taken_and_advised_only_where_they_need_less(values, helps, monkeypatch):
    monkeypatch.setattr(costs, "available_memory", lambda: costs.expected_memory(values) - 1)
    assert costs.needs_blocks(values) == helps
    with pytest.raises(InputError, match="not enough memory") as raised:
        costs.check_memory(values)
    assert ("by_blocks" in str(raised.value)) == helps


def test_large_images_need_the_memory_that_is_estimated():
    """At least what was measured, so that a run that begins also ends, and hardly more: else it would be refused."""
    with (Path(__file__).parents[1] / "benchmarks" / "scale.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["megapixels"]) >= 12]
    assert rows
    for row in rows:
        measured = int(row["peak_mib"]) * 2**20
        assert measured <= costs.expected_memory(3 * int(row["height"]) * int(row["width"])) <= 1.3 * measured


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory like that")
def test_freed_memory_goes_back_to_the_system():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    pieces = [np.ones(2**16, np.uint8) for _ in range(2**11)]  # 128 MiB, each piece too small for pages of its own
    kept = pieces[-1]  # which lies above the others, so that they cannot go back by themselves
    del pieces
    before = resident()
    release_freed_memory()
    assert resident() < before - 2**26
    assert kept.all()


def test_an_estimate_does_not_count_what_other_threads_of_the_process_take(monkeypatch):
    """Each update waits for another thread, which computes for 0.1 s; the calling thread has next to nothing to do."""

    def compute():
        started = time.thread_time()
        while time.thread_time() - started < 0.1:
            sum(range(10_000))

    def fit(*_, steps, **__):
        for index in range(steps):
            other = threading.Thread(target=compute)
            other.start()
            other.join()
            yield Step("time", index + 1, steps, loss=torch.zeros(()))

    monkeypatch.setattr(costs, "fit", fit)
    settings = Settings(masking_ratio=0.5, steps=4, masks=2, window_size=32)
    updates = sum(expected_costs(32 * 32, settings).values())
    assert Estimator(settings, torch.device("cpu"))((32, 32)).seconds < 0.05 * updates


def test_a_busy_machine_times_as_many_updates_as_a_quiet_one():
    """The fastest of many is less than that of few, so the limit must not be one of the clock on the wall."""
    taken = []

    def updates():
        for index in range(5):
            time.sleep(0.3)
            taken.append(index)
            yield 0.0

    _fastest(updates(), cpu=True)
    assert len(taken) == 5

"""Laws of settings and recipes: limits hold, presets follow the published columns, a recipe gives them back."""

from dataclasses import FrozenInstanceError, fields, replace
from functools import cache

import numpy as np
import pytest

from mashpix import PRESETS, FileError, Settings, UsageError, denoise, preset
from mashpix.jobs.recipe import Recipe, read_recipe
from mashpix.refine.tone_bias import tone_curve
from mashpix.simulation import correlated_noise


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("masking_ratio", 1.5), ("masking_ratio", -0.1), ("masking_ratio", "auto"), ("masking_ratio", float("nan")),
        ("steps", 0), ("steps", 2.5), ("steps", None), ("steps", True), ("loss", "huber"), ("loss", 1),
        ("redraw_shuffle", 1), ("block_size", 1), ("depth", 9), ("learning_rate", "fast"), ("masks", 0),
    ],
)  # fmt: skip
def test_values_outside_their_limits_are_refused(field, value):
    with pytest.raises(UsageError, match=f"^{field}: "):
        Settings(**{field: value})


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().steps = 3


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UsageError, match=r"'fastest'; one of default, "):
        preset("fastest")


QUICK = Settings(
    masking_ratio=0.5, steps=4, probe_steps=3, channels=6, depth=2, masks=2, shuffle_start=1, window_size=32,
    tile_size=32, flat_threshold=1.0, shuffle="never", learning_rate=5e-3,
)  # fmt: skip
GAP = {"masking_ratio": None}
NEAR = {"masking_ratio": None, "choose_by": "correlation"}
SHUFFLED = {"shuffle": "always"}
CHANGES = {  # where a field matters, and another value of it; probes see gaps of 6.1, 4.6 (low 1.0), 9.8 (high 0.0)
    "scale": ({}, "percentiles"),
    "find_defects": ({}, True),
    "repair_defects": ({"find_defects": True}, True),
    "stripes": ({}, "on"),
    "masking_ratio": ({}, 0.3),
    "mask_channels": ({}, "shared"),
    "loss": ({}, "squared"),
    "choose_by": (GAP | {"low_gap": 0.0, "high_gap": 0.0}, "correlation"),
    "low_ratio": (NEAR | {"low_correlation": 1.0}, 0.3),
    "medium_ratio": (NEAR | {"low_correlation": 0.0, "high_correlation": 1.0}, 0.3),
    "high_ratio": (GAP | {"low_gap": 0.0, "high_gap": 0.0}, 0.3),
    "low_probe_ratio": (GAP | {"high_gap": 5.3}, 1.0),
    "high_probe_ratio": (GAP | {"high_gap": 8.0}, 0.0),
    "probe_steps": (GAP, 5),
    "noise_estimate": (GAP, "one-pass"),
    "low_gap": (GAP | {"low_gap": 0.0, "high_gap": 255.0}, 255.0),
    "high_gap": (GAP | {"low_gap": 0.0, "high_gap": 0.0}, 255.0),
    "low_correlation": (NEAR | {"low_correlation": 0.0, "high_correlation": 1.0}, 1.0),
    "high_correlation": (NEAR | {"low_correlation": 0.0, "high_correlation": 0.0}, 1.0),
    "shuffle": ({}, "always"),
    "shuffle_start": (SHUFFLED, 2),
    "block_size": (SHUFFLED, 5),
    "flat_threshold": (SHUFFLED, 0.2),
    "redraw_shuffle": (SHUFFLED, True),
    "channels": ({}, 9),
    "depth": ({}, 3),
    "steps": ({}, 5),
    "fits": ({}, 2),
    "stop_after": ({}, 2),
    "learning_rate": ({}, 1e-3),
    "window_size": ({}, 40),
    "masks": ({}, 3),
    "refine": ({}, True),
    "threshold": ({"refine": True}, 9.0),
    "tone_correction": ({"refine": True}, True),
}
ON_A_PHOTO = {"tone_correction"}
WITH_A_HOT_PIXEL = {"find_defects", "repair_defects"}
LONG = {"stripes"}  # the others on any image
CHANGES_NOTHING = {"tile_size": 64}


@cache
def result_of(settings, photo=False, hot=False, height=96):
    """Correlated noise on steps, or a dark photo with noise before its tone curve, (height, 64, 3), denoised."""
    if photo:
        linear = np.linspace(0.01, 0.05, 64)[:, None] + np.random.default_rng(0).normal(0, 0.04, (96, 64, 3))
        noisy = np.rint(255 * tone_curve(linear.clip(0, 1))).astype(np.uint8)
        return denoise(noisy, channel_axis=-1, channels="rgb", settings=settings, device="cpu")
    noise = correlated_noise((height, 64, 3), sigma=20, beta=1.0, rng=np.random.default_rng(0))
    noisy = (100 + 60 * (np.arange(64) > 30)[:, None] + noise).astype(np.float32)
    noisy[40, 20] += 4000 * hot
    return denoise(noisy, channel_axis=-1, channels="rgb", settings=settings, device="cpu")


def test_every_field_is_in_one_of_the_lists():
    assert CHANGES.keys() | CHANGES_NOTHING.keys() == {item.name for item in fields(Settings)}
    assert not CHANGES.keys() & CHANGES_NOTHING.keys()


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_changes_a_result(field):
    where, value = CHANGES[field]
    settings = replace(QUICK, **where)
    on = field in ON_A_PHOTO, field in WITH_A_HOT_PIXEL, 128 if field in LONG else 96
    assert (result_of(settings, *on) != result_of(replace(settings, **{field: value}), *on)).any()


def test_fields_of_speed_and_memory_change_no_result():
    np.testing.assert_allclose(result_of(replace(QUICK, **CHANGES_NOTHING)), result_of(QUICK), atol=1e-3)


def test_every_field_says_what_it_means():
    assert all(item.metadata["help"] for item in fields(Settings))


PUBLISHED = {  # the table "Paper against released scripts"; N1 and lambda of the paper are those of the scripts
    "scripts": {
        "low_ratio": 0.1, "medium_ratio": 0.5, "high_ratio": 0.9, "low_gap": 1.0, "high_gap": 2.0,
        "noise_estimate": "mean", "loss": "absolute", "steps": 800, "shuffle_start": 50, "flat_threshold": 0.5,
    },
    "scripts-fmdd": {"steps": 700, "shuffle_start": 100, "flat_threshold": 0.1, "loss": "absolute", "low_ratio": 0.1},
    "paper": {
        "low_ratio": 0.2, "medium_ratio": 0.5, "high_ratio": 0.8, "low_gap": 1.5, "high_gap": 2.5,
        "noise_estimate": "one-pass", "loss": "squared", "steps": 800,
    },
}  # fmt: skip
BOTH = {
    "low_probe_ratio": 0.2, "high_probe_ratio": 0.8, "learning_rate": 4e-4, "block_size": 4, "channels": 48,
    "depth": 5, "mask_channels": "each", "masks": 10, "choose_by": "gap", "scale": "data-range",
    "masking_ratio": None, "shuffle": "auto", "redraw_shuffle": False,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_presets_follow_their_columns(name):
    expected = BOTH | PUBLISHED[name]
    settings = PRESETS[name].to_dict()
    assert {field: settings[field] for field in expected} == expected
    assert settings["probe_steps"] == settings["steps"]


def a_recipe():
    return Recipe(
        version="0.1.0", torch_version="2", settings=replace(Settings(), masking_ratio=0.3), seed=5, strength=0.5,
        data_range=None, device="cpu", threads=2, input_sha256="a", output_sha256="b", command="mashpix", report={},
    )  # fmt: skip


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    (tmp_path / "recipe.json").write_bytes(a_recipe().to_json())
    assert read_recipe(tmp_path / "recipe.json") == a_recipe()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable recipe"),
        (b"\xff\xfe", "not a readable recipe"),
        (b"[1, 2]", "not a mashpix recipe"),
        (b'{"format": "other"}', "not a mashpix recipe"),
        (b'{"format": "mashpix-recipe-1"}', "not a complete recipe"),
        (b'{"format": "mashpix-recipe-1", "settings": {"speed": 1}}', "not a complete recipe"),
    ],
)
def test_what_is_no_recipe_is_refused(content, message, tmp_path):
    (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_recipe(tmp_path / "recipe.json")
    with pytest.raises(FileError, match="not a readable recipe"):
        read_recipe(tmp_path / "missing.json")


def test_a_recipe_with_settings_out_of_their_limits_is_refused(tmp_path):
    (tmp_path / "recipe.json").write_bytes(a_recipe().to_json().replace(b'"steps": 800', b'"steps": 0'))
    with pytest.raises(UsageError, match="steps"):
        read_recipe(tmp_path / "recipe.json")

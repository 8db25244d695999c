"""Laws of the noise report: known noise is found, any picture is survived, files are whole and need nothing else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from commands import run_cli
from mashpix import (
    InputError,
    NoiseReport,
    Settings,
    UsageError,
    inspect,
    inspect_stack,
    inspect_stack_steps,
    inspect_steps,
    preset,
)
from mashpix.noise_report.agreement import describe_removed
from mashpix.noise_report.html import make_page
from mashpix.refine.autocovariance import _model, _solve
from mashpix.simulation import add_poisson_gaussian, correlated_noise, correlation_reached


def look(image, **options):
    return inspect(image, device="cpu", time_updates=False, **options)


def facts(report):
    """All of a report that does not change while other programs run."""
    return replace(report, memory_free_bytes=None)


@pytest.fixture
def scene():
    """Shapes with edges and texture, of which a good part is flat, 0 to 255."""
    rows, columns = np.mgrid[0:192, 0:192] / 192
    return 255 * (0.3 + 0.3 * (rows + columns > 1) + 0.2 * (columns > 0.7) * np.sin(200 * rows * columns))


@pytest.mark.parametrize(("beta", "kind"), [(0, "white"), (0.5, "correlated"), (1, "correlated")])
@pytest.mark.parametrize("sigma", [5, 25])
def test_level_and_correlation_of_known_noise_are_found(scene, rng, beta, kind, sigma):
    report = look(scene + correlated_noise(scene.shape, sigma=sigma, beta=beta, rng=rng))
    assert report.sigma == pytest.approx(sigma, rel=0.12)
    true = correlation_reached(beta=beta, radius=1)[1, 0]
    assert report.lag1 == pytest.approx((true, true), abs=0.07)
    assert report.kind == kind
    assert report.signal_dependent is False


def test_noise_that_follows_the_intensity_is_seen(rng):
    clean = np.linspace(10, 250, 256)[None, :].repeat(256, axis=0)
    report = look(add_poisson_gaussian(clean, gain=4, sigma=1, rng=rng))
    assert report.signal_dependent is True
    assert report.sigma == pytest.approx(np.sqrt(4 * clean.mean() + 1), rel=0.1)
    for intensity, sigma in report.noise_by_intensity[0]:
        assert sigma == pytest.approx(np.sqrt(4 * intensity + 1), rel=0.25)


def test_the_report_is_in_the_units_of_the_picture(scene, rng):
    noisy = scene + correlated_noise(scene.shape, sigma=10, beta=0, rng=rng)
    one, other = look(noisy), look(1000 * noisy - 7)
    assert other.sigma == pytest.approx(1000 * one.sigma, rel=1e-3)
    assert other.lag1 == pytest.approx(one.lag1, abs=1e-3)


def test_channels_have_levels_of_their_own_and_a_correlation(scene, rng):
    shared = correlated_noise((*scene.shape, 2), sigma=10, beta=0, rng=rng, shared=True)
    report = look(np.stack([scene, scene], axis=-1) + shared * np.array([1.0, 2.0]), channel_axis=-1)
    assert report.sigma_by_channel == pytest.approx((10, 20), rel=0.1)
    assert report.channel_correlation[0][1] > 0.95
    own = correlated_noise((*scene.shape, 2), sigma=10, beta=0, rng=rng)
    report = look(np.stack([scene, scene], axis=-1) + own, channel_axis=-1)
    assert abs(report.channel_correlation[0][1]) < 0.1


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_and_periodic_patterns_are_structure(scene, rng, axis):
    noise = rng.normal(0, 10, scene.shape)
    stripes = np.expand_dims(rng.normal(0, 8, 192), axis)
    assert look(scene + noise + stripes).kind == "structured"
    rows, columns = np.mgrid[0:192, 0:192]
    assert look(scene + noise + 8 * np.sin(1.9 * rows + 1.1 * columns)).kind == "structured"


def test_a_strong_jpeg_is_blocky(scene, rng, tmp_path):
    noisy = scene + rng.normal(0, 5, scene.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=40)
    with Image.open(tmp_path / "a.jpg") as image:
        assert look(np.asarray(image)).kind == "jpeg-blocky"


def test_clipping_holes_and_bits_are_counted(scene, rng):
    noisy = scene + rng.normal(0, 20, scene.shape)
    report = look(np.rint(noisy.clip(60, 180)).astype(np.uint8))
    assert report.clipped_low == pytest.approx((np.rint(noisy) <= 60).mean(), abs=1e-6)
    assert report.clipped_high == pytest.approx((np.rint(noisy) >= 180).mean(), abs=1e-6)
    holed = noisy.copy()
    holed[:19] = np.nan
    report = look(holed)
    assert report.nan_fraction == pytest.approx(19 / 192)
    assert report.sigma == pytest.approx(20, rel=0.12)
    assert report.bit_depth is None
    twelve = (np.rint(noisy.clip(0, 255) * 16).astype(np.uint16) << 4).astype(np.uint16)
    assert look(twelve).bit_depth == 12
    assert look((twelve / 65535).astype(np.float64)).bit_depth == 12


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8)),
        np.arange(64.0).reshape(8, 8),
        np.eye(16, dtype=np.uint8),
        np.full((40, 40), 7, dtype=np.int16),
        np.where(np.arange(1600).reshape(40, 40) % 2, np.nan, 1.0),
        np.random.default_rng(0).integers(-99, 99, (33, 70)).astype(np.int64),
        np.random.default_rng(0).normal(0, 1e-30, (40, 40)),
    ],
)
def test_any_picture_gives_a_report(image):
    report = look(image)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["shape"] == list(image.shape)
    assert "<table>" in report._repr_html_()
    assert make_page(report, image, name="a", denoised=image)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="too small"):
        look(np.zeros((4, 9)))
    with pytest.raises(UsageError, match="unknown preset"):
        look(np.zeros((40, 40)), settings="none")


def test_the_preset_decides_ratio_margin_and_cost(rng):
    noisy = rng.normal(0, 1, (64, 64))
    report = look(noisy)
    assert report.masking_ratio == 0.2
    assert report.margin == pytest.approx(min(abs(report.neighbour_correlation - edge) for edge in (0.2, 0.35)))
    report = look(noisy, settings="scripts")  # reads a gap, which takes probes
    assert (report.masking_ratio, report.shuffle, report.noise_level_gap) == (None, None, None)
    assert inspect(noisy[:32, :32], device="cpu", settings="fast").seconds > 0


def test_settings_are_those_of_a_preset_or_custom(rng):
    noisy = rng.normal(0, 1, (64, 64))
    assert facts(look(noisy, settings=preset("fast"))) == facts(look(noisy, settings="fast"))
    fixed = look(noisy, settings=Settings(masking_ratio=0.7))
    assert (fixed.preset, fixed.masking_ratio) == ("custom", 0.7)
    with pytest.warns(DeprecationWarning, match="settings"):
        assert facts(look(noisy, preset_name="fast")) == facts(look(noisy, settings="fast"))
    with pytest.warns(DeprecationWarning, match="settings"):
        inspect_stack(noisy[None], axes="ZYX", device="cpu", time_updates=False, preset_name="fast")


def test_the_last_step_holds_the_report_that_is_returned(rng):
    noisy = rng.normal(0, 1, (2, 64, 64))
    options = {"device": "cpu", "time_updates": False}
    *_, last = inspect_steps(noisy[0], **options)
    assert last.stage == "done"
    assert facts(last.noise_report) == facts(inspect(noisy[0], **options))
    *_, last = inspect_stack_steps(noisy, axes="ZYX", **options)
    assert facts(last.noise_report) == facts(inspect_stack(noisy, axes="ZYX", **options))


def test_unequal_units_of_three_channels_change_nothing_but_the_units(scene, rng):
    """Three channels are not taken for colour: each is estimated for itself."""
    noisy = np.stack([np.roll(scene, 40 * shift, 0) + rng.normal(0, 10, scene.shape) for shift in range(3)], axis=-1)
    one, other = look(noisy, channel_axis=-1), look(noisy * [1.0, 0.1, 0.01], channel_axis=-1)
    assert other.sigma_by_channel == pytest.approx(np.multiply(one.sigma_by_channel, [1, 0.1, 0.01]), rel=1e-3)
    assert one.sigma_by_channel == pytest.approx([10, 10, 10], rel=0.15)
    assert (other.kind, other.signal_dependent) == (one.kind, one.signal_dependent)


def test_independent_channels_cost_what_each_of_them_costs_alone(rng):
    noisy = rng.normal(0, 1, (64, 64, 3))
    small = Settings(masking_ratio=0.5, steps=20, channels=4, depth=2)
    apart, together = (
        inspect(noisy, channel_axis=-1, channels=kind, settings=small, device="cpu")
        for kind in ("independent", "joint")
    )
    assert 1.2 < apart.seconds / together.seconds < 6
    assert apart.memory_bytes < together.memory_bytes


def test_masking_ratios_of_independent_channels_are_noted_where_they_differ(rng):
    noise = [correlated_noise((128, 128), sigma=10, beta=beta, rng=rng) for beta in (0, 1)]
    assert "masking ratio by channel: 0.2, 0.9" in look(np.stack(noise), channel_axis=0).notes
    assert not look(np.stack(noise[:1] * 2), channel_axis=0).notes


def test_the_time_is_in_words():
    report = NoiseReport((8, 8), "uint8", seconds=4200.0)
    assert dict(report.rows())["time to denoise"] == "about 1 h 10 min"


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.targets = set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.targets += [value for name, value in attributes if name in ("src", "href", "data")]


def test_the_page_is_one_escaped_file(rng):
    noisy = rng.normal(0, 1, (64, 64, 3))
    verdict = SimpleNamespace(verdict="look closer", reason="<script>", measures={"lag": 0.1})
    report = look(noisy, channel_axis=-1)
    page = make_page(report, noisy, name="<script>alert(1)</script>", denoised=0 * noisy, verdict=verdict)
    links = Links()
    links.feed(page)
    assert "script" not in links.tags
    assert links.targets
    assert all(target.startswith("data:image/png;base64,") for target in links.targets)
    assert {"svg", "table", "img"} <= links.tags
    assert not re.search(r"url\(|@import|https?:", page)
    assert "look closer" in page


def test_the_command_writes_table_json_and_page(tmp_path, rng, run_here):
    Image.fromarray(rng.integers(0, 256, (48, 48, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    Image.new("RGB", (48, 48)).save(tmp_path / "b.png")
    arguments = ("inspect", "a.png", "--html", "a.html", "--json", "a.json", "--denoised", "b.png", "--threads", "1")
    run = run_cli(*arguments, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "noise level (sigma)" in run.stdout
    assert re.search(r"removed +7\d\.\d, 1 times the noise level\n", run.stdout), run.stdout
    report = json.loads((tmp_path / "a.json").read_text())
    assert set(report) == set(NoiseReport.__dataclass_fields__)
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    again = run_here(*arguments, cwd=tmp_path)
    assert again.returncode == 1
    assert "a.html" in again.stderr
    Image.new("RGB", (40, 48)).save(tmp_path / "c.png")
    other = run_here("inspect", "a.png", "--denoised", "c.png", cwd=tmp_path)
    assert other.returncode == 1
    assert other.stderr.count("\n") == 1


def test_a_stack_is_estimated_from_planes_spread_over_each_channel(rng):
    levels = np.array([[5.0], [20.0]])[:, :, None, None]
    stack = 100 + levels * rng.normal(0, 1, (2, 5, 96, 96))
    stack[1, 2] = 0  # a blank plane is left out
    report = inspect_stack(stack, axes="CZYX", device="cpu", time_updates=False)
    assert [plane["plane"] for plane in report.planes] == ["C 0, Z 2", "C 0, Z 0", "C 0, Z 4", "C 1, Z 0", "C 1, Z 4"]
    assert [plane["sigma"] for plane in report.planes] == pytest.approx([5, 5, 5, 20, 20], rel=0.15)
    assert report.shape == stack.shape
    assert report.sigma == report.planes[0]["sigma"]
    assert "C 0, Z 2" in report.notes[0]
    assert "plane C 1, Z 4" in report._repr_html_()
    with pytest.raises(UsageError, match="axes"):
        inspect_stack(stack, axes="ZYX")


def test_a_stack_of_blank_planes_gives_a_report():
    report = inspect_stack(np.zeros((3, 40, 40)), axes="ZYX", device="cpu")
    assert report.sigma is None
    assert report.planes[0]["kind"] is None


@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_the_command_inspects_a_stack(tmp_path, rng, name, run_here):
    stack = (100 + rng.normal(0, 9, (3, 48, 48))).astype(np.float32)
    for path, values in ((tmp_path / name, stack), (tmp_path / f"after_{name}", np.full_like(stack, 100))):
        if name.endswith("npy"):
            np.save(path, values)
        else:
            tifffile.imwrite(path, values, metadata={"axes": "ZYX"}, imagej=True)
    options = ("--json", "a.json", "--html", "a.html", "--denoised", f"after_{name}", "--threads", "1")
    run = run_here("inspect", name, *options, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "plane Z 1" in run.stdout
    assert "verdict" in run.stdout
    planes = json.loads((tmp_path / "a.json").read_text())["planes"]
    assert [plane["plane"] for plane in planes] == ["Z 1", "Z 0", "Z 2"]
    np.save(tmp_path / "other.npy", stack[:2])
    other = run_here("inspect", name, "--denoised", "other.npy", cwd=tmp_path)
    assert other.returncode == 1
    assert other.stderr.count("other.npy") == 1


def test_no_noise_is_reported_and_nothing_else():
    rows, columns = np.mgrid[0:64, 0:64]
    report = look((rows + columns).astype(np.uint8))
    assert report.sigma < 0.2
    assert (report.kind, report.lag1, report.autocorrelation) == (None, None, None)
    assert "hardly any noise" in " ".join(report.notes)


def test_rounding_alone_is_no_noise():
    rows, columns = np.mgrid[0:128, 0:128]
    report = look(np.rint(128 + 90 * np.sin(rows / 17) * np.cos(columns / 23)).astype(np.uint8))
    assert 0.2 < report.sigma < 0.29
    assert report.kind is None


@pytest.mark.parametrize(
    ("kind", "left", "said"),
    [
        ("white", 0.1, "9, 0.9 times the noise level"),
        ("white", 0.5, "5, 0.5 times the noise level: noise is left"),
        ("white", -1, "20, 2 times the noise level: more than noise was removed"),
        ("jpeg-blocky", -1, "20, 2 times the noise level: the level is that of flat regions"),
        (None, 0.5, "5, where hardly any noise was found"),
    ],
)
def test_what_was_removed_agrees_with_the_noise_or_says_why_not(kind, left, said):
    noisy = np.where(np.indices((8, 8)).sum(0) % 2, 10.0, -10.0)
    noisy[0, :2] = np.nan
    report = NoiseReport((8, 8), "float64", sigma=10.0, kind=kind)
    assert describe_removed(report, noisy, left * noisy).startswith(said)
    rough = replace(report, kind="white", notes=("rough: only 9 blocks",))
    assert describe_removed(rough, noisy, -noisy) == "20, 2 times the noise level: the level is rough"


def test_stripes_that_were_taken_off_count_as_removed(rng):
    noise, rows = rng.normal(0, 5, (128, 128)), rng.normal(0, 8, (128, 1))
    report = look(100 + noise + rows)
    assert report.stripes["rows"] == pytest.approx(8, rel=0.2)
    removed = describe_removed(report, noise + rows, 0 * noise)
    assert re.search(r" (0\.9\d*|1|1\.[01]) times the noise level and stripes$", removed), removed


def test_texture_is_not_taken_for_noise(rng):
    clean = 255 * rng.random((24, 24)).repeat(8, 0).repeat(8, 1)  # no flat block of 16 x 16 anywhere
    clean = ndimage.gaussian_filter(clean, 2)
    report = look(clean + rng.normal(0, 10, clean.shape))
    assert report.sigma == pytest.approx(10, rel=0.15)
    assert report.lag1 == pytest.approx((0, 0), abs=0.25)
    assert report.signal_dependent is False


def test_the_probes_see_the_centre_alone(rng):
    quick = replace(preset("scripts"), probe_steps=2, channels=6, depth=2, masks=2)
    noisy = rng.integers(0, 256, (192, 160)).astype(np.uint8)
    report = look(noisy, settings=quick, probe=True)
    assert report.noise_level_gap > 0
    assert report.masking_ratio in (0.1, 0.5, 0.9)
    assert "centre" in " ".join(report.notes)
    noisy[:32] = 0
    noisy[:, -16:] = 255
    assert look(noisy, settings=quick, probe=True).noise_level_gap == report.noise_level_gap


def test_keys_of_the_schema_are_those_of_the_output():
    text = (Path(__file__).parents[1] / "docs" / "noise-report.md").read_text()
    table = text.split("## Keys of the JSON")[1].split("## ")[0]
    names = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    keys = [key for cell in names for key in re.findall(r"`(\w+)`", cell)]
    assert sorted(keys) == sorted(NoiseReport.__dataclass_fields__)


def test_both_reports_show_themselves_in_a_notebook(rng):
    from mashpix import denoise_steps

    noisy = rng.normal(0, 1, (32, 32))
    *_, last = denoise_steps(noisy, settings=Settings(masking_ratio=0.5, steps=2), device="cpu")
    for report in (last.report, look(noisy)):
        page = report._repr_html_()
        assert page.startswith("<table>")
        assert "masking" in page


@pytest.mark.parametrize("texture", [0.0, 1.0, 1e6])
def test_the_autocovariance_is_that_of_least_squares_whatever_the_texture(texture, rng):
    """The normal equations square the condition of the problem, and without texture they are singular."""
    basis, hold = _model()
    design = np.column_stack([basis, texture * rng.random(len(basis))])
    wanted, weight = rng.random(len(basis)), rng.random(len(basis))
    held = np.column_stack([np.diag(hold), np.zeros(len(hold))])
    equations, targets = np.vstack([design * weight[:, None], held]), np.append(wanted * weight, np.zeros(len(hold)))
    expected = np.linalg.lstsq(equations, targets)[0]
    if expected[-1] < 0:
        expected = np.append(np.linalg.lstsq(equations[:, :-1], targets)[0], 0.0)
    covariance, share = _solve(design, wanted, weight, hold)
    np.testing.assert_allclose(covariance, expected[:-1], rtol=1e-6, atol=1e-9)
    assert share == pytest.approx(expected[-1], rel=1e-6, abs=1e-12)

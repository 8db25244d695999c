"""Laws of `mashpix bench`: what is measured, what is kept, what is refused and how it ends."""

import os
import signal
import subprocess
import time
from collections import Counter
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import uniform_filter

import mashpix
from commands import read_csv, start_cli
from mashpix import extras
from mashpix.errors import ExtraError, MashpixError
from mashpix.evaluation import baselines, zs_n2n
from mashpix.evaluation.bench import run
from mashpix.evaluation.bench.images import find_sources, load_pair
from mashpix.evaluation.bench.results import Row
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.evaluation.table import columns
from mashpix.evaluation.timed_process import Job, Measurement, measure

command = import_module("mashpix.cli.bench")  # the name in the package is the function
NAMES = ["a.png", "b.png", "c.png", "d.png"]
WHITE = ("--model", "gaussian", "--sigma", "25")


@pytest.fixture
def smooth():
    """Smooth colours, (34, 30, 3)."""
    rows, columns = np.mgrid[:34, :30]
    waves = [120 + 80 * np.sin(rows / (5 + channel) + columns / 7) for channel in range(3)]
    return np.rint(np.stack(waves, axis=-1)).astype(np.uint8)


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path, smooth):
    """Four clean images, and a file that is not an image."""
    for shift, name in enumerate(NAMES):
        save(np.roll(smooth, 5 * shift, axis=0), tmp_path / "set" / name)
    (tmp_path / "set" / "README.md").write_text("not a picture")
    return tmp_path / "set"


@pytest.fixture
def pairs(tmp_path, smooth, rng):
    for name in NAMES[:2]:
        save(smooth, tmp_path / "pairs" / "clean" / name)
        noisy = np.clip(smooth + rng.normal(0, 25, smooth.shape), 0, 255).astype(np.uint8)
        save(noisy, tmp_path / "pairs" / "noisy" / name)
    return tmp_path / "pairs"


@pytest.fixture
def bench(run_here):
    """The command in this process: exit code, stdout and stderr."""
    parts = attrgetter("returncode", "stdout", "stderr")
    return lambda *arguments: parts(run_here("bench", *arguments))


@pytest.fixture
def measured(monkeypatch):
    """Measuring replaced by a box filter in this process; counts how often it is asked for."""
    calls = Counter()

    def box(job):
        calls["all"] += 1
        return Measurement(uniform_filter(job.noisy, (3, 3, 1)), seconds=float(calls["all"]), peak_mib=100.0)

    monkeypatch.setattr(run, "measure", box)
    return calls


def test_a_row_is_what_denoise_gives_measured_in_a_process_of_its_own(pairs, tmp_path, bench, quick, monkeypatch):
    monkeypatch.setattr(command, "preset", lambda name: quick)
    code, out, err = bench(pairs, "--limit", 1, "--seed", 3, "--threads", 1, "--csv", tmp_path / "t.csv")
    assert (code, err) == (0, "")
    noisy_row, row = read_csv(tmp_path / "t.csv")
    noisy, clean = (np.asarray(Image.open(pairs / kind / "a.png")) for kind in ("noisy", "clean"))
    denoised = mashpix.denoise(noisy, channel_axis=-1, channels="rgb", settings=quick, seed=3, device="cpu")
    assert float(row["denoised_db"]) == pytest.approx(mashpix.psnr(clean, denoised, data_range=255), abs=1e-4)
    similarity = mashpix.ssim(clean, denoised, data_range=255, channel_axis=-1)
    assert float(row["ssim"]) == pytest.approx(similarity, abs=1e-5)
    assert float(row["noisy_db"]) == pytest.approx(mashpix.psnr(clean, noisy, data_range=255), abs=1e-4)
    assert float(row["seconds"]) > 0
    assert 50 < float(row["peak_mib"]) < 2000
    key = ("set", "name", "crop", "method", "seed", "threads", "device", "noise", "version", "error")
    expected = ["pairs", "a.png", "0", "default", "3", "1", "cpu", "", mashpix.__version__, ""]
    assert [row[name] for name in key] == expected
    assert noisy_row["denoised_db"] == noisy_row["noisy_db"] == row["noisy_db"]
    assert noisy_row["seconds"] == ""
    assert "SSIM  7 x 7" in out


def test_noise_is_that_of_the_studies_and_depends_on_the_file_and_the_seed_alone(folder):
    options = {"crop": None, "synthetic_noise": SyntheticNoise(model="gaussian", sigma=25.0), "seed": 0}
    every = {source.name: load_pair(source, **options) for source in find_sources(folder, limit=None)}
    for source in find_sources(folder, limit=2):
        np.testing.assert_array_equal(load_pair(source, **options).noisy, every[source.name].noisy)
    pair = every["a.png"]
    assert mashpix.psnr(pair.clean, pair.noisy, data_range=pair.data_range) == pytest.approx(20.17, abs=0.3)
    assert pair.noisy.dtype == np.float32
    assert (pair.noisy != np.rint(pair.noisy)).any()
    other = load_pair(find_sources(folder, limit=1)[0], **(options | {"seed": 1}))
    assert (other.noisy != pair.noisy).any()
    noise, another = (every[name].noisy - every[name].clean for name in ("a.png", "b.png"))
    assert np.abs(noise - another).max() > 1  # each picture has draws of its own


def test_camera_noise_is_compared_with_what_the_camera_sees_without_it(tmp_path, rng):
    file = rng.integers(100, 200, (32, 32)).astype(np.uint8)  # finer than what the camera resolves
    save(file, tmp_path / "a.png")
    (source,) = find_sources(tmp_path, limit=None)
    pair = load_pair(source, crop=None, synthetic_noise=SyntheticNoise(model="camera", electrons=1e9), seed=0)
    assert mashpix.psnr(file, pair.clean, data_range=255) < 25
    assert mashpix.psnr(pair.clean, pair.noisy, data_range=255) > 30  # the JPEG is left


def test_what_the_file_says_of_channels_is_kept(tmp_path, rng):
    unrelated = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
    save(unrelated, tmp_path / "a.png")
    np.save(tmp_path / "b.npy", unrelated)
    options = {"crop": None, "synthetic_noise": SyntheticNoise(), "seed": 0}
    assert [load_pair(one, **options).channels for one in find_sources(tmp_path, limit=None)] == ["rgb", "auto"]


def test_crop_is_the_centre(folder):
    (source,) = find_sources(folder, limit=1)
    model = SyntheticNoise(model="gaussian", sigma=0.0)
    whole, centre = (load_pair(source, crop=crop, synthetic_noise=model, seed=0).clean for crop in (None, 20))
    np.testing.assert_array_equal(centre, whole[7:27, 5:25])


@pytest.mark.parametrize(("limit", "names"), [(None, NAMES), (9, NAMES), (2, ["a.png", "c.png"]), (1, ["a.png"])])
def test_limit_takes_pictures_evenly_spaced(folder, limit, names):
    assert [source.name for source in find_sources(folder, limit=limit)] == names


def test_means_are_those_of_the_rows_and_name_the_worst_picture(folder, tmp_path, bench, measured):
    code, out, _ = bench(folder, *WHITE, "--csv", tmp_path / "t.csv")
    rows = read_csv(tmp_path / "t.csv")
    assert (code, [row["method"] for row in rows]) == (0, ["noisy"] * 4 + ["default"] * 4)
    assert {row["noise"] for row in rows} == {"gaussian sigma=25"}
    gains = {row["name"]: float(row["denoised_db"]) - float(row["noisy_db"]) for row in rows[4:]}
    name = min(gains, key=gains.get)
    line = out.splitlines()[-1].split()
    psnr = np.mean([float(row["denoised_db"]) for row in rows[4:]])
    expected = ["default", "4/4", f"{psnr:.2f}", f"{np.mean(list(gains.values())):+.2f}"]
    assert line[:4] == expected
    assert line[5:] == ["2.50", "100", f"{gains[name]:+.2f}", name]


def test_what_the_clean_type_cannot_hold_is_clipped_before_it_is_scored(folder, tmp_path, bench, monkeypatch):
    monkeypatch.setattr(run, "measure", lambda job: Measurement(job.noisy + 1000, seconds=1.0, peak_mib=100.0))
    bench(folder, *WHITE, "--limit", 1, "--csv", tmp_path / "t.csv")
    clean = np.asarray(Image.open(folder / "a.png"))
    expected = mashpix.psnr(clean, np.full_like(clean, 255), data_range=255)
    assert float(read_csv(tmp_path / "t.csv")[1]["denoised_db"]) == pytest.approx(expected, abs=1e-4)


def test_resume_measures_what_is_not_there_and_what_failed(folder, tmp_path, bench, measured, monkeypatch):
    table = tmp_path / "t.csv"
    assert bench(folder, *WHITE, "--limit", 2, "--csv", table)[0] == 0
    before = table.read_text()
    code, _, err = bench(folder, *WHITE, "--limit", 2, "--csv", table)
    assert (code, err) == (1, f"mashpix: {str(table)!r}: it exists (choose another name, or go on with --resume)\n")
    means = bench(folder, *WHITE, "--csv", table, "--resume")[1].splitlines()[-2:]
    assert measured["all"] == 4
    assert table.read_text().startswith(before)
    assert bench(folder, *WHITE, "--csv", table, "--resume")[1].splitlines()[-2:] == means
    assert measured["all"] == 4
    for changed in (("--seed", "1"), ("--crop", "20"), ("--sigma", "5"), ("--threads", "3")):
        bench(folder, *WHITE, "--limit", 1, "--csv", table, "--resume", *changed)
    assert measured["all"] == 8
    assert len({tuple(row.values()) for row in read_csv(table)}) == 16  # nothing twice

    def fail(job):
        raise MashpixError("no luck")

    works = run.measure
    monkeypatch.setattr(run, "measure", fail)
    assert bench(folder, *WHITE, "--limit", 1, "--seed", 2, "--csv", table, "--resume")[0] == 1
    monkeypatch.setattr(run, "measure", works)
    assert bench(folder, *WHITE, "--limit", 1, "--seed", 2, "--csv", table, "--resume")[0] == 0
    assert [row["error"] for row in read_csv(table)[-2:]] == ["no luck", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "not a CSV of this version"),
        (",".join(columns(Row)), "the last line is cut off"),
        (",".join(columns(Row)) + "\nset,a.png\n", "damaged in line 2"),
    ],
)
def test_a_damaged_table_is_not_continued(folder, tmp_path, bench, text, message):
    (tmp_path / "t.csv").write_text(text)
    code, _, err = bench(folder, "--csv", tmp_path / "t.csv", "--resume")
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert (tmp_path / "t.csv").read_text() == text


def test_a_failing_measurement_is_a_row_and_the_others_go_on(folder, tmp_path, bench, measured, monkeypatch):
    works = run.measure

    def fail_once(job):
        result = works(job)
        if measured["all"] == 1:
            raise MashpixError("too\nhot")
        return result

    monkeypatch.setattr(run, "measure", fail_once)
    code, out, err = bench(folder, *WHITE, "--limit", 2, "--csv", tmp_path / "t.csv")
    assert (code, err) == (1, "")
    assert [row["error"] for row in read_csv(tmp_path / "t.csv")] == ["", "", "too hot", ""]
    assert "failed: too hot" in out
    assert out.splitlines()[-1].split()[:2] == ["default", "1/2"]


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.parametrize(
    ("noisy", "message"),
    [(np.zeros((4, 4)), "too small to denoise"), (Deadly(), r"its process died \(exit code 9\)")],
)
def test_what_goes_wrong_in_the_process_is_told(noisy, message, quick):
    with pytest.raises(MashpixError, match=message):
        measure(Job(noisy, quick, data_range=255.0, seed=0, threads=1))


REFUSED = [
    (("none",), 1, "'none': no such folder"),
    (("empty",), 1, "'empty': holds no images"),
    (("half",), 1, "'half': holds noisy/ alone"),
    (("partless",), 1, "'partless/clean': partners are missing (b.png)"),
    (
        ("unequal",),
        1,
        "'unequal/noisy/a.png': not like its clean partner (uint8 (20, 30, 3); uint8 (34, 30, 3) needed)",
    ),
    (("broken",), 1, "'broken/a.png': no known image format"),
    (("pairs", "--sigma", "5"), 2, "'pairs': its images are noisy already"),
    (("set", "--crop", "31"), 2, "'set/a.png': smaller than --crop (30 x 34; 31 asked for)"),
    (("set", "--preset", "magic"), 2, "unknown preset ('magic'"),
    (("set", "--baseline", "magic"), 2, "unknown baseline ('magic'"),
    (("set", "--resume"), 2, "--resume goes on with a CSV"),
    (("set", "--csv", "none/t.csv"), 1, "cannot write there"),
    (("set", "--plot", "p.gif"), 2, "'p.gif': no format of a plot"),
    (("set", "--model", "magic"), 2, "magic"),
    (("set", "--limit", "0"), 2, "--limit"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_measured_is_refused_before_any_work(
    arguments, code, message, folder, pairs, smooth, tmp_path, bench, measured, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save(smooth, tmp_path / "half" / "noisy" / "a.png")
    for name in ("a.png", "b.png"):
        save(smooth, tmp_path / "partless" / "noisy" / name)
    save(smooth, tmp_path / "partless" / "clean" / "a.png")
    save(smooth[:20], tmp_path / "unequal" / "noisy" / "a.png")
    save(smooth, tmp_path / "unequal" / "clean" / "a.png")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("not a picture")
    before = sorted(tmp_path.rglob("*"))
    ended, out, err = bench(*arguments)
    assert (ended, out, measured["all"]) == (code, "", 0)
    assert message in err
    assert code == 2 or err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", [("--baseline", "nlm"), ("--plot", "p.png")])
def test_a_missing_library_names_the_extra(option, folder, bench, measured, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, _, err = bench(folder, *option)
    assert (code, measured["all"], err.count("\n")) == (ExtraError.exit_code, 0, 1)
    assert "not installed (" in err
    assert 'pip install "mashpix[bench]")' in err


def test_bm3d_is_no_part_of_an_extra(folder, bench, measured, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, _, err = bench(folder, "--baseline", "bm3d")
    assert (code, measured["all"]) == (ExtraError.exit_code, 0)
    assert err == "mashpix: 'bm3d': not installed (pip install bm3d; its licence is for non-commercial use)\n"


@pytest.fixture(params=baselines.METHODS)
def baseline(request, monkeypatch):
    monkeypatch.setattr(zs_n2n, "N_UPDATES", 300)  # the published 2000 learn the noise of a picture so small
    for module in baselines.NEEDS[request.param]:
        pytest.importorskip(module, reason="the extra bench is not installed")
    return partial(baselines.denoise_baseline, name=request.param, data_range=255.0)


@pytest.mark.parametrize("picture", ["grey", "colour"])
def test_a_baseline_denoises_and_keeps_the_type(baseline, picture, smooth, rng):
    clean = smooth if picture == "colour" else smooth[..., 0]
    noisy = clean + rng.normal(0, 25, clean.shape)
    for typed in (noisy.astype(np.float32), np.clip(np.rint(noisy), 0, 255).astype(np.uint8)):
        denoised = baseline(typed)
        assert (denoised.shape, denoised.dtype) == (typed.shape, typed.dtype)
        gain = mashpix.psnr(clean, denoised, data_range=255) - mashpix.psnr(clean, typed, data_range=255)
        assert gain > 2


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 3)])
def test_a_baseline_leaves_a_picture_without_noise_as_it_is(baseline, shape):
    flat = np.full(shape, 100, np.float32)
    np.testing.assert_allclose(baseline(flat), flat, atol=1e-3)


def test_the_halves_of_zs_n2n_average_to_that_of_every_2_by_2_and_have_noise_of_their_own(rng):
    noise = torch.from_numpy(rng.normal(size=(1, 3, 200, 200)))
    first, second = zs_n2n.halves(noise)
    torch.testing.assert_close((first + second) / 2, torch.nn.functional.avg_pool2d(noise, 2))
    assert float((first * second).mean()) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("baseline", ["zs-n2n"], indirect=True)
def test_zs_n2n_takes_odd_sides_and_repeats_its_bytes_for_a_seed(baseline, smooth, rng):
    noisy = (smooth[:33, :29] + rng.normal(0, 25, (33, 29, 3))).astype(np.float32)
    first, second, other = (baseline(noisy, seed=seed) for seed in (0, 0, 1))
    assert first.shape == noisy.shape
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("baseline", ["opencv-nlm"], indirect=True)
def test_opencv_keeps_red_red_and_takes_8_bit_only(baseline, rng):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = rng.integers(150, 200, (32, 32))
    assert baseline(red)[..., 0].mean() == pytest.approx(175, abs=15)
    with pytest.raises(MashpixError, match="8 bit only"):
        baseline(red.astype(np.uint16), data_range=65535.0)


@pytest.mark.parametrize(("name", "start"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml")])
def test_a_plot_is_written_whole_and_drawn_again_on_resume(name, start, folder, tmp_path, bench, measured):
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    options = (folder, *WHITE, "--limit", 1, "--preset", "default", "--preset", "paper", "--plot", tmp_path / name)
    assert bench(*options, "--csv", tmp_path / "t.csv")[0] == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert bench(*options)[0] == 1
    assert bench(*options, "--csv", tmp_path / "t.csv", "--resume")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "set", "t.csv"]


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_at_once_with_its_child_and_keeps_its_rows(end, folder, tmp_path):
    options = ("--preset", "scripts", "--csv", tmp_path / "t.csv", "--threads", "1")
    with start_cli("bench", folder, *options, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            while not (process.poll() or children.read_text()):
                time.sleep(0.02)
            (child,) = map(int, children.read_text().split())
            time.sleep(0.5)
            process.send_signal(end)
            started = time.perf_counter()
            _, stderr = process.communicate(timeout=30)
            while alive(child):
                time.sleep(0.02)
            assert time.perf_counter() - started < 2
        finally:
            process.kill()
    if end == signal.SIGINT:
        assert (process.returncode, stderr) == (130, "mashpix: interrupted; nothing is half-written\n")
    assert [row["method"] for row in read_csv(tmp_path / "t.csv")] == ["noisy"] * 4

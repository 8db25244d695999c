"""Laws of `mashpix study`: what is measured and told, that it goes on where it stopped, and what it refuses."""

import signal
import subprocess
import time
from importlib import import_module
from operator import attrgetter

import numpy as np
import pytest
from PIL import Image

import mashpix
from commands import read_csv, start_cli
from mashpix import extras
from mashpix.errors import ExtraError, MashpixError
from mashpix.evaluation.study import ablation, gap, noise, plan, ratio, run, shuffle
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.simulation import correlation_reached
from mashpix.steps import drain

pytest.importorskip("matplotlib", reason="the extra bench is not installed")

command = import_module("mashpix.cli.study")  # as an attribute of its package it is the function
TINY = ("--crop", "32", "--steps", "3", "--threads", "1", "--device", "cpu")
COMMON = ["preset", "settings", "set", "name", "crop", "seed", "threads", "device", "version"]
SYNTHETIC = ("noise", "ratio", "shuffle", "gap")


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small_network(monkeypatch):
    """All presets with a tiny network and one mask."""
    works = command.preset
    monkeypatch.setattr(command, "preset", lambda name: works(name).replace(channels=4, depth=2, masks=1))


@pytest.fixture
def study(run_here):
    """The command in this process: exit code, stdout and stderr."""
    parts = attrgetter("returncode", "stdout", "stderr")
    return lambda *arguments: parts(run_here("study", *arguments))


@pytest.fixture
def pairs(tmp_path, rng):
    """Two pairs in the folder sidd."""
    rows, columns = np.mgrid[:40, :40]
    clean = np.stack([120 + 80 * np.sin(rows / 5 + columns / (7 + channel)) for channel in range(3)], axis=-1)
    for kind, sigma in (("clean", 0), ("noisy", 25)):
        (tmp_path / "sidd" / kind).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            pixels = np.clip(np.rint(clean + rng.normal(0, sigma, clean.shape)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "sidd" / kind / name)
    return tmp_path / "sidd"


@pytest.mark.parametrize(
    ("name", "rows"),
    [("noise", 8 * len(noise.LAGS)), ("ratio", 15), ("shuffle", 10), ("gap", 18), ("ablation", 6), ("table", 1)],
)
def test_each_study_leaves_a_table_a_figure_and_two_sentences(name, rows, study, pairs, tmp_path, small_network):
    images = () if name in SYNTHETIC else ("--images", pairs)
    code, out, err = study(name, *images, *TINY, "--quick", "--seed", "3")
    assert (code, err) == (0, "")
    output = tmp_path / f"study_{name}"
    endings = ("csv", "png", "svg", "txt")
    assert {path.name for path in output.iterdir()} == {"settings.json", *(f"{name}.{ending}" for ending in endings)}
    table = read_csv(output / f"{name}.csv")
    assert len(table) == rows
    assert list(table[0])[: len(COMMON)] == COMMON
    assert {(row["seed"], row["crop"], row["version"]) for row in table} == {("3", "32", mashpix.__version__)}
    assert name == "noise" or {row["preset"] for row in table} == {"paper"}
    assert name == "noise" or "steps=3 " in table[0]["settings"] + " "
    assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (output / f"{name}.svg").read_bytes().startswith(b"<?xml")
    _, *sentences = (output / f"{name}.txt").read_text().splitlines()
    assert len(sentences) == 2
    assert all(sentence in out for sentence in sentences)
    assert "measurements to make, about 1 min" in out


def test_a_row_is_what_denoise_gives_and_a_second_preset_stands_beside_it(study, tmp_path, small_network):
    assert study("ratio", *TINY, "--quick", "--preset", "default")[0] == 0
    table = read_csv(tmp_path / "study_ratio" / "ratio.csv")
    assert [row["preset"] for row in table] == ["paper"] * 15 + ["default"] * 15
    row = table[6]
    sources = command.find_sets([], pairs=False, limit=None)["data"]
    model = SyntheticNoise(beta=float(row["beta"]), sigma=25.0)
    pair = plan.load_pair(sources[0], crop=32, synthetic_noise=model, seed=0)
    settings = plan.shortened(command.preset("paper"), 3)
    settings = settings.replace(masking_ratio=float(row["masking_ratio"]), shuffle="never")
    denoised = mashpix.denoise(
        pair.noisy, channel_axis=-1, channels="rgb", data_range=255, settings=settings, seed=0, device="cpu"
    )
    psnr = mashpix.psnr(pair.clean, np.clip(denoised, 0, 255), data_range=255)
    assert float(row["psnr"]) == pytest.approx(psnr, abs=1e-4)


def test_the_noise_has_the_correlation_that_can_be_reached():
    sources = command.find_sets([], pairs=False, limit=None)
    chosen = plan.StudyPlan("noise", sources, {}, {}, plan.Size(crop=256), seed=0, threads=1, device="cpu")
    for job in noise.STUDY.jobs(chosen, quick=True):
        beta = noise.MODELS[job.noise].beta if job.noise.startswith("beta") else 0
        for row in drain(noise.STUDY.measure(chosen, job)):
            height, width = map(int, row.lag.split(","))
            reached = correlation_reached(beta=beta)[4 + height, 4 + width]
            assert row.measured == pytest.approx(reached, abs=0.04)
            assert 20 < row.std < 30


def test_it_goes_on_where_it_stopped(study, tmp_path, small_network, monkeypatch):
    works, made = ratio.RatioStudy.measure, []

    def measure(self, chosen, row):
        made.append(row.key)
        if len(made) == 5:
            raise MashpixError("no luck")
        return (yield from works(self, chosen, row))

    monkeypatch.setattr(ratio.RatioStudy, "measure", measure)
    code, _, err = study("ratio", *TINY, "--quick")
    assert (code, err) == (1, "mashpix: no luck\n")
    table = tmp_path / "study_ratio" / "ratio.csv"
    before = table.read_text()
    assert before.count("\n") == 5
    code, out, _ = study("ratio", *TINY, "--quick")
    assert code == 0
    assert "11 measurements to make" in out
    assert "4 are there already" in out
    assert table.read_text().startswith(before)
    assert len(made) == 5 + 11
    figure = (tmp_path / "study_ratio" / "ratio.svg").read_bytes()
    assert study("ratio", *TINY, "--quick")[0] == 0
    assert len(made) == 5 + 11
    assert (tmp_path / "study_ratio" / "ratio.svg").read_bytes() == figure


def test_a_folder_with_other_settings_is_left_alone(study, pairs, tmp_path, small_network):
    assert study("table", *TINY, "--images", pairs)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "study_table").iterdir()}
    changes = {("--seed", "1"): "seed", ("--crop", "24"): "crop", ("--steps", "2"): "steps, presets"}
    for change, named in changes.items():
        code, _, err = study("table", *TINY, "--images", pairs, *change)
        assert code == 2
        assert f"'study_table': holds a study with other settings ({named}; choose another with --output)" in err
    assert {path: path.read_bytes() for path in (tmp_path / "study_table").iterdir()} == before


def test_ctrl_c_ends_it_and_keeps_whole_rows(tmp_path):
    options = ("--crop", "32", "--steps", "6", "--threads", "1", "--device", "cpu")
    with start_cli("study", "ratio", *options, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        table = tmp_path / "study_ratio" / "ratio.csv"
        while not (table.exists() or process.poll() is not None):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "mashpix: interrupted; nothing is half-written\n")
    assert table.read_text().endswith("\n")
    assert 1 <= len(read_csv(table)) < 27
    assert not [path for path in table.parent.iterdir() if path.suffix in (".png", ".svg", ".txt")]


REFUSED = [
    (("magic",), 2, "magic"),
    (("table",), 2, "real pairs are needed"),
    (("ablation", "--images", "clean"), 2, "'clean': not for this study (noisy/ and clean/ in it are needed)"),
    (("ratio", "--images", "sidd"), 2, "'sidd': not for this study (clean images are needed)"),
    (("ratio", "--images", "none"), 1, "'none': no such folder"),
    (("ratio", "--images", "clean", "--images", "clean"), 2, "an image of this folder and name is there already"),
    (("gap", "--images", "deep"), 1, "not an 8-bit image"),
    (("gap", "--images", "clean", "--crop", "41"), 2, "smaller than --crop (40 x 40; 41 asked for)"),
    (("gap", "--preset", "magic"), 2, "unknown preset ('magic'"),
    (("noise", "--preset", "default"), 2, "--preset: the study 'noise' fits no network"),
    (("gap", "--steps", "0"), 2, "--steps"),
    (("gap", "--device", "magic"), 2, "unknown device"),
    (("gap", "-o", "clean/a.png"), 1, "cannot write there"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_studied_is_refused_before_any_work(
    arguments, code, message, study, pairs, tmp_path, monkeypatch
):
    monkeypatch.setattr(run, "run", None)
    for name in ("clean", "deep"):
        (tmp_path / name).mkdir()
    Image.open(pairs / "clean" / "a.png").save(tmp_path / "clean" / "a.png")
    Image.fromarray(np.zeros((300, 300), np.uint16)).save(tmp_path / "deep" / "a.png")
    before = sorted(tmp_path.rglob("*"))
    ended, out, err = study(*arguments)
    assert (ended, out) == (code, "")
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_matplotlib_the_extra_is_named(study, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, _, err = study("noise")
    assert code == ExtraError.exit_code
    assert 'pip install "mashpix[bench]")' in err


BASE = {"preset": "paper", "settings": "", "set": "sidd", "name": "a.png", "crop": 0, "seed": 0}
BASE |= {"threads": 1, "device": "cpu", "version": "0"}


@pytest.mark.parametrize(
    ("best", "peaks", "verdicts"),
    [
        ((0.2, 0.5, 0.8), (30, 28, 26), ("0.2, 0.5 and 0.8, as published", "falls as published")),
        ((0.8, 0.5, 0.2), (26, 28, 30), ("0.8, 0.5 and 0.2, unlike the published", "does not fall steadily, unlike")),
    ],
)
def test_ratio_tells_what_came_out(best, peaks, verdicts):
    rows = [
        ratio.RatioRow(**BASE, beta=beta, masking_ratio=tau, psnr=peak - 10 * abs(tau - top))
        for beta, top, peak in zip(plan.BETAS, best, peaks, strict=True)
        for tau in (0.2, 0.5, 0.8)
    ]
    for sentence, verdict in zip(ratio.STUDY.summarise(rows), verdicts, strict=True):
        assert verdict in sentence


@pytest.mark.parametrize(
    ("gaps", "verdict"), [((1, 2, 3), "on 1 of 1 images, as"), ((1, 3, 2), "on 0 of 1 images, unlike")]
)
def test_gap_tells_what_came_out(gaps, verdict):
    rows = [
        gap.GapRow(**BASE, beta=beta, masking_ratio=tau, updates=updates, noise_level=20 + size * (tau > 0.5))
        for beta, size in zip(plan.BETAS, gaps, strict=True)
        for tau in (0.2, 0.8)
        for updates, size in ((1, 9), (2, size))
    ]
    assert gap.gaps_of(rows) == {"a.png": list(gaps)}
    assert verdict in gap.STUDY.summarise(rows)[0]


def test_noise_tells_what_came_out():
    found = {"colours": "grey", "lag": "1,0", "asked": 0.5, "reached": 0.49, "measured": 0.52}
    rows = [
        noise.NoiseRow(**BASE, **found, noise=name, dark_std=dark, bright_std=bright)
        for name, dark, bright in (("beta 0", 24.96, 25.04), ("value-dependent", 10.04, 28.06))
    ]
    first, second = noise.STUDY.summarise(rows)
    assert "at most 0.030 from" in first
    assert second.endswith("goes from 10.0 to 28.1 grey levels, that of beta 0 from 25.0 to 25.0.")


@pytest.mark.parametrize(("gain", "verdict"), [(1, "as published"), (-1, "unlike the published result")])
def test_shuffle_tells_what_came_out(gain, verdict):
    curves = [(tau, size) for tau in (0.2, 0.5, 0.8) for size in (0, 4)]
    rows = [
        shuffle.ShuffleRow(**BASE, masking_ratio=tau, block_size=size, psnr=30 + gain * (size > 0) + (size == 3))
        for tau, size in curves + [(0.8, size) for size in (2, 3, 5, 6)]
    ]
    first, second = shuffle.STUDY.summarise(rows)
    assert verdict in first
    assert "best at 3" in second


def test_ablation_takes_its_variants_and_the_best_ratio_from_the_same_fits():
    fits = {(0.0, "no"): None, (0.2, "no"): 30, (0.5, "no"): 31, (0.8, "no"): 33, (0.5, "yes"): 32, (0.8, "yes"): 34}

    def rows(chosen):
        for (tau, shuffled), psnr in fits.items():
            found = {"chosen_ratio": chosen} if psnr is None else {"psnr": psnr}
            yield ablation.AblationRow(**BASE, masking_ratio=tau, shuffled=shuffled, **found)

    assert ablation.variants(list(rows(0.8))) == {"neither": 31, "shuffling": 32, "chosen ratio": 33, "both": 34}
    assert ablation.variants(list(rows(0.2))) == {"neither": 31, "shuffling": 32, "chosen ratio": 30, "both": 30}
    assert ablation.is_best(list(rows(0.8)))
    assert "both is the best, as published" in ablation.STUDY.summarise(list(rows(0.8)))[0]
    assert not ablation.is_best(list(rows(0.2)))
    assert "both is not the best" in ablation.STUDY.summarise(list(rows(0.2)))[0]

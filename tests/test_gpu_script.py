"""Laws of benchmarks/gpu.py: it does each step, says what became of it, and goes on where it stopped."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import read_csv

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(tmp_path, rng):
    """The script on tiny sets; returns the rows of its steps."""
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    clean = np.full((64, 64, 3), 120) + 80 * np.sin(np.arange(64) / 6)[:, None]
    for place, sigma in (("kodak", 0), ("sidd/clean", 0), ("sidd/noisy", 20)):
        (tmp_path / "data" / place).mkdir(parents=True)
        pixels = np.clip(clean + sigma * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / place / "a.png")

    def run(minutes):
        options = ("--minutes", str(minutes), "--device", "cpu", "--quick", "--out", tmp_path / "out")
        command = [sys.executable, ROOT / "benchmarks" / "gpu.py", tmp_path / "data", *options]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # what this process uses
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "out" / "log.txt").read_text()
        return read_csv(tmp_path / "out" / "steps.csv")

    return run


def test_without_time_it_says_so_and_starts_nothing(script, tmp_path):
    (row,) = script(minutes=0)
    assert (row["step"], row["outcome"]) == ("tests", "out of time")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["steps.csv"]


@pytest.mark.slow
def test_it_does_every_step_once(script, tmp_path):
    rows = script(minutes=15)
    assert {row["outcome"] for row in rows} == {"done"}
    figures = {row["step"]: row["figure"] for row in rows}
    assert figures["bytes of two runs, fast"] == "the same"
    assert float(figures["images in a folder, fast"].split()[0]) > 0
    assert [row["method"] for row in read_csv(tmp_path / "out" / "presets.csv")] == ["noisy", "fast"]
    assert {row["set"] for row in read_csv(tmp_path / "out" / "sets.csv")} == {"sidd", "kodak"}
    studies = {path.parent.name for path in (tmp_path / "out").glob("study_*/*.csv")}
    assert studies == {f"study_{name}" for name in ("ratio", "shuffle", "gap", "ablation", "table")}
    assert script(minutes=15) == rows

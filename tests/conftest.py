"""What tests share: random generators, small settings, and the folder of real pictures where there is one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import commands
from mashpix import Settings
from mashpix.cli import folders
from mashpix.files import atomic_folder
from mashpix.jobs.batch import run_in_process

torch.set_num_threads(1)  # pictures are tiny: threads would only wait for each other
settings.register_profile("mashpix", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("mashpix")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def quick():
    """Settings that take a moment: a tiny network, few updates."""
    return replace(Settings(), masking_ratio=0.5, steps=4, probe_steps=2, masks=2, channels=6, depth=2, shuffle_start=2)


@pytest.fixture
def stack(rng):
    """Two times, two channels, three planes of 24 x 40, 12 bits."""
    return rng.integers(0, 4096, (2, 2, 3, 24, 40)).astype(np.uint16)


@pytest.fixture
def no_sync(monkeypatch):
    """Whether a folder has come to the disk cannot be seen here, and a busy disk takes seconds to say so."""
    monkeypatch.setattr(atomic_folder, "_sync", lambda folder: None)


@pytest.fixture
def run_here():
    """The function of helpers/commands.py."""
    return commands.run_here


@pytest.fixture
def no_workers(monkeypatch):
    """Commands run the jobs of a folder in this process: for what is not about worker processes."""
    monkeypatch.setattr(folders, "ProcessExecutor", lambda jobs, threads: run_in_process)


@pytest.fixture
def shared_data():
    if not SHARED.is_dir():
        pytest.skip("the real pictures of ../shared/data are not here")
    return SHARED

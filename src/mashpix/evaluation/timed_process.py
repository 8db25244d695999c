"""Denoise one image in a fresh process, so that time and peak memory are those of this run alone."""

import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels
from mashpix.errors import MashpixError
from mashpix.settings import Settings

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that limit the threads of the libraries; read when these are loaded."""
CHILD = (sys.executable, "-P", "-W", "ignore", "-c", "from mashpix.evaluation.timed_process import answer; answer()")


@dataclass(frozen=True)
class Job:
    """A measurement to make: one method on one image.

    noisy : (H, W) or (H, W, C), any integer or floating dtype
    method : settings of mashpix, or the name of a baseline
    data_range : distance from black to white, in the units of the image
    seed : of all random draws
    threads : number that the libraries may use
    device, channels : of presets, as `mashpix.denoise` takes them
    """

    noisy: NDArray[Any]
    method: Settings | str
    data_range: float
    seed: int
    threads: int
    device: str = "cpu"
    channels: Channels = "auto"


@dataclass(frozen=True)
class Measurement:
    """The result of a method on an image, and its cost.

    denoised : shape and dtype of the noisy image
    seconds : of denoising alone, without starting Python and loading libraries
    peak_mib : peak memory in MiB, including Python and the libraries
    """

    denoised: NDArray[Any]
    seconds: float
    peak_mib: float


def measure(job: Job) -> Measurement:
    """Denoise one image in a fresh process, which never outlives this one.

    Raises
    ------
    MashpixError
        If the method fails or its process dies.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the same mashpix, installed or not
    with subprocess.Popen(
        CHILD,
        env=environment,
        start_new_session=True,  # ignores Ctrl-C
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            pickle.dump(job, child.stdin)
            child.stdin.flush()  # but not closed: the child would end
            result: Measurement | str = pickle.load(child.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            raise MashpixError(f"its process died (exit code {child.wait()})") from None
        finally:
            child.kill()
            with suppress(BrokenPipeError):  # the part that it had not read yet
                child.stdin.close()
    if isinstance(result, str):
        raise MashpixError(result)
    return result


def answer() -> None:
    """Child's side: read a job from stdin, and write a measurement or the error to stdout."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries must not get into the answer
    job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result: Measurement | str = _run(job)
    except MashpixError as error:
        result = str(error)
    except Exception as error:  # a row of the table, not the end of it
        result = f"{type(error).__name__}: {error}"
    pickle.dump(result, output)
    output.close()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the other end closes
    os._exit(1)


def _run(job: Job) -> Measurement:
    denoise = _load_method(job)
    started = time.perf_counter()
    denoised = denoise(job.noisy)
    seconds = time.perf_counter() - started
    return Measurement(denoised, seconds, peak_mib())


def _load_method(job: Job) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the method as a function, limited to some threads, that has run once: its libraries are loaded."""
    small = np.random.default_rng(0).uniform(0, job.data_range, (32, 32, *job.noisy.shape[2:]))
    if isinstance(job.method, Settings):
        import torch

        from mashpix.arrays.denoising import denoise

        torch.set_num_threads(job.threads)
        channel_axis = -1 if job.noisy.ndim == 3 else None
        preset = partial(
            denoise,
            channel_axis=channel_axis,
            channels=job.channels,
            data_range=job.data_range,
            seed=job.seed,
            device=job.device,
        )
        preset(small, settings=job.method.replace(probe_steps=1, steps=1))
        return partial(preset, settings=job.method)
    from mashpix.evaluation.baselines import NEEDS, denoise_baseline

    if "cv2" in NEEDS[job.method]:
        import cv2

        cv2.setNumThreads(job.threads)
    baseline = partial(denoise_baseline, name=job.method, data_range=job.data_range, seed=job.seed)
    baseline(small)
    return baseline


def peak_mib() -> float:
    """Return the peak memory of this process so far, MiB."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 2**10
    import resource  # on Linux this would count the memory of the process that started this one

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

"""Denoise one picture from that picture alone, by MASH (CVPR 2024) and what grows out of it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mashpix.arrays.denoising import denoise, denoise_steps
    from mashpix.arrays.normalization import blend
    from mashpix.arrays.stacks import denoise_stack, denoise_stack_steps
    from mashpix.errors import DeviceError, ExtraError, FileError, InputError, MashpixError, UsageError
    from mashpix.metrics import psnr, ssim
    from mashpix.noise_report.inspecting import inspect, inspect_steps
    from mashpix.noise_report.inspecting_stacks import inspect_stack, inspect_stack_steps
    from mashpix.noise_report.report import NoiseReport
    from mashpix.report import Report, Step
    from mashpix.settings import PRESETS, Settings, preset
    from mashpix.trust.detail import add_detail
    from mashpix.trust.verdict import Verdict, check

_HOMES = {
    "DeviceError": "errors",
    "ExtraError": "errors",
    "FileError": "errors",
    "InputError": "errors",
    "MashpixError": "errors",
    "NoiseReport": "noise_report.report",
    "PRESETS": "settings",
    "Report": "report",
    "Settings": "settings",
    "Step": "report",
    "UsageError": "errors",
    "Verdict": "trust.verdict",
    "add_detail": "trust.detail",
    "blend": "arrays.normalization",
    "check": "trust.verdict",
    "denoise": "arrays.denoising",
    "denoise_stack": "arrays.stacks",
    "denoise_stack_steps": "arrays.stacks",
    "denoise_steps": "arrays.denoising",
    "inspect": "noise_report.inspecting",
    "inspect_stack": "noise_report.inspecting_stacks",
    "inspect_stack_steps": "noise_report.inspecting_stacks",
    "inspect_steps": "noise_report.inspecting",
    "preset": "settings",
    "psnr": "metrics",
    "ssim": "metrics",
}

__all__ = [
    "PRESETS",
    "DeviceError",
    "ExtraError",
    "FileError",
    "InputError",
    "MashpixError",
    "NoiseReport",
    "Report",
    "Settings",
    "Step",
    "UsageError",
    "Verdict",
    "add_detail",
    "blend",
    "check",
    "denoise",
    "denoise_stack",
    "denoise_stack_steps",
    "denoise_steps",
    "inspect",
    "inspect_stack",
    "inspect_stack_steps",
    "inspect_steps",
    "preset",
    "psnr",
    "ssim",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds to load, `mashpix --help` must not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

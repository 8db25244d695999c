"""The public names, spelled once: type checkers read this file, and so does `__init__.py` when it is imported."""

from mashpix import simulation as simulation
from mashpix.arrays.blending import blend as blend
from mashpix.arrays.denoising import denoise as denoise
from mashpix.arrays.denoising import denoise_steps as denoise_steps
from mashpix.arrays.model import Model as Model
from mashpix.arrays.modelling import apply_model as apply_model
from mashpix.arrays.modelling import apply_model_steps as apply_model_steps
from mashpix.arrays.modelling import fit_model as fit_model
from mashpix.arrays.modelling import fit_model_steps as fit_model_steps
from mashpix.arrays.stacks import denoise_stack as denoise_stack
from mashpix.arrays.stacks import denoise_stack_steps as denoise_stack_steps
from mashpix.errors import DeviceError as DeviceError
from mashpix.errors import ExtraError as ExtraError
from mashpix.errors import FileError as FileError
from mashpix.errors import InputError as InputError
from mashpix.errors import MashpixError as MashpixError
from mashpix.errors import UsageError as UsageError
from mashpix.jobs.recipe import Recipe as Recipe
from mashpix.jobs.recipe import read_recipe as read_recipe
from mashpix.metrics import psnr as psnr
from mashpix.metrics import ssim as ssim
from mashpix.noise_report.inspecting import inspect as inspect
from mashpix.noise_report.inspecting import inspect_steps as inspect_steps
from mashpix.noise_report.inspecting_stacks import inspect_stack as inspect_stack
from mashpix.noise_report.inspecting_stacks import inspect_stack_steps as inspect_stack_steps
from mashpix.noise_report.report import NoiseReport as NoiseReport
from mashpix.report import Report as Report
from mashpix.report import Step as Step
from mashpix.settings import PRESETS as PRESETS
from mashpix.settings import Settings as Settings
from mashpix.settings import preset as preset
from mashpix.trust.comparison_sheet import compare as compare
from mashpix.trust.detail import add_detail as add_detail
from mashpix.trust.finishing import Denoised as Denoised
from mashpix.trust.finishing import denoise_and_check as denoise_and_check
from mashpix.trust.stack_verdict import check_stack as check_stack
from mashpix.trust.verdict import Verdict as Verdict
from mashpix.trust.verdict import check as check

__all__: list[str]
__version__: str

"""Events that a job yields, and outcomes that it returns: data that can be sent between threads and processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mashpix.jobs.recipe import Recipe
from mashpix.report import Report, Step

if TYPE_CHECKING:
    from mashpix.noise_report.report import NoiseReport
    from mashpix.trust.verdict import Verdict


@dataclass(frozen=True)
class Note:
    """A remark for the user, in one line.

    Options are named in backquotes, as in errors: each front end spells them in its own way.
    """

    text: str
    severity: Literal["info", "warning"] = "warning"


@dataclass(frozen=True)
class Written:
    """A file that is now complete.

    kind : "denoised", "recipe", "spread", "residual", "report" or "compare"; from other jobs "model", "blended", "html"
        or "json"
    """

    path: Path
    kind: str


Event = Step | Note | Written
"""What happens during a job."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of denoising one file.

    target : the denoised file
    axes, shape : of the stack; for a single image "YX" or "YXS"
    report, verdict : measurements and decisions, and whether the result can be trusted; for all planes
    recipe : as written beside the output
    written : all files that were written, by kind as in `Written`
    compared : the plane shown by `compare`; "" for a single image
    seconds : of the whole job
    """

    target: Path
    axes: str
    shape: tuple[int, ...]
    report: Report
    verdict: "Verdict"
    recipe: Recipe
    written: dict[str, Path]
    compared: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class PartOutcome:
    """The outcome of denoising a part of the blocks of one file.

    target : the denoised file, which is not written yet
    parts : what the blocks are called: "planes" if each is a plane
    done : number of blocks done by this run
    left : number of blocks that no run has done yet
    seconds : of the whole job
    """

    target: Path
    parts: str
    done: int
    left: int
    seconds: float


@dataclass(frozen=True)
class FitOutcome:
    """The outcome of fitting a model.

    target, sha256 : the file of the model
    fitted, planes : number of images that the network was fitted to, and of all images
    kinds : of the files that were read: axes, channels and dtype, in words
    masking_ratio : as measured
    seconds : of the whole job
    """

    target: Path
    sha256: str
    fitted: int
    planes: int
    kinds: tuple[str, ...]
    masking_ratio: float
    seconds: float


@dataclass(frozen=True)
class InspectOutcome:
    """The outcome of an inspection.

    report : the noise, and the cost of denoising
    verdict : on the denoised version, if there is one
    removed : what was removed in that, against the noise level, in words
    written : the reports that were written, "html" and "json"
    """

    report: "NoiseReport"
    verdict: "Verdict | None"
    removed: str | None
    written: dict[str, Path]


@dataclass(frozen=True)
class BlendOutcome:
    """The outcome of blending.

    target : the result
    verdict : on the denoised version that was blended
    written : all files that were written, "blended" and "compare"
    """

    target: Path
    verdict: "Verdict"
    written: dict[str, Path]

"""What a job yields on its way, and what it returns at its end: data that travels between threads and processes."""

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

    Options are named in backquotes, as in errors: a front end spells them in its own way.
    """

    text: str
    severity: Literal["info", "warning"] = "warning"


@dataclass(frozen=True)
class Written:
    """A file that now exists, complete.

    kind : "denoised", "recipe", "spread", "residual", "report" or "compare"; of other jobs "model", "blended", "html"
        or "json"
    """

    path: Path
    kind: str


Event = Step | Note | Written
"""What happens during a job."""


@dataclass(frozen=True)
class Outcome:
    """How denoising one file ended.

    target : the denoised file
    axes, shape : of the stack; of a single image "YX" or "YXS"
    report, verdict : what was measured and decided, and whether the result can be trusted; of all planes
    recipe : as written beside the output
    written : all files that were written, by kind as in `Written`
    compared : the plane that `compare` shows; "" for a single image
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
class FitOutcome:
    """How fitting a model ended.

    target, sha256 : the file of the model
    fitted, planes : how many images the network was fitted to, and how many there were
    kinds : what the files that were looked at are: axes, channels and dtype, in words
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
    """How an inspection ended.

    report : the noise, and what denoising would take
    verdict : on the denoised version, if that was given
    written : the reports that were written, "html" and "json"
    """

    report: "NoiseReport"
    verdict: "Verdict | None"
    written: dict[str, Path]


@dataclass(frozen=True)
class BlendOutcome:
    """How blending ended.

    target : the result
    verdict : on the denoised version that went into it
    written : all files that were written, "blended" and "compare"
    """

    target: Path
    verdict: "Verdict"
    written: dict[str, Path]

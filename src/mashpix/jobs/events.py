"""What a job yields on its way, and what it returns at its end: data that travels between threads and processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mashpix.jobs.recipe import Recipe
from mashpix.report import Report, Step

if TYPE_CHECKING:
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

    kind : "denoised", "recipe", "spread", "residual", "report", "compare" or "model"
    """

    path: Path
    kind: str


Event = Step | Note | Written
"""What happens during a job."""


@dataclass(frozen=True)
class Outcome:
    """How a job on one file ended.

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

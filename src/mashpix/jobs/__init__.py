"""Jobs: everything that happens to one file, as a generator of events.

A request goes in; events come out on the way (`Step`, `Note`, `Written`); the result is an
outcome. All three travel between threads and processes. A job prints nothing and sets no thread count.

    job = denoise_file(DenoiseRequest(source=Path("cells.tif"), target=Path("clean.tif")))
    outcome = run(job, show=print)      # or in a loop; `job.close()` stops it and leaves no partial file
    outcome = run(in_background(job))   # the work in a thread of its own
"""

from mashpix.jobs.background import in_background, run
from mashpix.jobs.blend_files import blend_files
from mashpix.jobs.denoise_file import denoise_file
from mashpix.jobs.events import BlendOutcome, Event, FitOutcome, InspectOutcome, Note, Outcome, PartOutcome, Written
from mashpix.jobs.fit_model import fit_model
from mashpix.jobs.inspect_file import inspect_file
from mashpix.jobs.model_reference import ModelReference, refer_to_model
from mashpix.jobs.parts import denoise_part
from mashpix.jobs.recipe import Recipe, read_recipe
from mashpix.jobs.request import BlendRequest, DenoiseRequest, FitRequest, InspectRequest
from mashpix.report import Step

__all__ = [
    "BlendOutcome",
    "BlendRequest",
    "DenoiseRequest",
    "Event",
    "FitOutcome",
    "FitRequest",
    "InspectOutcome",
    "InspectRequest",
    "ModelReference",
    "Note",
    "Outcome",
    "PartOutcome",
    "Recipe",
    "Step",
    "Written",
    "blend_files",
    "denoise_file",
    "denoise_part",
    "fit_model",
    "in_background",
    "inspect_file",
    "read_recipe",
    "refer_to_model",
    "run",
]

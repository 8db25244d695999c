"""Build the API reference from the docstrings: `python docs/build_api.py`, then open build/api/index.html."""

import warnings
from pathlib import Path

import pdoc

import mashpix

OUTPUT = Path(__file__).parents[1] / "build" / "api"
MODULES = (
    "mashpix",  # with the public modules in it, such as mashpix.simulation
    "mashpix.files",
    "mashpix.jobs",
    "mashpix.jobs.batch",
    "mashpix.method.mash",
    "mashpix.method.masking_ratio",
    "mashpix.refine.refining",
    "mashpix.refine.tuning",
    "mashpix.settings",
)

for name in mashpix.__all__:
    getattr(mashpix, name)  # pdoc documents what is loaded, and mashpix loads its names late
with warnings.catch_warnings():
    warnings.simplefilter("error")  # a name that does not resolve
    pdoc.render.configure(docformat="numpy")
    pdoc.pdoc(*MODULES, output_directory=OUTPUT)
print(f"wrote {OUTPUT.relative_to(Path.cwd()) if OUTPUT.is_relative_to(Path.cwd()) else OUTPUT}/index.html")

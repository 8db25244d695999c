"""`--recipe`: take the options of an earlier run, unless the command line overrides them."""

from pathlib import Path
from typing import Any

from mashpix import __version__
from mashpix.cli.console import complain
from mashpix.errors import UsageError
from mashpix.jobs import Recipe, read_recipe

TAKEN = ("seed", "strength", "detail", "data_range", "device", "threads", "channels", "nodata", "dtype")
"""Options that a recipe sets, besides those of a stack."""


def read_known(path: Path | None) -> Recipe | None:
    """Read the recipe, if one is given; print a line if another version wrote it."""
    if path is None:
        return None
    recipe = read_recipe(path)
    if recipe.version != __version__:
        complain(f"the recipe is of version {recipe.version}, this is {__version__}: the bytes may differ")
    return recipe


def options_of(recipe: Recipe | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a recipe sets: those of a request, and `threads`; a mask has to be among those given."""
    if recipe is None:
        return {}
    if recipe.mask and "mask" not in given:
        raise UsageError(f"the recipe left out the pixels of a mask ({recipe.mask['name']!r}; give it with --mask)")
    stack = recipe.stack or {}
    found = {name: getattr(recipe, name) for name in TAKEN} | {
        name: stack.get(name) for name in ("axes", "networks", "by_blocks")
    }
    return {name: value for name, value in found.items() if value is not None}

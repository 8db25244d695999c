"""`--recipe`: take the options of an earlier run, unless the command line overrides them."""

from pathlib import Path
from typing import Any

from mashpix import __version__
from mashpix.cli.console import complain
from mashpix.deprecation import networks_of
from mashpix.jobs import Recipe, read_recipe

DEFAULTS = {"seed": 0, "strength": 1.0, "detail": 0.0, "device": "auto", "networks": "shared", "channels": "auto"}
"""Defaults of options that neither the command line nor a recipe sets; all others are None."""


def read_known(path: Path | None) -> Recipe | None:
    """Read the recipe, if one is given; print a line if another version wrote it."""
    if path is None:
        return None
    recipe = read_recipe(path)
    if recipe.version != __version__:
        complain(f"the recipe is of version {recipe.version}, this is {__version__}: the bytes may differ")
    return recipe


def merge(recipe: Recipe | None, **given: Any) -> dict[str, Any]:
    """Return the given options; replace each None by the recipe's value, or by the default.

    Examples
    --------
    >>> merge(None, seed=3, strength=None, axes=None)
    {'seed': 3, 'strength': 1.0, 'axes': None}
    """
    known: dict[str, Any] = {}
    if recipe is not None:
        stack = recipe.stack or {}
        known = vars(recipe) | stack | ({"networks": networks_of(stack["fit"])} if stack else {})
    choices = {name: (value, known.get(name), DEFAULTS.get(name)) for name, value in given.items()}
    return {name: next((value for value in values if value is not None), None) for name, values in choices.items()}

"""`mashpix fit` and `mashpix apply`: fit a network once to a few images, and apply it to all of their kind."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import follow, use_threads
from mashpix.cli.from_recipe import options_of, read_known
from mashpix.cli.options import build_settings, respell, settings_flags, shared_flags
from mashpix.cli.outcomes import denoise_files, describe_fit, shared_request
from mashpix.cli.targets import find_targets
from mashpix.errors import UsageError
from mashpix.jobs import FitRequest, fit_model, refer_to_model
from mashpix.settings import preset


@settings_flags
@shared_flags("preset data_range axes channels joint device threads seed overwrite max_pixels nodata mask dtype")
def fit(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Images or stacks of one kind.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="Model file (safetensors).")],
    *,
    given: dict[str, Any],
    overrides: dict[str, Any],
) -> None:
    """Fit a network to up to four of the given images or planes, evenly spread."""
    given = respell(given, overrides)
    threads = given.pop("threads", None)
    settings = build_settings(preset(given.pop("preset", "default")), overrides)
    request = FitRequest(sources=tuple(inputs), target=output, settings=settings, **given)
    use_threads(threads)
    typer.echo(describe_fit(follow(fit_model(request), str(output))))


@shared_flags(
    "output recipe strength detail save strict axes channels joint device threads seed overwrite max_pixels nodata "
    "mask dtype"
)
def apply(
    model: Annotated[Path, typer.Argument(metavar="MODEL", readable=False, help="Model file from mashpix fit.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Images or stacks of the same kind.")
    ],
    *,
    given: dict[str, Any],
) -> None:
    """Denoise images or stacks with a model: nothing is fitted."""
    targets = find_targets(inputs, given.pop("output", None), in_place=False)
    reference = refer_to_model(model)
    path = given.pop("recipe", None)
    known = read_known(path)
    if known and (known.model or {}).get("sha256") != reference.sha256:
        raise UsageError(f"the recipe is not of this model ({str(path)!r}; --recipe takes what apply wrote with it)")
    options = options_of(known, given) | respell(given)
    use_threads(options.pop("threads", None))
    raise typer.Exit(denoise_files(shared_request(model=reference, **options), inputs, targets))

"""Flags that several commands share, and flags made from the fields of dataclasses. Each is spelled once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from mashpix.arrays.colour import Channels
from mashpix.cli.console import complain
from mashpix.cli.folders import FolderOptions
from mashpix.errors import UsageError
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.jobs.request import Map
from mashpix.settings import PRESETS, Settings

DEVICES = "auto|cpu|cuda|cuda:N|mps"
"""How the command line shows the choices of --device."""
AUTO = "auto"
"""How the command line spells None: measured in the image."""

Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="OUT|DIR", help="Output file, or folder; else <stem>_denoised<ext>."),
]
RecipeFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Take settings, seed, strength, device and threads from a recipe.")
]
Preset = Annotated[str, typer.Option("--preset", metavar="|".join(PRESETS), help="Settings to start from.")]
Device = Annotated[str | None, typer.Option(metavar=DEVICES, help="Device to compute on; default: auto.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of CPU threads; default: one per core.")]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of all random draws; default 0.")]
Strength = Annotated[
    float | None,
    typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 leaves the image as it is, 1 (default) denoises it."),
]
Detail = Annotated[
    float | None,
    typer.Option(metavar="0..1", min=0, max=1, help="Restore fine texture where the residual contains any; default 0."),
]
DataRange = Annotated[
    float | None, typer.Option(metavar="X", help="Distance from black to white, for the published presets.")
]
Save = Annotated[
    str,
    typer.Option(metavar=",".join(get_args(Map)), help="Also write these beside the output, separated by commas."),
]
Compare = Annotated[
    Path | None, typer.Option(metavar="PNG", help="Draw before, after and residual side by side; one input only.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse an image if part of its file cannot be kept.")]
MaxPixels = Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger images.")]
Axes = Annotated[
    str | None, typer.Option(metavar="LETTERS", help="Axes of a stack, such as TZCYX; default: as the file says.")
]
ChannelKind = Annotated[
    str | None,
    typer.Option(
        "--channels",
        metavar="|".join(get_args(Channels)),
        help="What channels are: the colours of one scene, independent, or to be denoised together; default: auto, as "
        "the file says or the image shows.",
    ),
]
Joint = Annotated[bool | None, typer.Option("--joint/--no-joint", hidden=True)]
Sparse = Annotated[
    bool, typer.Option("--sparse", help="OME-Zarr: accept missing chunks as empty, and leave them missing.")
]


FLAGS = {"channels": "network_channels"}
"""Settings whose flag is named differently from the field."""


def read_channels(channels: str | None, joint: bool | None, overrides: dict[str, Any] | None = None) -> str | None:
    """Return the value of --channels, or of --joint, its name in version 0.1.

    A number is the setting that version 0.1 called --channels: it goes to `overrides`.
    """
    if overrides is not None and channels is not None and channels.isdecimal():
        complain(f"--channels {channels} is now spelled --network-channels {channels}; the old spelling will go")
        overrides["channels"], channels = int(channels), None
    if joint is None:
        return channels
    if channels is not None:
        raise UsageError("--channels and --joint are one option (--joint is its former name; leave it out)")
    found = "joint" if joint else "auto"
    complain(f"--{'' if joint else 'no-'}joint is now spelled --channels {found}; the old spelling will go")
    return found


def parse_save(text: str) -> tuple[Any, ...]:
    """Split the value of --save; the request refuses unknown names."""
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of all settings to a command, which gets those in use as the keyword `overrides`."""
    flags = [_override_flag(item, panel="Settings (default: those of the preset)") for item in fields(Settings)]

    def used(values: dict[str, Any]) -> dict[str, Any]:
        return {item.name: value for item in fields(Settings) if (value := values[_flag_of(item)]) is not None}

    return _with_flags(command, flags, keyword="overrides", make=used)


def noise_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of the noise models to a command, which gets the result as the keyword `synthetic_noise`."""
    flags = [_flag(item, panel=None) for item in fields(SyntheticNoise)]
    return _with_flags(command, flags, keyword="synthetic_noise", make=lambda values: SyntheticNoise(**values))


def folder_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags for many files to a command, which gets them as the keyword `folders`."""
    flags = [_flag(item, panel="Folders and many files") for item in fields(FolderOptions)]
    return _with_flags(command, flags, keyword="folders", make=lambda values: FolderOptions(**values))


def _flag_of(item: Field[Any]) -> str:
    """Return the name of the flag of a setting."""
    return FLAGS.get(item.name, item.name)


def _with_flags(
    command: Callable[..., None],
    flags: list[inspect.Parameter],
    *,
    keyword: str,
    make: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """Add flags to a command, which gets their values as one keyword."""

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        values = {flag.name: arguments.pop(flag.name) for flag in flags}
        command(**arguments, **{keyword: make(values)})

    own = [item for item in inspect.signature(command).parameters.values() if item.name != keyword]
    with_flags.__signature__ = inspect.Signature(own + flags)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {item.name: item.annotation for item in own + flags}
    return with_flags


def _flag(item: Field[Any], *, panel: str | None) -> inspect.Parameter:
    """Make the flag of a field with a default; its metadata are `help`, `low` and `high`."""
    about, has_metavar = item.metadata, item.type is not bool and get_origin(item.type) is not Literal
    low, high = about["low"], about["high"]
    names = [f"--{item.name.replace('_', '-')}"] if item.type is bool else []  # without --no-...: False is the default
    option = typer.Option(
        *names,
        help=_sentence(about["help"]),
        metavar=(f"{low:g}..{high:g}" if high is not None else _metavar(item.type)) if has_metavar else None,
        min=low,
        max=high,
        rich_help_panel=panel,
    )
    annotation = Annotated[item.type, option]  # type: ignore[name-defined]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=annotation)


def _override_flag(item: Field[Any], *, panel: str) -> inspect.Parameter:
    """Make the flag of a field whose default comes from a preset: None if it is not used."""
    kind: Any = item.type
    if type(None) in get_args(kind) or get_origin(kind) is Literal:
        choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
        metavar: str | None = "|".join(choices or [AUTO, "X"])
        kind = str
    else:
        metavar = None if kind is bool else _metavar(kind)
    option = typer.Option(help=_sentence(item.metadata["help"]), metavar=metavar, rich_help_panel=panel)
    option.default = None
    return inspect.Parameter(_flag_of(item), inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _metavar(kind: Any) -> str:
    return "N" if kind is int else "X"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def build_settings(base: Settings, overrides: dict[str, Any]) -> Settings:
    """Build settings from the flags in use; "auto" means None for a number that may be measured in the image."""
    kinds = {item.name: item.type for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        if type(None) in get_args(kinds[name]):
            values[name] = None if value == AUTO else _number(name, value)
        else:
            values[name] = value
    return replace(base, **values)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"`{name}`: neither a number nor {AUTO} ({text!r})") from None

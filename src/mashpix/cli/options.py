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
from mashpix.deprecation import networks_of
from mashpix.errors import UsageError
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.files import MAX_PIXELS
from mashpix.jobs.request import Dtype, Map
from mashpix.settings import PRESETS, RENAMED, Settings

DEVICES = "auto|cpu|cuda|cuda:N|mps"
"""How the command line shows the choices of --device."""
AUTO = "auto"
"""How the command line spells None: measured in the image."""


def _flag(name: str, kind: Any, help: str = "", *spelled: str, default: Any = None, **about: Any) -> inspect.Parameter:
    """Make a flag of a command, as Typer reads it from a signature."""
    option = typer.Option(*spelled, help=help or None, **about)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _switch(name: str, help: str) -> inspect.Parameter:
    """Make a flag that is off without it, and has no --no-... form."""
    return _flag(name, bool, help, f"--{name.replace('_', '-')}", default=False)


TO_ONE: dict[str, Any] = {"metavar": "0..1", "min": 0, "max": 1}
SHARED = (
    _flag(
        "output", str | None, "Output file, or folder; else <stem>_denoised<ext>.", "-o", "--output", metavar="OUT|DIR"
    ),
    _flag("preset", str | None, "Settings to start from; default: default.", metavar="|".join(PRESETS)),
    _flag("recipe", Path | None, "Take settings, seed, strength, device and threads from a recipe.", metavar="FILE"),
    _flag("device", str | None, "Device to compute on; default: auto.", metavar=DEVICES),
    _flag("threads", int | None, "Number of CPU threads; default: one per core.", metavar="N", min=1),
    _flag("seed", int | None, "Seed of all random draws; default 0.", metavar="N", min=0),
    _flag("strength", float | None, "Blend: 0 leaves the image as it is, 1 (default) denoises it.", **TO_ONE),
    _flag("detail", float | None, "Restore fine texture where the residual contains any; default 0.", **TO_ONE),
    _flag("data_range", float | None, "Distance from black to white, for the published presets.", metavar="X"),
    _flag(
        "save", str | None, "Also write these beside the output, separated by commas.", metavar=",".join(get_args(Map))
    ),
    _flag("compare", Path | None, "Draw before, after and residual side by side; one input only.", metavar="PNG"),
    _flag(
        "dtype",
        str | None,
        "Convert the values to this wider type, and write them so; default: as in the file.",
        metavar="|".join(get_args(Dtype)),
    ),
    _switch("overwrite", "Replace existing outputs."),
    _switch("in_place", "Replace the inputs themselves."),
    _switch("strict", "Refuse an image if part of its file cannot be kept."),
    _flag("max_pixels", int, "Refuse larger images.", metavar="N", min=1, default=MAX_PIXELS),
    _flag(
        "by_blocks",
        int | None,
        "Denoise each plane in blocks of about this side, for planes of any size; default: only those too large.",
        metavar="N",
        min=1,
    ),
    _flag("axes", str | None, "Axes of a stack, such as TZCYX; default: as the file says.", metavar="LETTERS"),
    _flag(
        "networks",
        str | None,
        "One network shared by all planes of a stack (default), or one for each; in a folder one shared by all images, "
        "or one for each (default).",
        metavar="shared|each",
    ),
    _flag("fit", str | None, metavar="once|each", hidden=True),
    _flag(
        "channels",
        str | None,
        "What channels are: the colours of one scene, independent, or to be denoised together; default: auto, as the "
        "file says or the image shows.",
        metavar="|".join(get_args(Channels)),
    ),
    _flag("joint", bool | None, "", "--joint/--no-joint", hidden=True),
    _flag(
        "nodata",
        str | None,
        "Values that mean no data: left out and kept; fill: those of a Zarr; none: no value does. Default: as the file "
        "says, else constant padding at the border.",
        metavar="VALUE|LOW..HIGH|fill|none",
    ),
    _flag("mask", Path | None, "Pixels to leave out and keep: an image that is not 0 there.", metavar="FILE"),
    _switch("sparse", "OME-Zarr: accept missing chunks as empty, and leave them missing."),
)
"""Flags of several commands. Those whose default is None are passed on only if they are used."""


def shared_flags(names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add some of the `SHARED` flags to a command, which gets those in use as the keyword `given`."""
    by_name = {flag.name: flag for flag in SHARED}
    flags = [by_name[name] for name in names.split()]

    def used(values: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in values.items() if value is not None}
        if "save" in given:  # the request refuses unknown names
            given["save"] = tuple(dict.fromkeys(filter(None, given["save"].split(","))))
        return given

    return lambda command: _with_flags(command, flags, keyword="given", make=used)


def respell(given: dict[str, Any], overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the options with those of version 0.1 under their present names, each with a line on stderr.

    A number of --channels is the setting that is now --network-channels: it goes to `overrides`.
    """
    given = dict(given)
    if overrides is not None and given.get("channels", "").isdecimal():
        overrides["channels"] = int(given["channels"])
        _say_respelled(f"--channels {given['channels']}", f"--network-channels {given.pop('channels')}")
    for former, now in (("fit", "networks"), ("joint", "channels")):
        if former not in given:
            continue
        if now in given:
            raise UsageError(f"--{now} and --{former} are one option (--{former} is its former name; leave it out)")
        value = given.pop(former)
        if former == "fit":
            given[now], flag = networks_of(value), f"--fit {value}"
        else:
            given[now], flag = ("joint", "--joint") if value else ("auto", "--no-joint")
        _say_respelled(flag, f"--{now} {given[now]}")
    return given


def _say_respelled(former: str, now: str) -> None:
    complain(f"{former} is now spelled {now}; the old spelling will go")


def settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of all settings to a command, which gets those in use as the keyword `overrides`."""
    flags = [_flag_of_setting(item) for item in fields(Settings)]

    def used(values: dict[str, Any]) -> dict[str, Any]:
        return {item.name: value for item in fields(Settings) if (value := values[_name_of(item)]) is not None}

    return _with_flags(command, flags, keyword="overrides", make=used)


def noise_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of the noise models to a command, which gets the result as the keyword `synthetic_noise`."""
    flags = [_flag_of_field(item, panel=None) for item in fields(SyntheticNoise)]
    return _with_flags(command, flags, keyword="synthetic_noise", make=lambda values: SyntheticNoise(**values))


def folder_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags for many files to a command, which gets them as the keyword `folders`."""
    flags = [_flag_of_field(item, panel="Folders and many files") for item in fields(FolderOptions)]
    return _with_flags(command, flags, keyword="folders", make=lambda values: FolderOptions(**values))


def _name_of(item: Field[Any]) -> str:
    """Return the name of the flag of a setting."""
    return RENAMED.get(item.name, item.name)


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


def _flag_of_field(item: Field[Any], *, panel: str | None) -> inspect.Parameter:
    """Make the flag of a field with a default; its metadata are `help`, and `low` and `high` or `metavar`."""
    low, high = item.metadata.get("low"), item.metadata.get("high")
    metavar = None if item.type is bool or get_origin(item.type) is Literal else _metavar(item.type)
    metavar = item.metadata.get("metavar", metavar)
    return _flag(
        item.name,
        item.type,
        _sentence(item.metadata["help"]),
        *([f"--{item.name.replace('_', '-')}"] if item.type is bool else []),  # without --no-...: False is the default
        default=item.default,
        metavar=f"{low:g}..{high:g}" if metavar and high is not None else metavar,
        min=low,
        max=high,
        rich_help_panel=panel,
    )


def _flag_of_setting(item: Field[Any]) -> inspect.Parameter:
    """Make the flag of a field whose default comes from a preset: None if it is not used."""
    kind: Any = item.type
    metavar = None if kind is bool else _metavar(kind)
    if type(None) in get_args(kind) or get_origin(kind) is Literal:
        metavar = "|".join([choice for choice in get_args(kind) if isinstance(choice, str)] or [AUTO, "X"])
        kind = str
    panel = "Settings (default: those of the preset)"
    return _flag(_name_of(item), kind | None, _sentence(item.metadata["help"]), metavar=metavar, rich_help_panel=panel)


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

"""Flags made from the fields of `Settings`, `NoiseModel` and `FolderOptions`: each option is spelled once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from mashpix.cli.folders import FolderOptions
from mashpix.errors import UsageError
from mashpix.evaluation.noise_model import NoiseModel
from mashpix.settings import Settings

DEVICES = "auto|cpu|cuda|cuda:N|mps"
"""How the command line shows what --device takes."""
AUTO = "auto"
"""How the command line spells None: read it off the picture."""


def settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of all settings; it gets those that were used as the keyword `overrides`."""

    def used(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    return _with_flags(command, [_flag(item) for item in fields(Settings)], keyword="overrides", make=used)


def noise_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of the noise models; it gets the one asked for as the keyword `noise_model`."""
    flags = [_option(item) for item in fields(NoiseModel)]
    return _with_flags(command, flags, keyword="noise_model", make=lambda values: NoiseModel(**values))


def folder_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags for many files; it gets them as the keyword `folders`."""
    return _with_fields(command, FolderOptions, keyword="folders")


def _with_fields(command: Callable[..., None], kind: type[Any], *, keyword: str) -> Callable[..., None]:
    """The command with a flag for each field of a dataclass, whose types are annotated with options."""
    flags = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.type)
        for item in fields(kind)
    ]
    return _with_flags(command, flags, keyword=keyword, make=lambda values: kind(**values))


def _with_flags(
    command: Callable[..., None],
    flags: list[inspect.Parameter],
    *,
    keyword: str,
    make: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """The command with more flags, which reach it as one keyword."""

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        values = {flag.name: arguments.pop(flag.name) for flag in flags}
        command(**arguments, **{keyword: make(values)})

    own = [item for item in inspect.signature(command).parameters.values() if item.name != keyword]
    with_flags.__signature__ = inspect.Signature(own + flags)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {item.name: item.annotation for item in own + flags}
    return with_flags


def _flag(item: Field[Any]) -> inspect.Parameter:
    kind: Any = item.type
    if type(None) in get_args(kind) or get_origin(kind) is Literal:
        choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
        metavar: str | None = "|".join(choices or [AUTO, "X"])
        kind = str
    else:
        metavar = None if kind is bool else "N" if kind is int else "X"
    option = typer.Option(
        help=item.metadata["help"].capitalize() + ".",
        metavar=metavar,
        rich_help_panel="Settings (default: those of the preset)",
    )
    option.default = None
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _option(item: Field[Any]) -> inspect.Parameter:
    """A flag with the default and the limits of a field."""
    kind: Any = item.type
    low, high = item.metadata["low"], item.metadata["high"]
    names = [f"--{item.name}"] if kind is bool else []  # no --no-... beside it
    metavar = {int: "N", float: "X" if high is None else f"{low:g}..{high:g}"}.get(kind)
    option = typer.Option(*names, metavar=metavar, min=low, max=high, help=item.metadata["help"] + ".")
    return inspect.Parameter(
        item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=Annotated[kind, option]
    )


def build_settings(base: Settings, overrides: dict[str, Any]) -> Settings:
    """Settings with the flags that were used; "auto" stands for None where a number may be read off the picture."""
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
        raise UsageError(f"--{name.replace('_', '-')}: neither a number nor {AUTO} ({text!r})") from None

"""What a server tells about itself: version, presets, settings and limits."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

from mashpix import __version__
from mashpix.files import FORMATS
from mashpix.files.formats import readable_suffixes
from mashpix.settings import PRESETS, Settings
from mashpix.web.limits import ServerOptions

DESCRIPTIONS = {
    "default": "Suits most images.",
    "fast": "A quarter of the work, for a first look and for many images.",
    "scripts": "The published method as its authors' scripts have it, without refining: takes very long.",
    "scripts-fmdd": "The same for fluorescence images of the FMDD set.",
    "paper": "The published method as the paper has it, without refining: takes very long.",
}


def describe_server(options: ServerOptions) -> dict[str, Any]:
    """Return what `GET /api/info` says."""
    limits = options.limits
    return {
        "version": __version__,
        "device": options.device,
        "formats": FORMATS,
        "endings": sorted(readable_suffixes()),
        "presets": [
            {"name": name, "description": DESCRIPTIONS.get(name, ""), "settings": settings.to_dict()}
            for name, settings in PRESETS.items()
        ],
        "settings": [_describe_setting(item) for item in fields(Settings)],
        "limits": {
            "max_upload_bytes": limits.max_upload,
            "max_pixels": limits.max_pixels,
            "queue": limits.queue,
            "share": limits.share,
            "keep_seconds": limits.keep,
        },
    }


def _describe_setting(item: Any) -> dict[str, Any]:
    is_choice = get_origin(item.type) is Literal
    kinds = [kind for kind in get_args(item.type) if kind is not type(None)] or [item.type]
    return {
        "name": item.name,
        "help": item.metadata["help"],
        "type": "choice" if is_choice else kinds[0].__name__,
        "choices": list(get_args(item.type)) if is_choice else None,
        "low": item.metadata["low"],
        "high": item.metadata["high"],
        "default": getattr(PRESETS["default"], item.name),
    }

"""Models as safetensors files: weights and noise spectra as arrays, the rest as JSON in the header; no pickle."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mashpix.arrays.model import Model
from mashpix.errors import FileError, UsageError
from mashpix.files.safetensors import encode_tensors
from mashpix.jobs.model_reference import FORMAT, ModelReference, incomplete, read_tensors, refer_to_model
from mashpix.method.masking_ratio import Masking
from mashpix.method.network import UNet
from mashpix.refine.residual_noise import NoiseModel, Noises
from mashpix.refine.variance_model import VarianceModel
from mashpix.settings import Settings

FORMER = {"missed": "in_prediction", "single": "in_blocks16", "grouped": "in_blocks8", "slow": "in_half_size"}
"""Names of the fields of `Noises` in files of version 0.1.0."""


def encode_model(model: Model, *, origin: dict[str, Any]) -> bytes:
    """Encode a model as a file; `origin` is plain data on what it was fitted to, for `read_origin`."""
    arrays: dict[str, Any] = {"low": model.low, "high": model.high}
    laws: list[dict[str, Any] | None] = []
    for index, (network, noises) in enumerate(zip(model.networks, model.noises, strict=True)):
        for name, weights in network.state_dict().items():
            arrays[f"network {index} {name}"] = weights.cpu().contiguous().numpy()
        known = {name: noise for name, noise in noises._asdict().items() if noise is not None} if noises else {}
        for name, noise in known.items():
            arrays[f"noise {index} {name}"] = noise.psd.cpu().numpy()
        laws.append({name: noise.variance_model for name, noise in known.items()} if noises else None)
    about = {
        "settings": model.settings.to_dict(),
        "dtype": model.dtype,
        "masking": model.masking._asdict(),
        "shuffled_fraction": model.shuffled_fraction,
        "laws": laws,
        "across": [noises.in_blocks8.across if noises else 1.0 for noises in model.noises],
        "pilot": [noises.in_blocks8.pilot if noises else "blocks" for noises in model.noises],
        "known": [bool(noises and noises.in_blocks8.known) for noises in model.noises],
        "is_rgb": model.is_rgb,
    }
    header = {"format": FORMAT, "model": json.dumps(about, allow_nan=False)}
    return encode_tensors(arrays, header | {"origin": json.dumps(origin, allow_nan=False)})


@lru_cache(maxsize=1)
def load_model(file: ModelReference) -> Model:
    """Read a model; `FileError` if the file has changed since it was referred to."""
    if refer_to_model(file.path).sha256 != file.sha256:
        raise FileError(f"{str(file.path)!r}: the model has changed meanwhile (start again)")
    try:
        return read_model(file.path)
    except FileError as error:
        raise FileError(f"{str(file.path)!r}: {error}") from None


def read_model(path: Path) -> Model:
    """Read a model from a file.

    Raises
    ------
    FileError
        If it is not a model, or incomplete.
    """
    arrays, metadata = read_tensors(path)
    try:
        return _build(arrays, json.loads(metadata["model"]))
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise incomplete(error) from None


def _build(arrays: dict[str, Any], about: dict[str, Any]) -> Model:
    """Build the model from arrays and their description in the header."""
    settings = Settings(**about["settings"])
    is_rgb = about.get("is_rgb", len(arrays["low"]) == 3)  # version 0.1.0 took any three channels for RGB
    networks: list[UNet] = []
    noises: list[Noises | None] = []
    for index in range(settings.fits):
        network = UNet(len(arrays["low"]), channels=settings.channels, depth=settings.depth)
        prefix = f"network {index} "
        found = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        network.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
        networks.append(network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        known = {
            FORMER.get(name, name): NoiseModel(
                torch.from_numpy(arrays[f"noise {index} {name}"]), VarianceModel(*law), is_rgb
            )
            for name, law in (about["laws"][index] or {}).items()
        }
        if known:
            known["in_blocks8"] = known["in_blocks8"]._replace(
                across=about.get("across", [1.0] * settings.fits)[index],
                pilot=about.get("pilot", ["blocks"] * settings.fits)[index],
                known=about.get("known", [False] * settings.fits)[index],
            )
        noises.append(Noises(**known) if known else None)
    low, high = (np.asarray(arrays[name], np.float64) for name in ("low", "high"))
    masking = Masking(**about["masking"])
    return Model(
        settings,
        about["dtype"],
        low,
        high,
        masking,
        about["shuffled_fraction"],
        tuple(networks),
        tuple(noises),
        is_rgb,
    )

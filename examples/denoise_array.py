"""Denoise an array, watch the work, and stop it early: `python examples/denoise_array.py`."""

from importlib.resources import files

import numpy as np
from PIL import Image

import mashpix
from mashpix import simulation as noise

with files("mashpix").joinpath("data/demo.png").open("rb") as file:
    clean = np.asarray(Image.open(file))[32:96, 64:128]
noisy = clean + noise.correlated_noise(clean.shape, sigma=25, beta=1, rng=np.random.default_rng(0))

# The whole of it in one call. `settings` names a preset, or is one with other numbers.
quick = mashpix.preset("default").replace(steps=40)
denoised = mashpix.denoise(noisy, channel_axis=-1, settings=quick, device="cpu")
print(f"noisy    {mashpix.psnr(clean, noisy, data_range=255):.2f} dB")
print(f"denoised {mashpix.psnr(clean, denoised, data_range=255):.2f} dB")

# The same step by step: each update is a step, now and then with the picture as it stands.
for step in mashpix.denoise_steps(noisy, channel_axis=-1, settings=quick, device="cpu", preview_every=10):
    if step.denoised is not None:
        score = mashpix.psnr(clean, step.denoised, data_range=255)
        print(f"{step.stage:<8}{step.index:>3} of {step.total:<3} {score:.2f} dB")
    if step.stage == "fit" and step.index == 30:
        break  # that is enough: the last picture seen is kept, the work stops here

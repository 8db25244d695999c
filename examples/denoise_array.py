"""Denoise an array, watch the work, and stop it early: `python examples/denoise_array.py`."""

from importlib.resources import files

import numpy as np
from PIL import Image

import mashpix
from mashpix import simulation

with files("mashpix").joinpath("data/demo.png").open("rb") as file:
    clean = np.asarray(Image.open(file))[32:128, 32:128]
noisy = clean + simulation.correlated_noise(clean.shape, sigma=25, beta=1, rng=np.random.default_rng(0))
print(f"noisy    {mashpix.psnr(clean, noisy, data_range=255):.2f} dB")

# All of it in one call. `settings` takes the name of a preset, or one with other numbers.
quick = mashpix.preset("fast").replace(steps=40)
result = mashpix.denoise_and_check(noisy, channel_axis=-1, settings=quick, device="cpu")
print(f"denoised {mashpix.psnr(clean, result.image, data_range=255):.2f} dB")
print(f"verdict: {result.verdict.verdict} ({result.verdict.reason})")

# The same step by step: each network update is a step, now and then with the image so far.
for step in mashpix.denoise_steps(noisy, channel_axis=-1, settings=quick, device="cpu", preview_every=10):
    if step.denoised is not None:
        score = mashpix.psnr(clean, step.denoised, data_range=255)
        print(f"{step.stage:<8}{step.index:>3} of {step.total:<3} {score:.2f} dB")
    if step.stage == "fit" and step.index == 30:
        break  # that is enough: the last image seen is kept, the work stops here

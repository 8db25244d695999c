"""Zero-Shot Noise2Noise (Mansour and Heckel, CVPR 2023): a small network fitted to one image, written from its paper.

An image is split into two of half the size whose noise is independent if it is white: the means along the two
diagonals of every 2 x 2 pixels. A network predicts the noise of one from it; its fit asks that each half without its
noise be the other half, and that cleaning and halving commute.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

N_CHANNELS = 48
SLOPE = 0.2
"""Slope of the leaky rectifiers for negative values."""
N_UPDATES = 2000
LEARNING_RATE = 1e-3
N_UPDATES_HALVING = 1000
"""Updates after which the learning rate is halved."""


def denoise(noisy: NDArray[Any], *, seed: int) -> NDArray[Any]:
    """Denoise one image (H, W) or (H, W, C) with values about 0 to 1; one whose halves are the same has no noise."""
    planes = np.atleast_3d(noisy).transpose(2, 0, 1)[None]
    pixels = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))
    height, width = pixels.shape[2:]
    even = F.pad(pixels, (0, width % 2, 0, height % 2), mode="replicate")
    if torch.equal(*halves(even)):
        return noisy
    network = fit(even, seed=seed)
    with torch.no_grad():
        denoised: NDArray[Any] = (even - network(even))[0, :, :height, :width].numpy()
    return np.moveaxis(denoised, 0, -1).reshape(noisy.shape)


def halves(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Means along the two diagonals of every 2 x 2 pixels: the downsamplers D1 and D2 of the paper."""
    falling = (pixels[..., ::2, ::2] + pixels[..., 1::2, 1::2]) / 2
    rising = (pixels[..., ::2, 1::2] + pixels[..., 1::2, ::2]) / 2
    return rising, falling


def fit(noisy: Tensor, *, seed: int) -> nn.Module:
    """Fit the network to an image (1, C, H, W) of even sides."""
    network = make_network(noisy.shape[1], seed=seed)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, N_UPDATES_HALVING, gamma=0.5)
    for _ in range(N_UPDATES):
        optimizer.zero_grad()
        loss(network, noisy).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network


def make_network(picture_channels: int, *, seed: int) -> nn.Module:
    """Two convolutions of 3 x 3 and one of 1 x 1; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(picture_channels, N_CHANNELS, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(N_CHANNELS, N_CHANNELS, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(N_CHANNELS, picture_channels, 1),
        )
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def loss(network: nn.Module, noisy: Tensor) -> Tensor:
    """The symmetric residual loss and the consistency loss of the paper, summed."""
    first, second = halves(noisy)
    first_clean, second_clean = first - network(first), second - network(second)
    clean_first, clean_second = halves(noisy - network(noisy))
    residual = F.mse_loss(first_clean, second) + F.mse_loss(second_clean, first)
    consistency = F.mse_loss(first_clean, clean_first) + F.mse_loss(second_clean, clean_second)
    return (residual + consistency) / 2

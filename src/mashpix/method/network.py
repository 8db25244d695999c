"""The U-Net of Noise2Noise (Lehtinen et al., ICML 2018), the network that MASH fits to one image."""

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Slope of the leaky rectifiers for negative values."""


def convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def activate(features: Tensor) -> Tensor:
    """The leaky rectifier, in place: memory is what a convolution on a CPU waits for."""
    return F.leaky_relu(features, SLOPE, inplace=True)


class UNet(nn.Module):
    """`depth` max-poolings down with `channels` features, nearest up with twice as many, input joined at the top.

    It sees and predicts images of `picture_channels`, whose sides must be divisible by `multiple`, 2**depth. With 48
    channels and depth 5 it is the published network: 991,203 parameters for RGB.
    """

    def __init__(self, picture_channels: int, *, channels: int, depth: int) -> None:
        super().__init__()
        wide, top, last = 2 * channels, 4 * channels // 3, 2 * channels // 3
        self.multiple: int = 2**depth
        self.first = convolution(picture_channels, channels)
        self.down = nn.ModuleList(convolution(channels, channels) for _ in range(depth))
        self.bottom = convolution(channels, channels)
        self.up = nn.ModuleList(
            nn.ModuleList([convolution(channels + (channels if level == 0 else wide), wide), convolution(wide, wide)])
            for level in range(depth - 1)
        )
        self.join = convolution((wide if depth > 1 else channels) + picture_channels, top)
        self.narrow = convolution(top, last)
        self.last = convolution(last, picture_channels)

    @property
    def context(self) -> int:
        """Distance in pixels beyond which an input pixel cannot reach an output pixel, rounded up to `multiple`."""
        convolutions = 2 + 3 + (2 * self.multiple - 2) + 2 * (self.multiple - 2)  # each reaches one stride
        poolings = self.multiple - 1
        return -(-(convolutions + poolings) // self.multiple) * self.multiple

    def forward(self, pixels: Tensor) -> Tensor:
        """Predict (B, C, H, W) from (B, C, H, W)."""
        skips = [pixels.contiguous(memory_format=torch.channels_last)]  # as the weights are: no copy at the joins
        features = activate(self.first(skips[0]))
        for layer in self.down:
            features = F.max_pool2d(activate(layer(features)), 2)
            skips.append(features)
        features = activate(self.bottom(skips.pop()))
        for level in self.up:
            features = torch.cat([F.interpolate(features, scale_factor=2, mode="nearest"), skips.pop()], dim=1)
            for layer in level:  # type: ignore[attr-defined]
                features = activate(layer(features))
        features = torch.cat([F.interpolate(features, scale_factor=2, mode="nearest"), skips.pop()], dim=1)
        for layer in (self.join, self.narrow):
            features = activate(layer(features))
        out: Tensor = self.last(features)
        return out


def make_network(picture_channels: int, *, channels: int, depth: int, generator: torch.Generator) -> UNet:
    """A freshly initialised `UNet` on the generator's device; the global random state is left as it was."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        network = UNet(picture_channels, channels=channels, depth=depth)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs
    return network.to(generator.device)


def repeatable() -> AbstractContextManager[None]:
    """Within it, CUDA's convolutions give the same bytes every time; the global flags come back afterwards."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    return flags

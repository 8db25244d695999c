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


def convolve_enlarged(layer: nn.Conv2d, small: Tensor, skip: Tensor) -> Tensor:
    """Convolve `small`, enlarged twofold by its nearest values and joined with `skip`; neither is made.

    A 3 x 3 window holds at most four different values of `small`, so the weights of the same value are summed: a
    transposed convolution of 4 x 4, with 4 products a pixel for 9.
    """
    split = small.shape[1]
    enlarging = _sum_twins(_sum_twins(layer.weight[:, :split], dim=2), dim=3).transpose(0, 1)
    joining = layer.weight[:, split:].contiguous(memory_format=torch.channels_last)
    out = F.conv_transpose2d(small, enlarging.contiguous(memory_format=torch.channels_last), stride=2, padding=1)
    return out.add_(F.conv2d(skip, joining, layer.bias, padding=1))


def _sum_twins(weights: Tensor, *, dim: int) -> Tensor:
    """The four weights by which a value, there twice, reaches four places along an axis, from three weights."""
    before, at, after = weights.unbind(dim)
    return torch.stack([after, at + after, before + at, before], dim)


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

    def forward(self, pixels: Tensor, inside: tuple[slice, slice] | None = None) -> Tensor:
        """Predict (B, C, H, W) from (B, C, H, W), or only the rows and columns `inside` it.

        On the way up, context is left out as soon as no convolution reaches it.
        """
        skips = [pixels.contiguous(memory_format=torch.channels_last)]  # as the weights are
        features = activate(self.first(skips[0]))
        for layer in self.down:
            features = F.max_pool2d(activate(layer(features)), 2)
            skips.append(features)
        features = activate(self.bottom(skips.pop()))
        wanted = inside or (slice(0, pixels.shape[2]), slice(0, pixels.shape[3]))
        spans = [needed_spans(kept, size, len(self.down)) for kept, size in zip(wanted, pixels.shape[2:], strict=True)]
        top, left = 0, 0  # the place of the features in a whole level
        layers = (*self.up, (self.join, self.narrow))
        for (enlarging, layer), (down, up), (start, stop) in zip(layers, *spans, strict=True):
            features = features[:, :, down - top : up - top, start - left : stop - left]
            top, left = 2 * down, 2 * start
            skip = skips.pop()[:, :, top : 2 * up, left : 2 * stop]
            features = activate(layer(activate(convolve_enlarged(enlarging, features, skip))))
        rows, columns = wanted
        out: Tensor = self.last(features)
        return out[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def needed_spans(kept: slice, size: int, depth: int) -> list[tuple[int, int]]:
    """Along one axis, what each enlargement needs of a level so that the pixels `kept` are right, deepest level first.

    Two convolutions follow each enlargement, itself one of them, and at the top a third: each reaches one pixel.

    Examples
    --------
    >>> needed_spans(slice(40, 60), 100, depth=2)
    [(8, 17), (18, 32)]
    """
    spans, start, stop = list[tuple[int, int]](), kept.start, kept.stop
    for level in range(depth):
        reach, size = 2 if level else 3, size // 2
        start, stop = max((start - reach) // 2, 0), min(-(-(stop + reach) // 2), size)
        spans.append((start, stop))
    return spans[::-1]


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

"""Local pixel shuffling in flat regions: Eq. 5 to 7 of MASH (CVPR 2024, arXiv 2404.09389)."""

import torch
import torch.nn.functional as F
from torch import Tensor

FLAT_BLOCK = 2
"""Side in pixels of the blocks whose standard deviation separates flat from structured (released scripts)."""


def flat_regions(prediction: Tensor, valid: Tensor, *, flat_threshold: float) -> Tensor:
    """Find the flat regions of an intermediate prediction (Eq. 7): c = 1 where its local deviation is small.

    The deviation is that of the channel mean in 2 x 2 blocks; flat is a deviation below `flat_threshold` times
    its largest value in the picture (lambda). A block with an invalid pixel is not flat.

    From the intermediate prediction and `valid`, (B, C, H, W) with even H and W, to bool (B, 1, H, W).

    Examples
    --------
    >>> step = torch.tensor([[0.0, 0.0, 0.0, 0.1, 0.0, 1.0]] * 2)[None, None]
    >>> flat_regions(step, torch.ones_like(step, dtype=torch.bool), flat_threshold=0.5)[0, 0, 0].int()
    tensor([1, 1, 1, 1, 0, 0], dtype=torch.int32)
    """
    grey = prediction.mean(dim=1, keepdim=True)
    centred = grey - _spread_blocks(F.avg_pool2d(grey, FLAT_BLOCK))
    deviation = F.avg_pool2d(centred.square(), FLAT_BLOCK).sqrt()
    usable = F.avg_pool2d(valid.all(dim=1, keepdim=True).float(), FLAT_BLOCK) == 1
    largest = deviation[usable].max() if usable.any() else deviation.new_zeros(())
    return _spread_blocks((deviation < flat_threshold * largest) & usable)


def _spread_blocks(blocks: Tensor) -> Tensor:
    return blocks.repeat_interleave(FLAT_BLOCK, dim=2).repeat_interleave(FLAT_BLOCK, dim=3)


def shuffle_tiles(pixels: Tensor, flat: Tensor, *, block_size: int, generator: torch.Generator) -> Tensor:
    """Permute the pixels (B, C, H, W) of each flat tile at random (Eq. 5): y_sh = c . Gamma(y) + (1 - c) . y.

    Every s x s tile, s = `block_size`, gets a permutation of its own, the same for all channels. A tile with one pixel
    that is not `flat` (B, 1, H, W) stays as it is, and so does the remainder at the right and bottom border.

    Examples
    --------
    >>> pixels = torch.arange(8.0).reshape(1, 1, 2, 4)
    >>> flat = torch.tensor([True, True, False, False]).expand(1, 1, 2, 4)
    >>> shuffle_tiles(pixels, flat, block_size=2, generator=torch.Generator().manual_seed(1))[0, 0]
    tensor([[4., 5., 2., 3.],
            [1., 0., 6., 7.]])
    """
    rows, columns = (side // block_size * block_size for side in pixels.shape[2:])
    shuffled = pixels.clone()
    if rows == 0 or columns == 0:
        return shuffled
    tiles = F.unfold(pixels[:, :, :rows, :columns], block_size, stride=block_size)  # (B, C * s * s, tiles)
    tiles = tiles.reshape(*pixels.shape[:2], block_size**2, -1)
    flat_tiles = F.unfold(flat[:, :, :rows, :columns].float(), block_size, stride=block_size).amin(dim=1) == 1
    draw = torch.rand((tiles.shape[0], *tiles.shape[2:]), generator=generator, device=pixels.device)
    permutation = draw.argsort(dim=1)[:, None].expand_as(tiles)
    permuted = torch.where(flat_tiles[:, None, None], tiles.gather(2, permutation), tiles)
    shuffled[:, :, :rows, :columns] = F.fold(permuted.flatten(1, 2), (rows, columns), block_size, stride=block_size)
    return shuffled

"""Relation R5: one noise model from two estimates that err in opposite ways.

The prediction p misses texture, so S_p, measured in y - p, is too high. The shrunk image y1 still holds some noise,
so S_1, measured in y - y1, is too low. Neither more rounds nor another choice of blocks did better than their
geometric mean (docs/experiments.md, 4).
"""

from functools import partial

import torch
from torch import Tensor

from mashpix.refine.colour import low_texture
from mashpix.refine.residual_noise import NoiseModel, measure_noise
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import VarianceModel


def measure_again(
    noisy: Tensor,
    predicted: Tensor,
    shrunk: Tensor,
    usable: Tensor,
    *,
    side: int,
    is_rgb: bool,
    follow: bool | None = None,
    model: VarianceModel | None = None,
    in_prediction: NoiseModel | None = None,
    tuning: RefineSettings = TUNED,
) -> tuple[NoiseModel, NoiseModel] | None:
    """R3 and R5: `reconcile` the measurements with p, unless `in_prediction` is that one, and with y1.

    Parameters as of `measure_noise`, `shrunk` is an image like `predicted`. None if any of them cannot be measured.
    """
    measure = partial(
        measure_noise, noisy, usable=usable, side=side, is_rgb=is_rgb, follow=follow, model=model, tuning=tuning
    )
    in_prediction = in_prediction or measure(predicted)
    if not tuning.second_measurement:
        return in_prediction and (in_prediction, in_prediction)
    in_shrunk, in_texture = measure(shrunk), measure(shrunk, textured=True)
    if in_prediction is None or in_shrunk is None or in_texture is None:
        return None
    return reconcile(in_prediction, in_shrunk, in_texture, tuning=tuning)


def reconcile(
    in_prediction: NoiseModel, in_shrunk: NoiseModel, in_texture: NoiseModel, *, tuning: RefineSettings = TUNED
) -> tuple[NoiseModel, NoiseModel]:
    """R5: S = sqrt(S_p S_1) + floor, after S_p is capped at `max_excess` times the power of S_1; returns both.

    S_1 was measured in flat blocks, and in blocks with some texture for `flat_bias`. A prediction whose residual is far
    above y1's is far from done: then v is that of S_1.
    """
    excess = float(in_prediction.power().sum() / (tuning.max_excess * in_shrunk.power().sum()))
    if excess > 1:
        in_prediction = in_shrunk._replace(psd=in_prediction.psd / excess)
    between = in_prediction._replace(psd=(in_prediction.psd * in_shrunk.psd).sqrt())
    power = between.power()[:, None]
    floor = tuning.floor * flat_bias(in_shrunk, in_texture, tuning=tuning) * (power + power.mean())
    return between._replace(psd=between.psd + floor), in_prediction


def flat_bias(flat: NoiseModel, textured: NoiseModel, *, tuning: RefineSettings = TUNED) -> Tensor:
    """Estimate how far flat blocks understate the noise, 0 to 1, from the excess in textured blocks.

    A camera's processing and compression take fast noise and noise of colour out of flat blocks, but not out of
    texture. In RGB that is seen in the opponent colours: they hold little texture that could be taken for noise.
    """
    if not tuning.floor_by_flat_bias:
        return torch.ones(())
    power = flat.power()
    more = textured.power() / power.clamp(min=torch.finfo(power.dtype).tiny) - 1
    return (low_texture(more, is_rgb=flat.is_rgb).mean() / tuning.full_floor_bias).clamp(0, 1)

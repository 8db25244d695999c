"""The tuned constants of refining: one frozen dataclass, each number with its unit and source.

A source in brackets is a section of docs/experiments.md, where the number was compared with others; "by hand" marks a
number that no recorded experiment varies. Numbers that follow from a formula (`CLIPPED_SQUARE`, `MEDIAN_SQUARE` in
residual_noise.py) and the sides of the blocks, which the code relies on, are defined where they are used.
The options of users, above all the threshold, are in `mashpix.settings.Settings`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """All tuned constants of refining, in the order of the relations R1 to R24 of `mashpix.refine.refining`.

    They are no options of the command line: the defaults are what ships, other values serve benchmarks/ablation.py
    and tests. Beside each: its unit, its meaning, and its source.
    """

    # R1: channels
    fill_width: float = 0.7  # pixels: deviation of the Gaussian that continues y into missing pixels [14]
    smooth_widths: tuple[float, ...] = (1.0, 3.0, 9.0)  # pixels: the same in the noise of a sensor [14]
    smooth_share: float = 0.03  # ratio: weight of each of these to that of the one before [14]

    # R3: measuring the noise in the residual of an estimate
    flat_quantiles: tuple[float, float] = (0.0, 0.2)  # quantiles of variation: blocks between these are flat [3]
    textured_quantiles: tuple[float, float] = (0.3, 0.6)  # quantiles of variation: these hold some texture [5]
    n_clippings: int = 4  # rounds: leaving outliers out of a mean square [by hand]
    block_step: int = 4  # pixels: distance of two blocks that noise is measured in [by hand]
    max_blocks: int = 16_384  # blocks: how many are measured, about [by hand, for speed]
    min_block_variance: float = 1e-10  # of the 0..1 scale: blocks that vary less (clipped) are left out [3]
    min_blocks: int = 100  # blocks: with fewer, the noise is limited to that between neighbouring pixels [6]

    # R2: how the noise follows the brightness
    n_levels: int = 8  # levels of brightness: at these, noise is compared [3]
    level_quantiles: tuple[float, float] = (0.01, 0.995)  # quantiles of brightness: what the levels span [by hand]
    flat_in_level: float = 0.3  # fraction of its blocks: the flattest blocks of a level [3]
    calm_in_level: float = 0.1  # fraction of its flat blocks: those with the least residual [3]
    min_in_level: int = 20  # blocks: a level with fewer blocks is left out [by hand]
    floor_of_levels: float = 0.5  # fraction: the variance never falls below this part of the calmest level [by hand]
    max_variance_ratio: float = 20.0  # ratio: how far the variance may differ from that of flat blocks, either way [3]
    min_colour_noise: float = 0.25  # ratio to that in brightness: less noise in the opponents decides nothing [5]
    range_quantiles: tuple[float, float] = (0.02, 0.98)  # quantiles: blocks between which colour noise is compared [5]
    min_colour_range: float = 1.2  # ratio: noise follows the brightness if that of the opponents differs by this [5]

    # R4: shrinking
    caution: float = 1.2  # factor: the variance is multiplied by this: noise left over is worse than detail lost [4]
    min_kept_noise: float = 0.01  # fraction: least noise that a block counts as keeping, in averages [by hand]

    # R5: reconciling two measurements
    max_excess: float = 5.0  # ratio to y1's: most noise that the residual of p may show; more is texture [5]
    floor: float = 0.3  # fraction: mean noise that is added to every coefficient, at most [25]
    full_floor_bias: float = 0.2  # fraction: excess noise of textured blocks at which the whole floor is added [5]

    # R6: slow part
    slow_window: int = 5  # pixels at half size: side of the windows that the slow part is averaged over, odd [5]

    # R7: groups
    group_size: int = 32  # blocks: blocks in a group [30]
    group_step: int = 4  # pixels: distance of the blocks that a group is gathered for [5]
    search_radius: int = 24  # pixels: largest distance of the others along each axis [25]
    wiener_colours: float = 1.25  # factor: the variance of the opponent colours is multiplied by this [25]
    threshold_colours: float = 2.0  # factor: the same at the hard thresholds of R21 and R22 [25]

    # R21 and R22: a pilot of groups; R21: in white noise; the last two where it was measured in y itself
    threshold_group_size: int = 16  # blocks: blocks in a group of the hard threshold [20]
    max_white_slope: float = 2.5  # ratio of slow to fast coefficients: most of noise that is nearly white [29]
    white_threshold: float = 2.7  # noise deviations: hard threshold in groups where the noise is known [25]
    measured_white_threshold: float = 3.0  # noise deviations: the same where it was measured in a residual [25]
    white_share: float = 0.6  # fraction: part of the variance that R7 takes then, if the noise is white [20]
    white_disagreement: float = 0.01  # noise variances: takes the place of `disagreement` [28]

    # R22: in photos whose noise is not like that of a sensor
    max_treated_likeness: float = 0.5  # fraction: most likeness of such noise to that of a sensor [21]
    treated_threshold: float = 3.2  # noise deviations: hard threshold in groups [25]
    treated_step: int = 8  # pixels: distance of the blocks that a group is gathered for, as `group_step` [21]
    treated_slow_share: float = 0.5  # fraction: how far the slow part of g goes to that of y2 [21]

    # R24: similar patches
    patch_group_size: int = 64  # blocks: blocks in a group, each of four patches [29]
    known_patch_share: float = 0.7  # factor: the variance is multiplied by this where it is known [29]

    # R18: groups where the blocks of JPEG are seen
    seen_blockiness: tuple[float, float] = (1.0, 0.7)  # excess of the steps at blocks: all of it, none [16]
    max_across: float = 5.0  # factor: the variance of what the blocks of a group differ by, at most [16]

    # R19: photos, by whether their noise is like that of a sensor
    sensor_fourth: tuple[float, float] = (3.0, 3.15)  # fourth moment of coefficients: that of a sensor, of others [16]
    texture_fourth: tuple[float, float] = (5.0, 4.2)  # the same: that of texture, of noise [26]
    sensor_deviation: tuple[float, float] = (0.2, 0.3)  # logarithm: deviation of blocks of a sensor, of others [16]
    sensor_factor: float = 1.3  # factor: noise that is like a sensor's is multiplied by this [16]
    texture_factor: float = 0.25  # factor: what is like texture is multiplied by this [26]
    other_factor: float = 0.7  # factor: other noise of the brightness is multiplied by this [16]

    # R8 to R10: restoring and blending
    restored_share: float = 0.5  # fraction: part of what the groups find beside p that counts as signal [by hand]
    agreement_window: int = 8  # pixels: side of the windows that estimates are compared in [4]
    disagreement: float = 0.05  # noise variances: squared difference at which either estimate counts for half [4]

    # R15 and R16: noise measured in the noisy image alone
    max_blind_excess: float = 3.0  # ratio to S_p: more noise is texture that the prediction explains [15]
    max_white_unevenness: float = 1.3  # ratio: most that the bands of white noise differ by [15]
    max_faint_noise: float = 0.012  # of white, RMS: of noise up to this only the faster bands are compared [26]
    min_over_rounding: float = 1.5  # ratio to the variance of rounding: least noise that is measured in RGB [28]
    min_jpeg_noise: float = 0.005  # of white, RMS: less in grey with blocks of JPEG is that of calm parts alone [28]
    max_alike_difference: float = 1.2  # ratio: most that the noise of two colours that are alike differs by [15]
    max_fast_excess: float = 1.6  # ratio to the colours': most fast noise of a channel that is like them [15]
    max_white_excess: float = 40.0  # ratio: the same where the colours' noise is white: the rest is texture [15]

    # R23: counts of photons
    min_photons: float = 3.0  # photons: the mean of the blocks that are compared with the law of Poisson [27]
    min_bright_share: float = 0.3  # fraction: so many of the blocks must hold that many [27]
    max_poisson_ratio: float = 1.4  # ratio: most that the variance differs from the mean, either way [27]

    # R17: how much of what the residual of a processed photo shows is noise
    max_over_colours: float = 1.0  # ratio: most noise of the brightness to slow noise of the colours [16]
    max_cleaned_noise: float = 0.0314  # of white: most noise of the brightness whatever the colours hold, RMS [16]

    # R20: compact structures
    compact_widths: tuple[float, ...] = (0.6, 0.9, 1.3)  # pixels: deviations of the Gaussians [17]
    compact_height: float = 5.0  # noise deviations: what a response has to exceed at least [17]
    compact_loss: float = 0.5  # noise deviations: amounts above this are lost structure, not noise [29]
    compact_rest: float = 1.6  # noise variances: most that half of them hold beside the Gaussian [17]
    compact_range: float = 4.0  # ratio: most noise of bright places to that of calm ones [17]
    compact_share: float = 0.3  # fraction: so many of them must have lost that much [17]

    # R11 to R14: the bias of a tone curve
    n_tone_levels: int = 16  # levels of tone: in these, variance and third moment are measured [9]
    min_in_tone_level: int = 256  # pixels: images with fewer in a level are left as they are [by hand]
    max_tones: int = 2**20  # pixels: how many are measured, about [by hand, for speed]
    max_tone_misfit: float = 0.1  # squared logarithm: worst fit of the variance that still shows a tone curve [9]
    skewness_limits: tuple[float, float] = (0.4, 1.6)  # ratios: measured over predicted skewness of such a curve [9]
    min_tone_change: float = 0.002  # of black to white: RMS changes below this are not worth making [9]
    black_share: float = 0.5  # fraction: how much of a change to darker tones is made [9]

    # Whole ideas, all in use: benchmarks/ablation.py takes them out one by one
    opponent_colours: bool = True  # switch: R1: RGB as brightness and two opponents [5]
    second_measurement: bool = True  # switch: R5: measure again in y1 and reconcile [4]
    blind_noise: bool = True  # switch: R15, R16 and R23: the noise of the noisy image itself [15]
    floor_by_flat_bias: bool = True  # switch: R5: the floor as far as flat blocks understate [5]
    slow_part: bool = True  # switch: R6: the slow part from half the size [4]
    compact_structures: bool = True  # switch: R20: bring back compact structures [17]
    groups: bool = True  # switch: R7: shrink similar blocks together [4]
    similar_patches: bool = True  # switch: R24: filter similar patches as one Gaussian [29]


TUNED = RefineSettings()
"""The constants as they ship."""

"""The tuned constants of refining: one frozen dataclass, each number with its unit and source.

A source in brackets is a section of docs/experiments.md, where the number was compared with others; "by hand" marks a
number that no recorded experiment varies. Numbers that follow from a formula (`CLIPPED_SQUARE`, `MEDIAN_SQUARE` in
residual_noise.py) and the sides of the blocks, which the code relies on, are defined where they are used.
The options of users, above all the threshold, are in `mashpix.settings.Settings`.
"""

from dataclasses import dataclass, field
from typing import Any


def tuned(default: Any, meaning: str, *, unit: str, source: str) -> Any:
    """A field of `RefineSettings`: its default, what it means, its unit, and where it comes from."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "source": source})


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """All tuned constants of refining, in the order of the relations R1 to R10 of `mashpix.refine.refining`.

    They are no options of the command line: the defaults are what ships, other values serve benchmarks/ablation.py
    and tests. The metadata of each field hold its meaning, unit and source.
    """

    # R3: measuring the noise in the residual of an estimate
    flat_quantiles: tuple[float, float] = tuned(
        (0.0, 0.2), "blocks whose variation is between these are flat", unit="quantiles of blocks", source="[3]"
    )
    textured_quantiles: tuple[float, float] = tuned(
        (0.3, 0.6), "blocks whose variation is between these hold some texture", unit="quantiles", source="[5]"
    )
    n_clippings: int = tuned(4, "rounds of leaving outliers out of a mean square", unit="rounds", source="by hand")
    block_step: int = tuned(4, "distance of two blocks that noise is measured in", unit="pixels", source="by hand")
    max_blocks: int = tuned(
        16_384, "number of blocks that are measured, about", unit="blocks", source="by hand, for speed"
    )
    min_block_variance: float = tuned(
        1e-10,
        "blocks that vary less are black borders or clipped, and left out",
        unit="of the 0..1 scale",
        source="[3]",
    )

    min_blocks: int = tuned(
        100,
        "fewer usable blocks do not show the noise: it is limited to that between neighbouring pixels",
        unit="blocks",
        source="[6]",
    )

    # R2: how the noise follows the brightness
    n_levels: int = tuned(8, "levels of brightness at which noise is compared", unit="levels", source="[3]")
    level_quantiles: tuple[float, float] = tuned(
        (0.01, 0.995), "quantiles of the brightness that the levels span", unit="quantiles", source="by hand"
    )
    flat_in_level: float = tuned(0.3, "the flattest blocks of a level", unit="fraction of its blocks", source="[3]")
    calm_in_level: float = tuned(0.1, "those with the least residual", unit="fraction of its flat blocks", source="[3]")
    min_in_level: int = tuned(20, "a level with fewer blocks is left out", unit="blocks", source="by hand")
    floor_of_levels: float = tuned(
        0.5, "the variance never falls below this part of the calmest level", unit="fraction", source="by hand"
    )
    max_variance_ratio: float = tuned(
        20.0, "how far the variance may differ from that of flat blocks, either way", unit="ratio", source="[3]"
    )
    min_colour_noise: float = tuned(
        0.25,
        "less noise in the opponents than this part of that in brightness decides nothing",
        unit="ratio",
        source="[5]",
    )
    range_quantiles: tuple[float, float] = tuned(
        (0.02, 0.98), "blocks between which the variance of colour noise is compared", unit="quantiles", source="[5]"
    )
    min_colour_range: float = tuned(
        1.2, "noise follows the brightness if that of the opponents differs by this", unit="ratio", source="[5]"
    )

    # R4: shrinking
    caution: float = tuned(
        1.2,
        "the variance is multiplied by this: noise left over is worse than detail lost",
        unit="factor",
        source="[4]",
    )
    min_kept_noise: float = tuned(
        0.01,
        "least noise that a shrunk block counts as keeping, where blocks are averaged",
        unit="fraction",
        source="by hand",
    )

    # R5: reconciling two measurements
    max_excess: float = tuned(
        5.0,
        "most noise that the prediction's residual may show, against y1's: more is texture",
        unit="ratio",
        source="[5]",
    )
    floor: float = tuned(0.2, "mean noise that is added to every coefficient, at most", unit="fraction", source="[5]")
    full_floor_bias: float = tuned(
        0.2,
        "how much more noise textured blocks hold than flat ones where the whole floor is added",
        unit="fraction",
        source="[5]",
    )

    # R6: slow part
    slow_window: int = tuned(
        5, "side of the windows that the slow part is averaged over, odd", unit="pixels at half size", source="[5]"
    )

    # R7: groups
    group_size: int = tuned(32, "blocks in a group", unit="blocks", source="[4]")
    group_step: int = tuned(4, "distance of the blocks that a group is gathered for", unit="pixels", source="[5]")
    search_radius: int = tuned(16, "largest distance of the others along each axis", unit="pixels", source="by hand")

    # R8 to R10: restoring and blending
    restored_share: float = tuned(
        0.5,
        "part of what the groups find beside the prediction that is taken for signal",
        unit="fraction",
        source="by hand",
    )
    agreement_window: int = tuned(8, "side of the windows that estimates are compared in", unit="pixels", source="[4]")
    disagreement: float = tuned(
        0.05,
        "squared difference of two estimates at which either counts for half",
        unit="noise variances",
        source="[4]",
    )

    # Whole ideas, all in use: benchmarks/ablation.py takes them out one by one
    opponent_colours: bool = tuned(True, "R1: RGB as brightness and two opponents", unit="switch", source="[5]")
    second_measurement: bool = tuned(True, "R5: measure again in y1 and reconcile", unit="switch", source="[4]")
    floor_by_flat_bias: bool = tuned(
        True, "R5: the floor as far as flat blocks understate", unit="switch", source="[5]"
    )
    slow_part: bool = tuned(True, "R6: the slow part from half the size", unit="switch", source="[4]")
    groups: bool = tuned(True, "R7: shrink similar blocks together", unit="switch", source="[4]")


TUNED = RefineSettings()
"""The constants as they ship."""

"""The stages of refining: the names that their steps carry, and what each costs."""

SHRINK, SHRINK_AGAIN, SHRINK_SLOW = "shrink", "shrink again", "shrink slow"
PILOT, GROUP, PATCHES, RESTORE, BLEND = "pilot", "group", "patches", "restore", "blend"

COSTS = {
    SHRINK: 0.5, SHRINK_AGAIN: 0.6, SHRINK_SLOW: 0.1, PILOT: 0.5, GROUP: 2.0, PATCHES: 2.0, RESTORE: 0.2, BLEND: 0.2
}  # fmt: skip
"""Cost of each stage in predictions of the image from one mask; measured on a CPU, rounded, and not on
GPUs."""
MEASURING = (SHRINK,)
"""The stages that measure the noise: they are left out where the noise is known."""

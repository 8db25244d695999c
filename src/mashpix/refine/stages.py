"""The stages of refining: the names that their steps carry, and what each costs."""

SHRINK, SHRINK_AGAIN, SHRINK_SLOW = "shrink", "shrink again", "shrink slow"
PILOT, GROUP, MODEL, RESTORE, BLEND = "pilot", "group", "model", "restore", "blend"

COSTS = {SHRINK: 0.5, SHRINK_AGAIN: 0.6, SHRINK_SLOW: 0.1, PILOT: 0.5, GROUP: 3.0, MODEL: 1.0, RESTORE: 0.2, BLEND: 0.2}
"""Cost of each stage in predictions of the image from one mask; measured on a CPU, rounded, and not on
GPUs."""
MEASURING = (SHRINK,)
"""The stages that measure the noise: they are left out where the noise is known."""

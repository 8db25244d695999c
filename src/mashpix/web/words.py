"""A noise report in plain words, for people who have never seen one."""

from mashpix.noise_report.report import NoiseReport

KINDS = {
    "white": "The noise of neighbouring pixels is independent.",
    "correlated": "The noise of neighbouring pixels is correlated: it looks like small blotches or streaks.",
    "structured": "The noise has a structure, such as lines or a pattern.",
    "jpeg-blocky": "The image was compressed as JPEG: part of the noise follows its blocks of 8 x 8 pixels.",
}


def describe_noise(report: NoiseReport) -> list[str]:
    """Return a few sentences on the noise of an image, notes last."""
    said = []
    if report.sigma is not None:
        said.append(f"The noise level is about {report.sigma:.3g}, in the units of the image.")
    if report.signal_dependent is not None:
        same = "It is the same in dark and in bright areas."
        said.append("It grows with the brightness." if report.signal_dependent else same)
    if report.kind is not None:
        said.append(KINDS[report.kind])
    for fraction, how in ((report.clipped_high, "overexposed"), (report.clipped_low, "at the smallest value")):
        if fraction >= 0.001:
            said.append(f"{fraction:.1%} of the pixels are {how}: nothing can be restored there.")
    if report.nan_fraction:
        said.append(f"{report.nan_fraction:.2%} of the values are not numbers; they stay as they are.")
    return [*said, *report.notes]

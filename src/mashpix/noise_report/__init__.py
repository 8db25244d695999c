"""The noise report: estimates of the noise of an image, and of the cost of denoising it."""

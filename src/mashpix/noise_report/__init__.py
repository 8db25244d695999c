"""The noise report: what the noise of an image is, and what denoising it would cost."""

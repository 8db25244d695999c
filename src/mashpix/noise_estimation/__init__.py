"""Blind noise estimation: level, correlation and noise level function from the noisy image alone."""

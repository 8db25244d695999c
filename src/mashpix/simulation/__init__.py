"""Noise synthesis for studies, tests and demonstrations: one function per model, on NumPy arrays."""

from mashpix.simulation.camera import add_camera_noise
from mashpix.simulation.correlated import autocorrelation, correlated_noise, correlation_asked, correlation_reached
from mashpix.simulation.sensor import add_poisson_gaussian, gaussian_noise

__all__ = [
    "add_camera_noise",
    "add_poisson_gaussian",
    "autocorrelation",
    "correlated_noise",
    "correlation_asked",
    "correlation_reached",
    "gaussian_noise",
]

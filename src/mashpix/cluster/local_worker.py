"""Preloaded by the workers of `local:N`: Ctrl-C reaches them too, but the command alone ends them."""

import signal


def dask_setup(worker: object) -> None:
    """What dask calls in each new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

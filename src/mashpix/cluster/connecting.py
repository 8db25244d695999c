"""Connect to a scheduler, or start one on this machine with its workers, listening on the loopback only."""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dask
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from mashpix.cluster.checking import differences, find_versions
from mashpix.errors import DeviceError, UsageError

PATIENCE = 5.0
"""Seconds to wait for a scheduler to answer."""
SILENT = logging.CRITICAL + 1
"""Level of log messages that is never reached: what matters is raised, or is in the manifest."""

PRELOAD = "distributed.worker.preload"
"""Name of dask's option for the modules that each worker loads at its start."""
NEVER_GIVE_UP = {"distributed.deploy.lost-worker-timeout": "365 days"}
"""Else a worker here that dies twice may not be started again: 15 s after its first death it would count as lost."""


@contextmanager
def connect(address: str, *, threads: int | None = None) -> Iterator[Client]:
    """Connect to the cluster at an address; close the connection, and what was started here, at the end.

    Parameters
    ----------
    address : str
        Of a scheduler, such as "tcp://host:8786" or "tls://host:8786"; or "local:N", which starts N worker processes
        on this machine. TLS is configured as for any dask client.
    threads : int, optional
        CPU threads of each process that is started here; default: all cores divided by N.

    Raises
    ------
    UsageError
        For an address of another form.
    DeviceError
        If no scheduler answers, or it has other versions of what affects results; without certificates for TLS.
    """
    local = re.fullmatch(r"local:([1-9]\d*)", address)
    if local is None and not re.match(r"\w+://\w", address):
        raise UsageError(f"`cluster`: not an address ({address!r}; tcp://host:port, tls://host:port or local:N)")
    if address.startswith("tls:") and Security().get_connection_args("client")["ssl_context"] is None:
        raise DeviceError(f"`cluster`: no certificates for TLS ({address!r}; dask's distributed.comm.tls names them)")
    with ExitStack() as stack:
        stack.enter_context(silence_logging_cmgr(SILENT))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        try:
            if local is None:
                client = Client(address, timeout=PATIENCE, set_as_default=False)
            else:
                preloaded = [*dask.config.get(PRELOAD, []), "mashpix.cluster.local_worker"]
                stack.enter_context(dask.config.set(NEVER_GIVE_UP | {PRELOAD: preloaded}))
                client = Client(stack.enter_context(_start(int(local[1]), threads)), set_as_default=False)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise DeviceError(f"`cluster`: no scheduler answers ({address!r}; {reason})") from None
        stack.enter_context(client)
        _check_scheduler(client, address)
        yield client


def _start(count: int, threads: int | None) -> LocalCluster:
    """Start workers on this machine: without a limit of memory, at which a worker would be paused and stay so."""
    return LocalCluster(
        n_workers=count,
        threads_per_worker=threads or max((os.cpu_count() or 1) // count, 1),
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=SILENT,
    )


def _check_scheduler(client: Client, address: str) -> None:
    """Compare the versions of the scheduler, which reads requests, with those here."""
    try:
        differs = differences(client.run_on_scheduler(find_versions))
    except Exception as error:  # whatever went wrong over there: mashpix may not be installed
        differs = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    if differs:
        raise DeviceError(
            f"`cluster`: the scheduler is unlike this machine ({address!r}; {differs}; install the same on both)"
        )

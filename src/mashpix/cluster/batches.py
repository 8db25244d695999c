"""Prepare a batch or a file for a cluster: paths that mean the same everywhere, and workers that are fit for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mashpix.cluster.checking import Needs
from mashpix.cluster.connecting import connect
from mashpix.cluster.executor import ClusterExecutor
from mashpix.errors import DeviceError
from mashpix.jobs import DenoiseRequest
from mashpix.jobs.batch import Batch, is_pattern
from mashpix.jobs.denoise_blocks import store_folder
from mashpix.jobs.lock import lock_path


@contextmanager
def on_cluster(
    batch: Batch, address: str, *, threads: int | None = None, say: Callable[[str], object] = lambda line: None
) -> Iterator[tuple[Batch, ClusterExecutor]]:
    """Connect to a cluster for a batch; yield the batch to run, with absolute paths, and its executor.

    Parameters
    ----------
    batch : Batch
        What to do. All workers must see its files under the same paths.
    address, threads
        As for `connect` and `ClusterExecutor`.
    say : callable
        See `ClusterExecutor`.

    Raises
    ------
    UsageError, DeviceError
        As for `connect`; `DeviceError` also if a worker cannot be used: it has other versions, does not see an
        input, or lacks the device.
    """
    request, out = _absolute(batch.request), batch.out.absolute()
    batch = replace(batch, inputs=[path.absolute() for path in batch.inputs], out=out, request=request)
    inputs = tuple(path for path in (*batch.inputs, request.mask) if path and not is_pattern(path))
    needs = Needs(paths=inputs, device=request.device)
    with connect(address, threads=threads) as client:
        ClusterExecutor(client, needs).check_workers()
        # the folder and the lock in it are there once the batch runs: who sees the lock sees the same folder
        needs = replace(needs, paths=(*inputs, lock_path(out, batch.shard)), folders=(out,))
        yield batch, ClusterExecutor(client, needs, threads, say)


@contextmanager
def file_on_cluster(
    request: DenoiseRequest,
    address: str,
    *,
    threads: int | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Iterator[tuple[DenoiseRequest, ClusterExecutor]]:
    """Connect to a cluster for one stack or large plane; yield the request, with absolute paths, and the executor.

    Both are for `denoise_file`, which has to run with the executor's number of threads. Parameters and errors are those
    of `on_cluster`; `DeviceError` also if no worker says how many threads it has.
    """
    request = replace(_absolute(request), source=request.source.absolute(), target=request.target.absolute())
    needs = Needs(paths=tuple(path for path in (request.source, request.mask) if path), device=request.device)
    with connect(address, threads=threads) as client:
        there = ClusterExecutor(client, needs).check_workers().there.values()
        threads = threads or min((worker["nthreads"] for worker in there), default=None)
        if threads is None:
            raise DeviceError("`cluster`: no worker is there (start one, or name the `threads` of those to come)")
        needs = replace(needs, folders=(store_folder(request.target),))
        yield request, ClusterExecutor(client, needs, threads, say)


def _absolute(request: DenoiseRequest) -> DenoiseRequest:
    """Return a request whose mask and model have absolute paths."""
    mask, model = request.mask, request.model
    return replace(request, mask=mask and mask.absolute(), model=model and replace(model, path=model.path.absolute()))

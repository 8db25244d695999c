"""`mashpix denoise` on one stack or large plane, by several runs (`--shard`) or machines (`--cluster`)."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from mashpix.cli.console import complain, errors_name, use_threads
from mashpix.cli.folders import FolderOptions, has_folder
from mashpix.cli.outcomes import denoise_files
from mashpix.errors import UsageError
from mashpix.extras import need
from mashpix.jobs import DenoiseRequest, denoise_file, denoise_part
from mashpix.jobs.parts import has_parts
from mashpix.jobs.shard import Shard

SHARING = {"`shard`", "`cluster`"}
"""Options that share the work on one input; with `resume`, which goes without saying there."""


def is_shared(inputs: list[Path], request: DenoiseRequest, options: FolderOptions) -> bool:
    """Return whether the work on one input is to be shared, and can be."""
    used = set(options.used)
    if len(inputs) > 1 or has_folder(inputs) or not used & SHARING or used - SHARING - {"`resume`"}:
        return False
    if used >= SHARING:
        raise UsageError("`shard` and `cluster` both share the work on one input (give one of them)")
    with errors_name(inputs[0], unless=(UsageError,)):
        return has_parts(replace(request, source=inputs[0]))


def denoise_shared(request: DenoiseRequest, options: FolderOptions, *, threads: int | None) -> int:
    """Denoise one input on a cluster, or a shard of it here; return the exit code."""
    if options.cluster is None:
        use_threads(threads)
        job = partial(denoise_part, shard=Shard.parse(options.shard or ""))
        return denoise_files(request, [request.source], [request.target], job=job)
    need("distributed", what="cluster", extra="cluster")
    from mashpix.cluster import file_on_cluster

    with file_on_cluster(request, options.cluster, threads=threads, say=complain) as (there, execute):
        use_threads(execute.threads)  # what is measured here and there depends on them
        sources, targets = [request.source], [request.target]  # messages name them as the user does
        return denoise_files(request, sources, targets, job=lambda _: denoise_file(there, execute=execute))

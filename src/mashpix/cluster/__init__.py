"""Many machines: run the jobs of a batch on a dask.distributed cluster. Needs the extra `cluster`."""

from mashpix.cluster.batches import on_cluster
from mashpix.cluster.connecting import connect
from mashpix.cluster.executor import ClusterExecutor

__all__ = ["ClusterExecutor", "connect", "on_cluster"]

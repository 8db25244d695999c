"""Many machines: run the jobs of a batch, or parts of one, on a dask.distributed cluster. Needs the extra `cluster`."""

from mashpix.cluster.batches import file_on_cluster, on_cluster
from mashpix.cluster.connecting import connect
from mashpix.cluster.executor import ClusterExecutor

__all__ = ["ClusterExecutor", "connect", "file_on_cluster", "on_cluster"]

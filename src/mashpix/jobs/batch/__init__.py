"""Batches: which files to take, which are done already, who runs the jobs, and a durable line for each file."""

from mashpix.jobs.batch.batch import NOWHERE, Batch, plan_items
from mashpix.jobs.batch.events import BatchEvent, BatchProgress, Counts, FileDone, FileFailed, FileNote, NetworkFitted
from mashpix.jobs.batch.executor import Executor, WorkerMessage, run_in_process
from mashpix.jobs.batch.inputs import find_sources, is_folder, is_pattern
from mashpix.jobs.batch.items import Item, check_targets, output_name
from mashpix.jobs.batch.manifest import Provenance, provenance_of
from mashpix.jobs.batch.running import run_batch
from mashpix.jobs.batch.workers import ProcessExecutor
from mashpix.jobs.shard import Shard

__all__ = [
    "NOWHERE",
    "Batch",
    "BatchEvent",
    "BatchProgress",
    "Counts",
    "Executor",
    "FileDone",
    "FileFailed",
    "FileNote",
    "Item",
    "NetworkFitted",
    "ProcessExecutor",
    "Provenance",
    "Shard",
    "WorkerMessage",
    "check_targets",
    "find_sources",
    "is_folder",
    "is_pattern",
    "output_name",
    "plan_items",
    "provenance_of",
    "run_batch",
    "run_in_process",
]

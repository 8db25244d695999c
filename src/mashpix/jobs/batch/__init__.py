"""Many files: which to take, what was done already, worker processes, and a durable line for each."""

from mashpix.jobs.batch.inputs import find_sources, is_folder, is_pattern
from mashpix.jobs.batch.items import Item, check_targets, output_name
from mashpix.jobs.batch.manifest import Origin, hash_settings
from mashpix.jobs.batch.running import Batch, Event, Tally, plan_items, run_batch
from mashpix.jobs.batch.workers import run_workers

__all__ = [
    "Batch",
    "Event",
    "Item",
    "Origin",
    "Tally",
    "check_targets",
    "find_sources",
    "hash_settings",
    "is_folder",
    "is_pattern",
    "output_name",
    "plan_items",
    "run_batch",
    "run_workers",
]

"""Many files: which to take, what was done already, worker processes, and a durable line for each."""

from mashpix.batch.inputs import find_sources, is_folder, is_pattern
from mashpix.batch.items import Item, check_targets, output_name
from mashpix.batch.manifest import Origin, hash_settings
from mashpix.batch.running import Batch, Event, Tally, plan_items, run_batch
from mashpix.batch.workers import run_workers

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

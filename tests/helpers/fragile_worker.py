"""Preloaded by workers of a cluster: small cells, and planes at which a process dies.

A file "poison 1 0" beside the output names the plane at (1, 0), and says how the process dies that has denoised it:
"exit", "crash" (a segmentation fault), or "exit once", the first time only.
"""

import os
import signal

from mashpix.arrays import blocks
from mashpix.files.opened import numbers_of
from mashpix.jobs.block_store import BlockStore

put = BlockStore.put


def dask_setup(worker):
    """What dask calls in each worker that has preloaded this file."""
    blocks.CELL, blocks.WINDOW, blocks.MAX_FITTED_PIXELS, blocks.MAX_SEEN = 32, 32, 4096, 16  # `shared_inputs.SMALL`
    BlockStore.put = put_or_die


def put_or_die(self, index, *given):
    """As `BlockStore.put`, unless the plane is one to die at."""
    poison = self.folder.with_name(f"poison {' '.join(map(str, numbers_of(index)))}")
    how = poison.read_text() if poison.exists() else ""
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how:
        if how == "exit once":
            poison.unlink()
        os._exit(9)
    put(self, index, *given)

"""Report clearly if memory runs out during a job in spite of the estimate."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mashpix.errors import InputError

RAN_OUT = "out of memory|DefaultCPUAllocator|could not create a (primitive|memory)"
"""What PyTorch and its oneDNN say, which names no cause."""


@contextmanager
def one_line_for_memory() -> Iterator[None]:
    """Convert the out-of-memory errors of libraries to an `InputError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or re.search(RAN_OUT, str(error)):
            raise InputError("not enough memory (it ran out; denoise the image in parts)") from None
        raise

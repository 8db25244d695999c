"""Camera raw files, developed by LibRaw in a separate process."""

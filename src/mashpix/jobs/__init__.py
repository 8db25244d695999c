"""Jobs: everything that happens to one file, as a generator of events."""
